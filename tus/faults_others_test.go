package tus_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Rows of the matrix for requests without data.

// creationRows are faults of the creation.
func creationRows() []faultRow {
	var rows []faultRow
	add := func(name string, action tustest.Action, want verdict, withBytes verdict) {
		rows = append(rows, faultRow{name: name, on: creating, action: action, want: want,
			but: map[string]verdict{one: withBytes, resumed: missed()}})
	}
	repeated := fine(1).creating(1)
	for name, action := range map[string]tustest.Action{
		"cut": tustest.CutBefore(), "response lost": tustest.LoseResponse(), "cut in the response": faults.CutResponse(40),
		"500": faults.RespondAfter(500, htmlPage), "502 in HTML": faults.RespondAfter(502, htmlPage), "503": faults.RespondAfter(503, ""),
		"429": faults.RespondAfter(429, "", "Retry-After", "0"), "423": faults.RespondAfter(423, ""), "500 after creation": faults.SetStatus(500),
		"not HTTP": faults.RespondRaw("\x00\x01\x02"), "endless response header": faults.EndlessHeader(),
	} {
		add(name, action, repeated, createdAgain())
	}
	for name, test := range map[string]struct {
		action tustest.Action
		err    error
	}{
		"no Location":                {tustest.SetHeader("Location", "", "Upload-Offset", ""), tus.ErrProtocol},
		"200 with an HTML page":      {faults.RespondAfter(200, htmlPage), tus.ErrProtocol},
		"Location is no URL":         {tustest.SetHeader("Location", "http://[::1"), tus.ErrProtocol},
		"Location of another scheme": {tustest.SetHeader("Location", "ftp://example.org/1"), tus.ErrProtocol},
		"301":                        {faults.Redirect(301, ""), tus.ErrProtocol},
		"401":                        {faults.RespondAfter(401, ""), tus.ErrUnauthorized},
		"403":                        {faults.RespondAfter(403, ""), tus.ErrUnauthorized},
		"302":                        {faults.Redirect(302, ""), tus.ErrProtocol},
		"412 of another version":     {faults.RespondAfter(412, "", "Tus-Version", "0.2.2"), tus.ErrUnsupported},
	} {
		add(name, test.action, fails(test.err, nothing), fails(test.err, nothing))
	}
	add("409", faults.RespondAfter(409, "exists"), refused(409, nothing), refused(409, nothing))
	add("412", faults.RespondAfter(412, "", "Tus-Version", "1.0.0"), refused(412, nothing), refused(412, nothing))
	add("404", faults.RespondAfter(404, ""), refused(404, nothing), refused(404, nothing))
	add("413", faults.RespondAfter(413, ""), fails(tus.ErrTooLarge, nothing), createdAgain())
	add("no Location, but Upload-Offset", tustest.SetHeader("Location", ""), fails(tus.ErrProtocol, nothing), fine(0))
	rows[len(rows)-1].but[first] = fails(tus.ErrProtocol, nothing) // the upload is not complete
	add("200 without Location, but Upload-Offset", withoutLocation(200, true), fails(tus.ErrProtocol, nothing), fine(0))
	rows[len(rows)-1].but[first] = fails(tus.ErrProtocol, nothing) // the upload is not complete
	add("200 without Location and Upload-Offset", withoutLocation(200, false), fails(tus.ErrProtocol, nothing), fails(tus.ErrProtocol, nothing))
	add("interim responses", faults.Inform(3, 104, "Location", "/files/none"), fine(0), fine(0))
	add("endless response body", faults.EndlessBody(), fine(0), fine(0))
	add("responds twice", faults.RespondTwice(), fine(2).again(request), fine(0))
	// The second response may be taken for that to the creation of another part.
	rows[len(rows)-1].but[parallel] = fine(3).again(request).creating(1)
	add("307, same origin", faults.Redirect(307, ""), repeated, fine(1).again(request).creating(1))
	rows = append(rows,
		faultRow{name: "307, other origin", on: creating, with: func(s *stage) tustest.Action { return faults.Redirect(307, s.otherOrigin) },
			want: repeated, but: map[string]verdict{one: fine(1).again(request).creating(1), resumed: missed()}},
		faultRow{name: "Location of other origin", on: creating, with: func(s *stage) tustest.Action { return locationAt(s.otherOrigin) },
			want: fine(0), but: map[string]verdict{resumed: missed()}},
		faultRow{name: "long part URLs", on: creating, times: always, with: longPartURLs, want: fine(0), but: map[string]verdict{resumed: missed()},
			opts: func(_ *tus.Options, how *tus.UploadOptions) { how.ParallelOptions.MaxConcatHeader = longLine }},
		faultRow{name: "stall", on: creating, bubble: true, action: tustest.Stall(), want: repeated,
			but: map[string]verdict{one: createdAgain(), resumed: missed()}},
		faultRow{name: "503 always", on: creating, times: always, action: faults.RespondAfter(503, ""), want: fails(errTemporary, nothing).again(request),
			but: map[string]verdict{resumed: missed()}},
	)
	slices.SortFunc(rows, func(a, b faultRow) int { return strings.Compare(a.name, b.name) })
	return rows
}

// longLine is the longest Upload-Concat line that the proxy of the row of long part URLs
// accepts. The usual number of parts does not fit.
const longLine = 1500

// longPartURLs gives uploads URLs of 400 characters, and refuses final uploads whose parts
// do not fit longLine.
func longPartURLs(s *stage) tustest.Action {
	s.script.add(line{times: always, action: tustest.Respond(400, htmlPage), match: func(r *http.Request) bool {
		return concatLine(r.Header) > longLine
	}})
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Serve(&namingWriter{ResponseWriter: w, query: "?" + strings.Repeat("q", 360)}, r)
	}
}

// namingWriter appends a query to the URL of an upload.
type namingWriter struct {
	http.ResponseWriter
	query string
}

func (w *namingWriter) WriteHeader(status int) {
	w.Header().Set("Location", w.Header().Get("Location")+w.query)
	w.ResponseWriter.WriteHeader(status)
}

// locationAt serves a creation and replaces the origin of its Location.
func locationAt(origin string) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Serve(&movingWriter{ResponseWriter: w, origin: origin}, r)
	}
}

type movingWriter struct {
	http.ResponseWriter
	origin string
}

func (w *movingWriter) WriteHeader(status int) {
	w.Header().Set("Location", w.origin+w.Header().Get("Location"))
	w.ResponseWriter.WriteHeader(status)
}

// askingRows are faults of the HEAD that follows a cut PATCH.
func askingRows() []faultRow {
	// after expects the cost of the cut, and n requests more.
	after := func(more int) faultRow {
		return faultRow{on: asking, want: fine(2 + more).again(rest), but: map[string]verdict{
			one:     fine(4 + more).again(times(2)).creating(1),
			resumed: fine(more),
		}}
	}
	with := func(row faultRow, name string, action tustest.Action) faultRow {
		row.name, row.action = name, action
		return row
	}
	distrusted := faultRow{on: asking, want: fails(tus.ErrProtocol, resumable).again(request)}
	unauthorized := faultRow{on: asking, want: fails(tus.ErrUnauthorized, resumable).again(request)}
	// If the cut request carried the last byte, the upload may be complete.
	gone := faultRow{on: asking, want: fails(tus.ErrUnconfirmed, unconfirmed).again(request), but: map[string]verdict{
		inChunk:  fine(5).again(times(3)).creating(1),
		first:    fine(6).again(times(4)).creating(2),
		parallel: fails(tus.ErrUnconfirmed, partly).again(request),
		streamed: fails(tus.ErrNotRecoverable, nothing).again(request),
		resumed:  fine(1).creating(1).again(begun),
		byToken:  fails(tus.ErrUploadGone, nothing),
	}}
	hidden := faultRow{on: asking, want: refused(400, resumable).again(request)}
	// A stored upload starts over; one of this session, or of a token, does not.
	startOver := with(hidden, "400, and a policy that starts over", tustest.Respond(400, ""))
	startOver.opts = func(_ *tus.Options, how *tus.UploadOptions) { how.Refused = tus.RefusedStartOver }
	startOver.but = map[string]verdict{resumed: fine(1).creating(1).again(begun), byToken: hidden.want}
	away := faultRow{on: asking, times: always, want: refused(404, resumable).again(request)}
	stale := faultRow{on: asking, want: fine(4).again(times(2)), but: map[string]verdict{
		one: fine(6).again(times(3)).creating(1), streamed: fine(3).again(rest), resumed: fine(3).again(times(2))}}
	other := after(0)
	other.want = fails(tus.ErrSourceMismatch, nothing).again(rest)
	other.but = map[string]verdict{
		// The size of a stream is known only at its end.
		streamed: fails(tus.ErrSourceMismatch, resumable).again(rest),
		one:      fails(tus.ErrSourceMismatch, nothing).again(times(2)),
		resumed:  fine(1).creating(1).again(begun), // another upload: start over
		byToken:  fails(tus.ErrSourceMismatch, nothing),
	}
	otherOrigin := after(1)
	otherOrigin.name, otherOrigin.with = "307, other origin", func(s *stage) tustest.Action { return faults.Redirect(307, s.otherOrigin) }
	stall := with(after(1), "stall", tustest.Stall())
	stall.bubble = true
	stalled := with(faultRow{on: asking, want: fails(tus.ErrStalled, resumable).again(times(2))}, "stall always", tustest.Stall())
	stalled.bubble, stalled.times = true, always
	// The other process cannot be judged, so the upload waits for the end of its lease.
	leased := after(0)
	leased.name, leased.bubble, leased.with = "restart in another PID namespace", true, leaveLease
	locked := with(faultRow{on: asking, want: refused(423, resumable).again(times(2))}, "423 always", tustest.Respond(423, ""))
	locked.times = always
	return []faultRow{
		with(after(1), "cut", tustest.CutBefore()),
		with(after(1), "cut in the response", faults.CutResponse(40)),
		with(after(1), "500", tustest.Respond(500, htmlPage)),
		with(after(1), "503", tustest.Respond(503, "", "Retry-After", "0")),
		with(after(1), "409", tustest.Respond(409, "")),
		with(after(1), "423", tustest.Respond(423, "")),
		with(after(1), "not HTTP", faults.RespondRaw("\r\n\r\n\r\n")),
		with(after(1), "endless response header", faults.EndlessHeader()),
		with(after(0), "interim responses", faults.Inform(3, 104, "Upload-Offset", "1")),
		with(after(1), "307, same origin", faults.Redirect(307, "")),
		otherOrigin, stall, stalled, locked, leased,
		with(after(1), "301", faults.Redirect(301, "")),
		with(after(1), "302", faults.Redirect(302, "")),
		with(distrusted, "303", faults.Redirect(303, "")),
		with(distrusted, "no Upload-Offset", tustest.SetHeader("Upload-Offset", "")),
		with(distrusted, "Upload-Offset negative", tustest.SetHeader("Upload-Offset", "-1")),
		with(distrusted, "Upload-Offset repeated", tustest.SetHeader("Upload-Offset", "0", "Upload-Offset", "1")),
		with(distrusted, "Upload-Offset beyond Upload-Length", tustest.SetHeader("Upload-Offset", "2", "Upload-Length", "1")),
		with(after(1), "200 with an HTML page", tustest.Respond(200, htmlPage)),
		with(after(1), "200 of a cache without Upload-Offset", tustest.Respond(200, "", "Via", "1.1 varnish", "X-Varnish", "32770")),
		with(after(0), "Upload-Offset with a plus sign and blanks", faults.EditResponse(withSign)),
		with(hidden, "400", tustest.Respond(400, "")), startOver,
		with(after(0), "Upload-Offset repeated, equal", twice("Upload-Offset")),
		with(stale, "stale Upload-Offset", tustest.SetHeader("Upload-Offset", "0")),
		with(unauthorized, "401", tustest.Respond(401, "")),
		with(unauthorized, "403", tustest.Respond(403, "")),
		with(after(1), "404 of a proxy", tustest.Respond(404, "")),
		with(away, "404 of a proxy, always", tustest.Respond(404, "")),
		with(gone, "410, the upload is gone", faults.Vanish()),
		with(other, "another Upload-Length", tustest.SetHeader("Upload-Length", "99999")),
	}
}

// leaveLease gives the records the lease of a process that was just killed in another
// container.
func leaveLease(s *stage) tustest.Action {
	ctx := context.Background()
	for rec, err := range s.store.All(ctx) {
		if err != nil {
			panic(err)
		}
		rec.Lease = &storage.Lease{Holder: storage.NewID(), Process: "v1/pod/boot/pid:[4026531836]/1/123", Until: time.Now().Add(55 * time.Second)}
		if _, err := s.store.Put(ctx, rec); err != nil {
			panic(err)
		}
	}
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) { h.Serve(w, r) }
}

// completingRows are faults of the last request, after which the server may have all
// bytes without an acknowledgment.
func completingRows() []faultRow {
	known := map[string]verdict{one: createdAgain(), parallel: fine(2)}
	finished := fails(tus.ErrUnconfirmed, unconfirmed)
	finishedOne := map[string]verdict{one: finished.again(request), parallel: fails(tus.ErrUnconfirmed, complete)}
	rows := []faultRow{
		{name: "response lost", on: completing, action: tustest.LoseResponse(), want: fine(1), but: known},
		{name: "500 after completion", on: completing, action: faults.SetStatus(500), want: fails(tus.ErrUnconfirmed, unconfirmed), but: known},
		{name: "502 of a proxy after completion", on: completing, action: faults.RespondAfter(502, htmlPage), want: fine(2).again(request), but: known},
		{name: "201 with a Location", on: completing, action: likeACreation, want: fine(0), but: map[string]verdict{parallel: fine(0)}},
		{name: "complete and gone, response lost", on: completing, action: takenAway(tustest.CutBefore()), want: finished, but: known},
		{name: "complete and gone, 504 of a proxy", on: completing, times: always, action: takenAway(tustest.Respond(504, htmlPage)), want: finished, but: finishedOne},
		{name: "complete and gone, 500", on: completing, times: always, action: takenAway(tustest.Respond(500, "", "Tus-Resumable", "1.0.0")), want: finished, but: finishedOne},
		{name: "complete and gone, 404", on: completing, times: always, action: takenAway(tustest.Respond(404, "", "Tus-Resumable", "1.0.0")), want: finished, but: map[string]verdict{
			one: refused(404, nothing), parallel: fails(tus.ErrUnconfirmed, complete)}},
		{name: "cut in the body", on: completing, action: tustest.CutAfter(faultCut), want: fine(2).again(request), but: map[string]verdict{
			one: createdAgain(), parallel: fine(1)}},
		{name: "422 after completion", on: completing, times: always, action: faults.SetStatus(422), want: fails(tus.ErrUnconfirmed, unconfirmed),
			but: map[string]verdict{one: refused(422, nothing), parallel: fails(tus.ErrUnconfirmed, complete), streamed: fails(tus.ErrUnconfirmed, complete)}},
		{name: "403, not complete", on: completing, times: always, action: faults.RespondAfter(403, ""), want: fails(tus.ErrUnauthorized, resumable),
			but: map[string]verdict{one: fails(tus.ErrUnauthorized, nothing), parallel: fails(tus.ErrUnconfirmed, complete)}},
	}
	for i := range rows { // the last request is not the creation
		rows[i].but = maps.Clone(rows[i].but)
		rows[i].but[first] = rows[i].want
	}
	return rows
}

// vanishSilently is faults.Vanish for a server that never sends Tus-Resumable.
func vanishSilently(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	h.Forget(r.URL.Path)
	tustest.Respond(http.StatusNotFound, "")(w, r, h)
}

// takenAway stores the data of the request, removes the complete upload and handles the
// request by then. Later requests get 404.
func takenAway(then tustest.Action) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Serve(httptest.NewRecorder(), r)
		h.Forget(r.URL.Path)
		then(w, r, h)
	}
}

// likeACreation responds to the last PATCH with 201 and the URL of a resource made of the
// upload.
func likeACreation(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	if r.Method != http.MethodPatch {
		h.Serve(w, r)
		return
	}
	made := httptest.NewRecorder()
	h.Serve(made, r)
	maps.Copy(w.Header(), made.Header())
	w.Header().Set("Location", "/media/42")
	w.WriteHeader(http.StatusCreated)
}

// probingRows are faults of OPTIONS. They end an upload only if it depends on an
// extension.
func probingRows() []faultRow {
	var rows []faultRow
	add := func(name string, times int, action tustest.Action, needing verdict) *faultRow {
		rows = append(rows, faultRow{name: name, on: probing, times: times, checksums: inTrailer, action: action,
			want: fine(0), but: map[string]verdict{one: fine(1), parallel: needing, streamed: needing, sized: fine(0)}})
		return &rows[len(rows)-1]
	}
	add("cut", 1, tustest.CutBefore(), fine(1))
	add("500", 1, tustest.Respond(500, htmlPage), fine(1))
	add("503", 1, tustest.Respond(503, ""), fine(1))
	add("not HTTP", 1, faults.RespondRaw("220 smtp.example.org\r\n"), fine(1))
	add("404 always", always, tustest.Respond(404, ""), refused(404, nothing))
	add("405 always", always, tustest.Respond(405, ""), refused(405, nothing))
	add("401 always", always, tustest.Respond(401, ""), fails(tus.ErrUnauthorized, nothing))
	add("503 always", always, tustest.Respond(503, ""), fails(errTemporary, nothing))
	add("200 with an HTML page", always, tustest.Respond(200, htmlPage), fails(tus.ErrUnsupported, nothing))
	for _, size := range []string{"-1", "Infinity", "unlimited", "5GB", "+1e9", "18446744073709551615"} {
		row := add("Tus-Max-Size "+size, always, tustest.SetHeader("Tus-Max-Size", size), fine(0))
		row.but[one] = fine(0)
	}
	add("stall", 1, tustest.Stall(), fine(1)).bubble = true
	rows = append(rows,
		faultRow{name: "interim responses", on: probing, checksums: inTrailer, action: faults.Inform(3, 103), want: fine(0)},
		faultRow{name: "endless response body", on: probing, checksums: inTrailer, action: faults.EndlessBody(), want: fine(0)},
		faultRow{name: "307, other origin", on: probing, checksums: inTrailer, with: func(s *stage) tustest.Action { return faults.Redirect(307, s.otherOrigin) }, want: fine(1)},
		faultRow{name: "Tus-Max-Size below the source", on: probing, times: always, checksums: inTrailer, action: tustest.SetHeader("Tus-Max-Size", "100"),
			want: fails(tus.ErrTooLarge, nothing), but: map[string]verdict{streamed: fine(0), sized: fails(tus.ErrTooLarge, nothing), resumed: fine(0)}},
	)
	return rows
}

// connectingRows are connections that are reset when they open.
func connectingRows() []faultRow {
	return []faultRow{
		{name: "reset on accept", on: connecting, want: fine(1), but: butOne(fine(1).again(request))},
		{name: "reset on accept three times", on: connecting, times: 3, want: fine(3), but: butOne(fine(3).again(request))},
		{name: "reset on accept always", on: connecting, times: always, want: fails(errTemporary, nothing), but: map[string]verdict{
			one: fails(errTemporary, nothing).again(times(8)), resumed: fails(errTemporary, resumable)}},
	}
}

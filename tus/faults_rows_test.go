package tus_test

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

const (
	htmlPage = "<!DOCTYPE html><html><h1>It works!</h1></html>"
	always   = -1
)

// faultRows returns the rows of the matrix.
//
// They follow these rules. If the outcome of a request is unknown, the client requests
// the offset (HEAD) and resends only the bytes that the server does not have. A refusal
// ends the upload and leaves it resumable. If the response to a creation with data is
// lost, the URL is unknown: the client repeats the creation without data and sends the
// data with PATCH.
func faultRows() []faultRow {
	return slices.Concat(
		cutRows(), stallRows(), earlyRows(), refusalRows(), goneRows(), responseRows(), wireRows(), redirectRows(),
		checksumRows(), creationRows(), askingRows(), completingRows(), probingRows(), connectingRows(), sourceRows())
}

// bytesAgain is the verdict for a fault after which no byte of the request may be stored.
func bytesAgain() verdict { return fine(2).again(request) }

// createdAgain is the same for a creation with data.
func createdAgain() verdict { return fine(2).again(request).creating(1) }

// butOne is an exception for creations with data.
func butOne(v verdict) map[string]verdict { return map[string]verdict{one: v} }

// cutRows are connections that break.
func cutRows() []faultRow {
	return []faultRow{
		{name: "cut before the body", action: tustest.CutBefore(), want: bytesAgain(), but: butOne(createdAgain())},
		{name: "cut in the body", action: tustest.CutAfter(faultCut), want: fine(2).again(rest), but: butOne(createdAgain())},
		{name: "cut after the body, response lost", action: tustest.LoseResponse(), want: fine(1), but: butOne(createdAgain())},
		{name: "cut in the response", action: faults.CutResponse(30), want: fine(1), but: butOne(createdAgain())},
		// Progress renews the retry budget each time.
		{name: "cut in each body", times: always, action: tustest.CutAfter(faultCut), want: fine(2 * faultSize / faultCut).again(times(faultSize / faultCut)),
			but: butOne(fine(2 + 2*faultSize/faultCut).again(times(faultSize / faultCut)).creating(1))},
		{name: "each cut before the body", times: always, action: tustest.CutBefore(), want: fails(errTemporary, resumable).again(times(8))},
		{name: "each response lost", times: always, action: tustest.LoseResponse(), want: fine(4), but: map[string]verdict{
			one: fine(3).again(request).creating(1), first: fine(6).again(request).creating(1)}},
	}
}

// stallRows are connections that transfer nothing, or little. Stalled connections are
// cut, slow ones are not.
func stallRows() []faultRow {
	rows := []faultRow{
		{name: "stall before the body", action: tustest.Stall(), want: bytesAgain(), but: butOne(createdAgain())},
		{name: "stall in the body", action: faults.StallAfter(faultCut), want: fine(2).again(rest), but: butOne(createdAgain())},
		{name: "stall after the body", action: faults.StallAfter(faultSize), want: fine(1), but: butOne(createdAgain())},
		{name: "stall always", times: always, action: tustest.Stall(), want: fails(tus.ErrStalled, resumable).again(times(8))},
		{name: "server reads slowly", times: always, action: faults.ReadSlowly(1<<10, time.Second), want: fine(0)},
		{name: "slow response", times: always, action: faults.RespondSlowly(10, time.Second), want: fine(0)},
		// The client may send HEAD or wait.
		{name: "very slow response", action: faults.RespondSlowly(1, 10*time.Second), want: fine(1), but: butOne(createdAgain())},
		{name: "response 4 minutes after the body", times: always, action: respondLate(4 * time.Minute), want: fine(0)},
		{name: "response later than the response timeout", action: respondLate(6 * time.Minute), want: fine(1), but: butOne(createdAgain())},
		{name: "delay below the stall timeout", times: always, action: tustest.Delay(29 * time.Second), want: fine(0)},
	}
	for i := range rows {
		rows[i].bubble = true
	}
	return rows
}

// earlyRows are responses that come while the body is still being sent.
func earlyRows() []faultRow {
	rows := []faultRow{
		{name: "early 409", action: faults.RespondEarly(409, "conflict"), want: bytesAgain(), but: butOne(refused(409, nothing))},
		{name: "early 500", action: faults.RespondEarly(500, htmlPage), want: bytesAgain(), but: butOne(createdAgain())},
		{name: "early 403", action: faults.RespondEarly(403, "no"), want: fails(tus.ErrUnauthorized, resumable), but: butOne(fails(tus.ErrUnauthorized, nothing))},
		{name: "early 204, some bytes stored", action: faults.AcceptEarly(faultCut), want: fine(1).again(rest)},
		// A request that fits a buffer of net/http counts as sent. Then the server
		// seems to lose acknowledged bytes.
		{name: "early 204 for unsent bytes", action: acknowledgeEarly, want: bytesAgain(), but: map[string]verdict{
			inChunk: fine(3).again(times(2)), first: fine(3).again(times(2)), parallel: fine(6).again(request), streamed: fails(tus.ErrNotRecoverable, resumable).again(request)}},
	}
	for i := range rows {
		rows[i].bubble = true // no buffer takes the whole body
	}
	return rows
}

// acknowledgeEarly acknowledges all bytes of a request before it has read them, and drops
// them. A creation is served.
func acknowledgeEarly(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	r.Body = &lateBody{ReadCloser: r.Body}
	at, _ := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
	end := strconv.FormatInt(at+r.ContentLength, 10)
	if r.Method == http.MethodPost {
		creation := r.Clone(r.Context())
		creation.Header.Del("Content-Type")
		creation.Body, creation.ContentLength = http.NoBody, 0
		made := &headerOnly{header: http.Header{}}
		h.Serve(made, creation)
		faults.RespondEarly(201, "", "Location", made.header.Get("Location"), "Upload-Offset", end)(w, r, h)
		return
	}
	faults.RespondEarly(204, "", "Upload-Offset", end)(w, r, h)
}

// lateBody delays its first read until all other goroutines of the bubble are blocked.
type lateBody struct {
	io.ReadCloser
	waited bool
}

func (b *lateBody) Read(p []byte) (int, error) {
	if !b.waited {
		b.waited = true
		<-time.After(time.Second)
	}
	return b.ReadCloser.Read(p)
}

// headerOnly keeps the header of a response.
type headerOnly struct{ header http.Header }

func (w *headerOnly) Header() http.Header         { return w.header }
func (w *headerOnly) Write(p []byte) (int, error) { return len(p), nil }
func (w *headerOnly) WriteHeader(int)             {}

// refusalRows are temporary and permanent refusals.
func refusalRows() []faultRow {
	var rows []faultRow
	for name, action := range forNow {
		row := faultRow{name: name, action: action, want: bytesAgain(), but: butOne(createdAgain())}
		if strings.HasPrefix(name, "409") {
			row.but = butOne(refused(409, nothing)) // to a creation
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b faultRow) int { return strings.Compare(a.name, b.name) })
	renewing := func(client *tus.Options, _ *tus.UploadOptions) {
		client.Hooks.BeforeRequest = func(*http.Request) error { return nil }
	}
	smaller := func(_ *tus.Options, how *tus.UploadOptions) { how.MinChunkSize = 1 << 10 }
	refusedThen := func(err error) faultRow {
		return faultRow{want: fails(err, resumable), but: butOne(fails(err, nothing))}
	}
	with := func(row faultRow, name string, action tustest.Action) faultRow {
		row.name, row.action = name, action
		return row
	}
	lastRefused := fails(tus.ErrUnconfirmed, unconfirmed)
	return append(rows,
		faultRow{name: "500 after storing all", action: faults.SetStatus(500), want: fine(1), but: map[string]verdict{
			one: createdAgain(), single: lastRefused, resumed: lastRefused, parallel: fails(tus.ErrUnconfirmed, resumable)}},
		faultRow{name: "503 always", times: always, action: faults.RespondAfter(503, ""), want: fails(errTemporary, resumable).again(times(8))},
		faultRow{name: "423 always", times: always, action: faults.RespondAfter(423, "locked"), want: refused(423, resumable).again(times(8))},
		faultRow{name: "401, and a hook that renews the token", action: faults.RespondAfter(401, ""), opts: renewing, want: bytesAgain(), but: butOne(createdAgain())},
		with(refusedThen(tus.ErrUnauthorized), "401", faults.RespondAfter(401, "")),
		with(refusedThen(tus.ErrUnauthorized), "403", faults.RespondAfter(403, htmlPage)),
		with(refusedThen(tus.ErrUnsupported), "412", faults.RespondAfter(412, "", "Tus-Version", "0.2.2")),
		faultRow{name: "413", action: faults.RespondAfter(413, ""), want: fails(tus.ErrTooLarge, resumable), but: butOne(createdAgain())},
		faultRow{name: "413 twice, smaller chunks allowed", times: 2, action: faults.RespondAfter(413, ""), opts: smaller,
			want: fine(16).again(times(2)), but: butOne(fine(8).again(times(2)).creating(1))},
		faultRow{name: "422", action: faults.RespondAfter(422, "virus"), want: refused(422, resumable), but: butOne(refused(422, nothing))},
		faultRow{name: "507", action: faults.RespondAfter(507, ""), want: bytesAgain(), but: butOne(createdAgain())},
		faultRow{name: "507 always", times: always, action: faults.RespondAfter(507, ""), want: refused(507, resumable).again(request)},
		faultRow{name: "501", action: faults.RespondAfter(501, ""), want: refused(501, resumable), but: butOne(refused(501, nothing))},
	)
}

// forNow are temporary refusals.
var forNow = map[string]tustest.Action{
	"400 of tusd for an interrupted PATCH": faults.RespondAfter(400, "ERR_UPLOAD_INTERRUPTED: upload has been interrupted"),
	"400 of the Node server":               faults.RespondAfter(400, "Request aborted"),
	"408":                                  faults.RespondAfter(408, ""),
	"409 at the same offset":               faults.RespondAfter(409, "currently being updated"),
	"423":                                  faults.RespondAfter(423, "locked"),
	"425":                                  faults.RespondAfter(425, ""),
	"429 with Retry-After":                 faults.RespondAfter(429, "", "Retry-After", "0"),
	"500":                                  faults.RespondAfter(500, htmlPage),
	"502 in HTML, body not read":           tustest.Respond(502, htmlPage, "Content-Type", "text/html"),
	"503 with an invalid Retry-After":      faults.RespondAfter(503, "", "Retry-After", "soon"),
	"504":                                  faults.RespondAfter(504, ""),
	"511 of a captive portal":              faults.RespondAfter(511, htmlPage),
	"524 of a CDN":                         faults.RespondAfter(524, htmlPage, "Server", "cloudflare"),
}

// goneRows are servers that lose bytes or uploads.
func goneRows() []faultRow {
	lost := fails(tus.ErrNotRecoverable, nothing) // of a stream
	// If the request carried the last byte, the upload may be complete.
	sentAll := fails(tus.ErrUnconfirmed, unconfirmed)
	goneOften := fails(tus.ErrUploadGone, nothing).again(times(16))
	goneOften.more = 3 * 8 // POST, PATCH and HEAD of each creation
	return []faultRow{
		{name: "409, the server lost all bytes", action: faults.Rewind(0), want: fine(2).again(everything), but: map[string]verdict{
			inChunk: fine(3).again(times(2)), streamed: lost, one: fine(0)}},
		{name: "409, the server lost the last bytes", action: faults.Rewind(faultChunk - 100), want: fine(2).again(everything), but: map[string]verdict{
			inChunk: fine(2).again(times(2)), streamed: lost, one: fine(0)}},
		{name: "409, some bytes stored", action: storeAndConflict, want: fine(2).again(request), but: butOne(fine(0))},
		{name: "410, the upload is gone", action: faults.Vanish(), want: fine(2).again(everything).creating(1), but: map[string]verdict{
			inChunk: fine(4).again(times(2)).creating(1), streamed: lost, one: fine(0), single: sentAll, resumed: sentAll,
			parallel: fails(tus.ErrUnconfirmed, partly)}},
		{name: "404 of a proxy", action: faults.RespondAfter(404, ""), want: bytesAgain(), but: butOne(refused(404, nothing))},
		{name: "404 of a proxy, always", times: always, action: faults.RespondAfter(404, ""), want: refused(404, resumable).again(times(8)),
			but: butOne(refused(404, nothing))},
		// HEAD decides whether the upload is gone.
		{name: "404 of the server, which has the upload", action: goneWith(404), want: bytesAgain(), but: butOne(refused(404, nothing))},
		{name: "410 of the server, which has the upload", action: goneWith(410), want: bytesAgain(), but: butOne(refused(410, nothing))},
		{name: "404 of the server three times, which has the upload", times: 3, action: goneWith(404), want: fine(6).again(times(3)),
			but: map[string]verdict{one: refused(404, nothing), parallel: fine(6).again(times(3))}},
		{name: "404 of the server always, which has the upload", times: always, action: goneWith(404), want: refused(404, resumable).again(times(9)),
			but: butOne(refused(404, nothing))},
		{name: "404 of a body limit, always", times: always, action: faults.RespondAfter(404, htmlPage, "Content-Type", "text/html", "Server", "Microsoft-IIS/10.0"),
			want: refused(404, resumable).again(times(8)), but: butOne(refused(404, nothing))},
		{name: "410 always", times: always, action: faults.Vanish(), want: sentAll, but: map[string]verdict{
			inChunk: goneOften, first: goneOften,
			parallel: fails(tus.ErrUnconfirmed, partly), streamed: lost, one: fine(0)}},
	}
}

// storeAndConflict stores the first bytes of a PATCH and responds with 409.
func storeAndConflict(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	if r.Method == http.MethodPost {
		h.Serve(w, r)
		return
	}
	first := make([]byte, faultCut)
	if _, err := io.ReadFull(r.Body, first); err == nil {
		faults.Append(h, r.URL.Path, first)
	}
	h.Serve(w, r)
}

// responseRows are responses that acknowledge less or more than was sent. Responses that
// violate the protocol end the upload.
func responseRows() []faultRow {
	forged := func(name string, offsets ...string) faultRow {
		var header []string
		for _, o := range offsets {
			header = append(header, "Upload-Offset", o)
		}
		return faultRow{name: "Upload-Offset " + name, action: tustest.SetHeader(header...),
			want: fails(tus.ErrProtocol, resumable), but: butOne(fails(tus.ErrProtocol, nothing))}
	}
	absent := forged("absent", "")
	absent.want = fine(1)
	absent.but = butOne(fine(2).again(request)) // the client assumes that the server ignored the data
	equal := forged("repeated, equal", "16384", "16384")
	equal.action = twice("Upload-Offset")
	equal.want, equal.but = fine(0), nil
	back := forged("back to 0", "0")
	back.but = map[string]verdict{single: fine(1), parallel: fine(1), one: fine(2).again(request)}
	return []faultRow{
		{name: "204 for some bytes", action: faults.AcceptOnly(faultCut), want: fine(1).again(rest)},
		{name: "204 for some bytes, always", times: always, action: faults.AcceptOnly(faultCut), want: fine(12).again(times(12))},
		{name: "204 for no bytes", action: faults.AcceptOnly(0), want: bytesAgain(), but: butOne(fine(1).again(request))},
		{name: "204 for no bytes, always", times: always, action: faults.AcceptOnly(0), want: fails(errTemporary, resumable).again(times(9))},
		forged("negative", "-5"), forged("huge", "9223372036854775808"), forged("of 5000 digits", strings.Repeat("9", 5000)),
		forged("beyond what was sent", "61441"), forged("no number", "banana"), forged("repeated", "16384", "32768"),
		absent, back, equal,
		{name: "Upload-Offset with a plus sign and blanks", times: always, action: faults.EditResponse(withSign), want: fine(0)},
		{name: "204 with the old offset, all stored", action: repeatOffset, want: fine(1), but: butOne(fine(2).again(request))},
		{name: "200 with an HTML page", action: faults.RespondAfter(200, htmlPage, "Content-Type", "text/html"),
			want: bytesAgain(), but: butOne(fails(tus.ErrProtocol, nothing))},
	}
}

// withSign adds a plus sign and blanks to Upload-Offset.
func withSign(line string) string {
	if value, ok := strings.CutPrefix(line, "Upload-Offset: "); ok {
		return "Upload-Offset:\t +" + value + " \t"
	}
	return line
}

// repeatOffset stores the data of a request, but responds with the offset from before.
func repeatOffset(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	tustest.SetHeader("Upload-Offset", cmp.Or(r.Header.Get("Upload-Offset"), "0"))(w, r, h)
}

// twice repeats a response header with its value.
func twice(name string) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Serve(&repeatingWriter{w, name}, r)
	}
}

type repeatingWriter struct {
	http.ResponseWriter
	name string
}

func (w *repeatingWriter) WriteHeader(status int) {
	if value := w.Header().Get(w.name); value != "" {
		w.Header().Add(w.name, value)
	}
	w.ResponseWriter.WriteHeader(status)
}

// wireRows are responses that are unusual as HTTP.
func wireRows() []faultRow {
	return []faultRow{
		{name: "interim responses 102", action: faults.Inform(1, 102), want: fine(0)},
		{name: "interim responses 103", action: faults.Inform(2, 103, "Link", "</style.css>; rel=preload"), want: fine(0)},
		{name: "interim responses 104 with an offset", action: faults.Inform(3, 104, "Upload-Offset", "1"), want: fine(0)},
		{name: "a thousand interim responses", action: faults.Inform(1000, 104, "Upload-Offset", "1"), want: fine(0)},
		{name: "endless response body", action: faults.EndlessBody(), want: fine(0)},
		{name: "endless response header", action: faults.EndlessHeader(), want: fine(1), but: butOne(createdAgain())},
		{name: "large response header", action: tustest.SetHeader("X-Large", strings.Repeat("x", 100<<10)), want: fine(0)},
		{name: "not HTTP", action: faults.RespondRaw("SSH-2.0-OpenSSH_9.6\r\n"), want: bytesAgain(), but: butOne(createdAgain())},
		{name: "status 99999", action: faults.RespondRaw("HTTP/1.1 99999 No\r\n\r\n"), want: bytesAgain(), but: butOne(createdAgain())},
		{name: "responds twice", action: faults.RespondTwice(), want: fine(2).again(request)},
	}
}

// redirectRows are redirects. The client follows 307 and 308 with method and body, 301 and
// 302 unless the method is POST, and not 303.
func redirectRows() []faultRow {
	toOtherOrigin := func(status int) func(*stage) tustest.Action {
		return func(s *stage) tustest.Action { return faults.Redirect(status, s.otherOrigin) }
	}
	followed := fine(1).again(request)
	refused, refusedOne := fails(tus.ErrProtocol, resumable), butOne(fails(tus.ErrProtocol, nothing))
	created := butOne(fine(1).again(request).creating(1))
	return []faultRow{
		{name: "307, same origin", action: faults.Redirect(307, ""), want: followed, but: created},
		{name: "308, same origin", action: faults.Redirect(308, ""), want: followed, but: created},
		{name: "307, other origin", with: toOtherOrigin(307), want: followed, but: created},
		{name: "308, other origin", with: toOtherOrigin(308), want: followed, but: created},
		{name: "301, same origin", action: faults.Redirect(301, ""), want: followed, but: refusedOne},
		{name: "302, other origin", with: toOtherOrigin(302), want: followed, but: refusedOne},
		{name: "303, same origin", action: faults.Redirect(303, ""), want: refused, but: refusedOne},
		{name: "307 without Location", action: faults.RespondAfter(307, ""), want: refused, but: refusedOne},
		{name: "307, other origin and back", times: 3, with: thereAndBack, want: fine(2).again(times(2)),
			but: map[string]verdict{parallel: fine(4).again(times(4)), one: fails(tus.ErrProtocol, nothing).again(times(2))}},
		{name: "307 in a loop", times: always, action: faults.Redirect(307, ""), want: fails(tus.ErrProtocol, resumable).again(times(5)),
			but: butOne(fails(tus.ErrProtocol, nothing).again(times(5)))},
	}
}

// thereAndBack redirects to the other origin, which redirects back. The request must not
// get its credentials back.
func thereAndBack(s *stage) tustest.Action {
	endpoint, _ := url.Parse(s.endpoint)
	home := "http://" + endpoint.Host
	var returns atomic.Value // the path of the request
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		switch {
		case r.Host != endpoint.Host:
			returns.Store(r.URL.Path)
			faults.Redirect(307, home)(w, r, h)
		case returns.Load() == nil:
			faults.Redirect(307, s.otherOrigin)(w, r, h)
		case r.Header.Get("Authorization") != "" && r.URL.Path == returns.Load(): // and not of another part
			faults.RespondAfter(http.StatusForbidden, "credentials were sent again")(w, r, h)
		default:
			h.Serve(w, r)
		}
	}
}

// checksumRows are bytes that change in transit, and servers that verify wrongly. A chunk
// is resent three times.
func checksumRows() []faultRow {
	algorithms := []string{"sha1", "md5", "sha256", "sha512", "crc32"}
	mismatch := fails(tus.ErrChecksumMismatch, resumable).again(times(3))
	var rows []faultRow
	for mode, name := range map[checksumMode]string{inHeader: "checksum before", inTrailer: "checksum after"} {
		rows = append(rows,
			faultRow{name: name + ", a bit flips", checksums: mode, action: faults.FlipBit(1000),
				want: bytesAgain(), but: butOne(createdAgain())},
			faultRow{name: name + ", a bit always flips", checksums: mode, times: always, action: faults.FlipBit(1000),
				want: mismatch},
			faultRow{name: name + ", 460", checksums: mode, action: faults.RespondAfter(460, ""),
				want: bytesAgain(), but: butOne(createdAgain())},
			faultRow{name: name + ", 460 always", checksums: mode, times: always, action: faults.RespondAfter(460, ""),
				want: mismatch},
			faultRow{name: name + ", all algorithms but md5 are refused", checksums: mode, times: always,
				action: faults.RefuseAlgorithm("sha1", "sha256", "sha512", "crc32"), want: fine(8).again(times(4)).creating(4),
				but: map[string]verdict{parallel: fine(32).again(times(16))}},
			faultRow{name: name + ", every algorithm is refused", checksums: mode, times: always,
				action: faults.RefuseAlgorithm(algorithms...), want: fine(10).again(times(5)).creating(5),
				but: map[string]verdict{parallel: fine(40).again(times(20))}},
			// An incomplete chunk cannot be verified and is not stored.
			faultRow{name: name + ", cut in the body", checksums: mode, action: tustest.CutAfter(faultCut),
				want: bytesAgain(), but: butOne(createdAgain())},
		)
	}
	slices.SortFunc(rows, func(a, b faultRow) int { return strings.Compare(a.name, b.name) })
	return rows
}

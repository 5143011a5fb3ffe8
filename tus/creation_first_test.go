package tus_test

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// firstChunk returns options for an upload in chunks of 1000 bytes, the first of which is in
// the creation.
func firstChunk() *tus.UploadOptions {
	return &tus.UploadOptions{ChunkSize: 1000, FirstChunkInCreation: true}
}

// sourcesOf returns sources of the same bytes.
func sourcesOf(t *testing.T, data []byte) map[string]tus.Source {
	return map[string]tus.Source{
		"file":    tus.File(tempFile(t, data)),
		"bytes":   tus.Bytes(data),
		"seeker":  tus.ReadSeeker(bytes.NewReader(data), int64(len(data))),
		"Reader":  tus.Reader(bytes.NewReader(data)),
		"ReaderN": tus.ReaderN(bytes.NewReader(data), int64(len(data))),
	}
}

func TestFirstChunk_SavesOneRequest(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 1001, 2000, 3500} {
		data := randomBytes(n)
		for name, source := range sourcesOf(t, data) {
			srv := tustest.NewServer(t, nil)
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}}).Upload(testContext(t), source, firstChunk())
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", name, n, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			want := max(0, (n+999)/1000-1)
			if name == "Reader" && n == 2000 { // the end is found after the last full chunk
				want++
			}
			if got := srv.Count("PATCH"); got != want || carried(srv.Handler)[0] != int64(min(n, 1000)) || res.Stats.Sent != int64(n) {
				t.Errorf("%s, %d bytes: %d PATCH requests, the creation carried %v, stats are %+v", name, n, got, carried(srv.Handler), res.Stats)
			}
		}
	}
}

func TestFirstChunk_Size(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		opts tus.UploadOptions
		want []int64 // bytes of the requests
	}{
		{tus.UploadOptions{}, []int64{mib, 2 * mib}},
		{tus.UploadOptions{CreationLimit: 100}, []int64{100, 3*mib - 100}},
		{tus.UploadOptions{CreationLimit: 8 * mib}, []int64{3 * mib}},
		{tus.UploadOptions{ChunkSize: 2 * mib}, []int64{2 * mib, mib}},
		{tus.UploadOptions{ChunkSize: 2 * mib, CreationLimit: mib}, []int64{mib, 2 * mib}},
		{tus.UploadOptions{ChunkSize: mib, CreationLimit: 2 * mib}, []int64{mib, mib, mib}},
		{tus.UploadOptions{DeferLength: true}, []int64{mib, 2 * mib}},
		{tus.UploadOptions{DeferLength: true, CreationLimit: 3 * mib}, []int64{3 * mib, 0}},
	} {
		srv, data := tustest.NewServer(t, nil), randomBytes(3*mib)
		test.opts.FirstChunkInCreation = true
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), &test.opts)
		if err != nil {
			t.Fatalf("%+v: %v", test.opts, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		var got []int64
		for _, r := range srv.Requests() {
			if r.Method != http.MethodOptions {
				got = append(got, r.Body)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%+v: requests carry %v, want %v", test.opts, got, test.want)
		}
	}
}

func TestFirstChunk_StopAtBoundsIt(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(3500)
	opts := firstChunk()
	opts.StopAt = 300
	u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.ReaderN(bytes.NewReader(data), 3500), opts)
	if err != nil {
		t.Fatal(err)
	}
	res := resumePaused(t, u)
	wantStored(t, srv.Handler, res.URL, data)
	if carried(srv.Handler)[0] != 300 || res.Stats.Sent != 3500 {
		t.Errorf("the creation carried %v, stats are %+v", carried(srv.Handler), res.Stats)
	}
}

func TestFirstChunk_OnlyWhereItIsPossible(t *testing.T) {
	data := randomBytes(3500)
	for name, test := range map[string]struct {
		server []string // extensions that it lacks
		client tus.Options
		opts   func(*tus.UploadOptions)
	}{
		"not advertised": {server: []string{"creation-with-upload"}},
		"with checksums": {client: tus.Options{Checksums: checksum.Builtin()}},
		"in parts":       {opts: func(o *tus.UploadOptions) { o.Parallel, o.ParallelOptions.MinPartSize = 2, 1000 }},
	} {
		srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without(test.server...)})
		opts := firstChunk()
		if test.opts != nil {
			test.opts(opts)
		}
		res, err := newClient(t, srv.Endpoint(), &test.client).Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		for _, n := range carried(srv.Handler) {
			if n != 0 {
				t.Errorf("%s: a creation carried %d bytes", name, n)
			}
		}
	}
}

func TestFirstChunk_NegativeLimitIsInvalid(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	_, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(nil), &tus.UploadOptions{FirstChunkInCreation: true, CreationLimit: -1})
	wantError(t, err, tus.ErrInvalidInput)
}

// TestFirstChunk_FailedCreationIsRepeatedWithoutBytes has faults after which the client does
// not know whether the server has the bytes, or where.
func TestFirstChunk_FailedCreationIsRepeatedWithoutBytes(t *testing.T) {
	data := randomBytes(3500)
	for name, action := range map[string]tustest.Action{
		"413": faults.RespondAfter(413, ""), "response lost": tustest.LoseResponse(), "cut": tustest.CutAfter(300), "503": tustest.Respond(503, ""),
	} {
		for kind, source := range sourcesOf(t, data) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "POST", Action: action})
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, firstChunk())
			if err != nil {
				t.Fatalf("%s, %s: %v", name, kind, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if got := carried(srv.Handler); len(got) != 2 || got[1] != 0 || res.Stats.Resent > 1000 {
				t.Errorf("%s, %s: creations carried %v, stats are %+v", name, kind, got, res.Stats)
			}
		}
	}
}

func TestFirstChunk_PartialAcceptance(t *testing.T) {
	data := randomBytes(3500)
	for _, accepted := range []int64{0, 1, 999, 1000} {
		for kind, source := range sourcesOf(t, data) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "POST", Action: faults.AcceptOnly(accepted)})
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, firstChunk())
			if err != nil {
				t.Fatalf("%d, %s: %v", accepted, kind, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if res.Stats.Resent != 1000-accepted || srv.Count("POST") != 1 || srv.Count("HEAD") != 0 {
				t.Errorf("%d accepted, %s: stats are %+v", accepted, kind, res.Stats)
			}
		}
	}
}

func TestFirstChunk_InvalidResponseEndsUpload(t *testing.T) {
	for name, action := range map[string]tustest.Action{
		"no Location":               tustest.SetHeader("Location", ""),
		"offset beyond the chunk":   tustest.SetHeader("Upload-Offset", "1001"),
		"offset of the whole":       tustest.SetHeader("Location", "", "Upload-Offset", "3500"),
		"offset is not a number":    tustest.SetHeader("Upload-Offset", "many"),
		"redirect without Location": faults.RespondAfter(307, ""),
	} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: action})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(3500)), firstChunk())
		if !errors.Is(err, tus.ErrProtocol) || res.Stats.Uploaded != 0 || srv.Count("PATCH") != 0 {
			t.Errorf("%s: %v, stats are %+v", name, err, res.Stats)
		}
	}
}

func TestFirstChunk_RedirectCarriesTheBytes(t *testing.T) {
	data := randomBytes(3500)
	for kind, source := range sourcesOf(t, data) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "POST", Action: faults.Redirect(307, "")})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, firstChunk())
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if got := carried(srv.Handler); got[len(got)-1] != 1000 {
			t.Errorf("%s: creations carried %v", kind, got)
		}
	}
}

// TestFirstChunk_URLIsStoredBeforeTheNextRequest interrupts the upload after the creation;
// a later session resumes it.
func TestFirstChunk_URLIsStoredBeforeTheNextRequest(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(3500)
	srv.Inject(tustest.Fault{Method: "POST", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if recs := records(t, store); len(recs) != 1 || recs[0].UploadURL != "" { // for other Uploaders of the source
			t.Errorf("records before the creation are %+v", recs)
		}
		h.Serve(w, r)
	}})
	srv.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if recs := records(t, store); len(recs) != 1 || !strings.HasSuffix(recs[0].UploadURL, r.URL.Path) {
			t.Errorf("records are %+v", recs)
		}
		tustest.Respond(403, "")(w, r, h)
	}})
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	_, err := client.Upload(testContext(t), tus.Bytes(data), firstChunk())
	wantError(t, err, tus.ErrUnauthorized)
	res, err := client.Upload(testContext(t), tus.Bytes(data), firstChunk())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if res.Stats.ResumedFrom != 1000 || srv.Count("POST") != 1 {
		t.Errorf("stats are %+v", res.Stats)
	}
}

func TestFirstChunk_GoneUploadStartsOver(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(3500)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: faults.Vanish()})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), firstChunk())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if res.Stats.Restarts != 1 || !slices.Equal(carried(srv.Handler), []int64{1000, 1000}) {
		t.Errorf("creations carried %v, stats are %+v", carried(srv.Handler), res.Stats)
	}
}

func TestFirstChunk_TooLargeSourceCreatesNothing(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{MaxSize: 3000})
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(3500)), firstChunk())
	wantError(t, err, tus.ErrTooLarge)
	wantMethods(t, srv.Handler, "OPTIONS")
}

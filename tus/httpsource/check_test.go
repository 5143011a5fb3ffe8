package httpsource_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// swappingWriter is a server that sends a file while it is overwritten: the second
// half is of the new version.
type swappingWriter struct {
	http.ResponseWriter
	swap  func()
	other []byte
	sent  int
}

func (w *swappingWriter) Write(p []byte) (int, error) {
	if w.sent >= len(w.other)/2 {
		w.swap()
		p = w.other[w.sent : w.sent+len(p)]
	}
	n, err := w.ResponseWriter.Write(p)
	w.sent += n
	return n, err
}

// uploadWhole sends the source in one request.
func uploadWhole(t *testing.T, srv *tustest.Server, url string) (*tus.Result, error) {
	t.Helper()
	opts := &tus.UploadOptions{CreationLimit: -1, Checksum: "off"}
	return newClient(t, srv, nil).Upload(testContext(t), newSource(t, url, nil), opts)
}

// The data changes within a response, and the server refuses the check that follows: it is
// repeated at the end of the upload.
func TestStat_RefusedCheckIsRepeated(t *testing.T) {
	data, other := randomBytes(2_000_000), randomBytes(2_100_000)[100_000:]
	for kind, serve := range map[string]func(*site, http.ResponseWriter, *http.Request){
		"ranges": (*site).serve, "no ranges": (*site).serveWhole,
	} {
		t.Run(kind, func(t *testing.T) {
			served := newSite(data)
			busy := false
			served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
				switch {
				case kind == "ranges" && n == 0:
					serve(served, w, r)
				case busy:
					busy = false
					http.Error(w, "busy", http.StatusServiceUnavailable)
				default:
					swap := func() { served.change(other, `"v2"`); busy = true }
					serve(served, &swappingWriter{ResponseWriter: w, swap: swap, other: other}, r)
				}
				return true
			}
			_, err := uploadWhole(t, tustest.NewServer(t, nil), served.start(t))
			wantError(t, err, tus.ErrSourceChanged)
		})
	}
}

// A stream is checked, too, if it has a strong validator.
func TestStream_ChangeWithinResponseFails(t *testing.T) {
	data, other := randomBytes(2_000_000), randomBytes(2_100_000)[100_000:]
	for name, validators := range map[string]struct {
		etag, etagAfter         string
		modified, modifiedAfter time.Time
		deaf                    bool // ignores If-None-Match
	}{
		"ETag":                         {etag: `"v1"`, etagAfter: `"v2"`},
		"ETag, conditions are ignored": {etag: `"v1"`, etagAfter: `"v2"`, deaf: true},
		"Last-Modified":                {modified: longAgo, modifiedAfter: longAgo.Add(time.Hour)},
		"Last-Modified goes back":      {modified: longAgo, modifiedAfter: longAgo.Add(-time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(data)
			served.etag, served.modified = validators.etag, validators.modified
			served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
				if validators.deaf {
					r.Header.Del("If-None-Match")
				}
				swap := func() {
					served.mu.Lock()
					defer served.mu.Unlock()
					served.data, served.etag, served.modified = other, validators.etagAfter, validators.modifiedAfter
				}
				served.serveWhole(&swappingWriter{ResponseWriter: w, swap: swap, other: other}, r)
				return true
			}
			_, err := uploadWhole(t, tustest.NewServer(t, nil), served.start(t))
			wantError(t, err, tus.ErrSourceChanged)
		})
	}
}

// A stream of unknown length is checked at its end, with retries: there is no later check.
func TestUnknownSize_ChangeWithinResponseFails(t *testing.T) {
	data, other := randomBytes(2_000_000), randomBytes(2_100_000)[100_000:]
	for name, chunk := range map[string]int64{"in chunks": 300_000, "in one": 0} {
		t.Run(name, func(t *testing.T) {
			served := newSite(data[:1_000_000])
			served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
				switch n {
				case 0:
					served.serveChunked(w, r)
					served.change(other, `"v2"`)
					w.Write(other[1_000_000:])
				case 1, 2:
					http.Error(w, "busy", http.StatusServiceUnavailable)
				default:
					served.serveWhole(w, r)
				}
				return true
			}
			srv := tustest.NewServer(t, nil)
			_, err := newClient(t, srv, nil).Upload(testContext(t), newSource(t, served.start(t), nil),
				&tus.UploadOptions{ChunkSize: chunk, Checksum: "off"})
			wantError(t, err, tus.ErrSourceChanged)
			for _, up := range srv.Uploads() {
				if up.Complete() {
					t.Error("server holds a complete upload")
				}
			}
		})
	}
}

// The check of a stream is conditional, so that its response has no body.
func TestStream_CheckReadsNoBody(t *testing.T) {
	for kind, serve := range map[string]func(*site, http.ResponseWriter, *http.Request){
		"with a length": (*site).serveWhole,
		"in chunks": func(s *site, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-None-Match") == s.etag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			s.serveChunked(w, r)
		},
	} {
		t.Run(kind, func(t *testing.T) {
			data := randomBytes(1_000_000)
			served := newSite(data)
			served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool { serve(served, w, r); return true }
			srv := tustest.NewServer(t, nil)
			result, err := uploadWhole(t, srv, served.start(t))
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv, result.URL, data)
			var asked []string
			for _, r := range served.requests() {
				asked = append(asked, r.Header.Get("If-None-Match"))
			}
			if !slices.Equal(asked, []string{"", `"v1"`}) {
				t.Errorf("requests had If-None-Match %q", asked)
			}
		})
	}
}

// If-None-Match compares weakly: if the 304 has another ETag, the header of a whole
// response decides.
func TestStream_WeakResponseToCheckIsRepeated(t *testing.T) {
	data := randomBytes(1_000_000)
	for etag, want := range map[string]error{`"v1"`: nil, `"v2"`: tus.ErrSourceChanged} {
		served := newSite(data)
		served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
			switch {
			case r.Header.Get("If-None-Match") != "":
				w.Header().Set("Etag", `W/"v1"`)
				w.WriteHeader(http.StatusNotModified)
				return true
			case n > 0:
				served.change(data, etag)
			}
			served.serveWhole(w, r)
			return true
		}
		_, err := uploadWhole(t, tustest.NewServer(t, nil), served.start(t))
		if !errors.Is(err, want) {
			t.Errorf("ETag is %s: error is %v, want %v", etag, err, want)
		}
	}
}

// A stream that cannot be requested again does not fail for that.
func TestStream_FailedCheckIsIgnored(t *testing.T) {
	data := randomBytes(1_000_000)
	for kind, serve := range map[string]func(*site, http.ResponseWriter, *http.Request){
		"with a length": (*site).serveWhole, "in chunks": (*site).serveChunked,
	} {
		t.Run(kind, func(t *testing.T) {
			served := newSite(data)
			served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n > 0 {
					http.Error(w, "this link was used", http.StatusGone)
				} else {
					serve(served, w, r)
				}
				return true
			}
			srv := tustest.NewServer(t, nil)
			result, err := uploadWhole(t, srv, served.start(t))
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv, result.URL, data)
		})
	}
}

// Without a strong validator there is no check.
func TestStream_WithoutStrongValidatorIsNotChecked(t *testing.T) {
	for _, etag := range []string{"", `W/"v1"`} {
		served := newSite(randomBytes(1_000_000))
		served.etag = etag
		served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool { served.serveWhole(w, r); return true }
		if _, err := uploadWhole(t, tustest.NewServer(t, nil), served.start(t)); err != nil {
			t.Fatal(err)
		}
		served.wantRanges(t, "bytes=0-0")
	}
}

package httpsource_test

import (
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
)

// A server that sends a validator with whole responses only: the range of the first request
// has none, so the data is read as a stream.
func TestValidators_OfWholeResponsesOnlyAreNoChange(t *testing.T) {
	data := randomBytes(100_000)
	for name, test := range map[string]struct {
		ranged, whole map[string]string // headers
		strong        bool
	}{
		"ETag":               {whole: map[string]string{"Etag": `"v1"`}, strong: true},
		"Last-Modified":      {whole: map[string]string{"Last-Modified": longAgo.Format(http.TimeFormat)}, strong: true},
		"weak ETag":          {whole: map[string]string{"Etag": `W/"v1"`}},
		"another, weak ETag": {ranged: map[string]string{"Etag": `W/"part"`}, whole: map[string]string{"Etag": `W/"v1"`}},
		"Last-Modified beside a weak ETag": {
			ranged: map[string]string{"Etag": `W/"v1"`},
			whole:  map[string]string{"Etag": `W/"v1"`, "Last-Modified": longAgo.Format(http.TimeFormat)},
			strong: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(data)
			served.etag = ""
			served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				header := test.ranged
				if r.Header.Get("Range") == "" {
					header = test.whole
				}
				for name, value := range header {
					w.Header().Set(name, value)
				}
				served.serve(w, r)
				return true
			}
			source := newSource(t, served.start(t), nil)
			info := stat(t, source)
			if !info.Sequential || info.Size != int64(len(data)) {
				t.Fatalf("Stat returns %+v", info)
			}
			wantRead(t, source, 0, data)
			served.wantRanges(t, "bytes=0-0", "") // the probe keeps the whole response for the reader
			if again := stat(t, source); again != info {
				t.Errorf("Stat returns %+v, before it was %+v", again, info)
			}
			// The validator of the whole response also permits going back.
			got, err := readFrom(t, source, 60_000)
			switch {
			case !test.strong:
				wantError(t, err, tus.ErrNotRecoverable)
			case err != nil || string(got) != string(data[60_000:]):
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
}

// The range has the size, and the whole response has none.
func TestValidators_SizeOfRangeIsUsed(t *testing.T) {
	data := randomBytes(100_000)
	served := newSite(data)
	served.etag = ""
	served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Header.Get("Range") != "" {
			return false
		}
		served.serveChunked(w, r)
		return true
	}
	source := newSource(t, served.start(t), nil)
	if info := stat(t, source); info.SizeUnknown || info.Size != int64(len(data)) {
		t.Fatalf("Stat returns %+v", info)
	}
	wantRead(t, source, 0, data)
}

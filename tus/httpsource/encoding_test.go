package httpsource_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"testing"
)

// A list may be spread over several lines (RFC 9110, 5.3).
func TestContentEncoding_AnyHeaderLineFails(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(randomBytes(100_000))
	z.Close()
	for name, lines := range map[string][]string{
		"after an empty line":  {"", "gzip"},
		"after identity":       {"identity", "gzip"},
		"after a comma":        {"identity, gzip"},
		"after an empty entry": {", gzip"},
		"before identity":      {"gzip", "identity"},
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(packed.Bytes())
			served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				w.Header()["Content-Encoding"] = lines
				served.serve(w, r)
				return true
			}
			got, err := readFrom(t, newSource(t, served.start(t), nil), 0)
			if err == nil {
				t.Errorf("%d bytes of gzip were taken for the data", len(got))
			}
		})
	}
}

func TestContentEncoding_IdentityIsAccepted(t *testing.T) {
	data := randomBytes(1000)
	for _, lines := range [][]string{{""}, {"identity"}, {"Identity"}, {"identity", "identity"}, {" identity ,"}} {
		served := newSite(data)
		served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.Header()["Content-Encoding"] = lines
			served.serve(w, r)
			return true
		}
		wantRead(t, newSource(t, served.start(t), nil), 0, data)
	}
}

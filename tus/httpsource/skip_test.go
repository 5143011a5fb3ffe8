package httpsource_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
)

// A body that ends before the offset is either that of a broken connection, which is
// retried, or of data that is shorter now, which drops the record of the upload.
func TestStream_EndBeforeOffset(t *testing.T) {
	data := randomBytes(200_000)
	for name, test := range map[string]struct {
		header, body string
		changed      bool
	}{
		"ends with the connection": {
			header: "HTTP/1.1 200 OK\r\nConnection: close\r\n", body: string(data[:50_000]),
		},
		"ends with the connection, HTTP/1.0": {
			header: "HTTP/1.0 200 OK\r\n", body: string(data[:50_000]),
		},
		"is shorter than its length": {
			header: "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n", body: string(data[:50_000]),
		},
		"breaks within its chunks": {
			header: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", body: chunkOf(data[:50_000]),
		},
		"ends its chunks": {
			header: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", body: chunkOf(data[:50_000]) + "0\r\n\r\n", changed: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(data)
			served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n != 1 {
					return false
				}
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return true
				}
				io.WriteString(conn, test.header+"Etag: \"v1\"\r\n\r\n"+test.body)
				conn.Close()
				return true
			}
			source := newSource(t, served.start(t), nil)
			stat(t, source)
			got, err := readFrom(t, source, 100_000)
			switch {
			case test.changed:
				wantError(t, err, tus.ErrSourceChanged)
			case err != nil || string(got) != string(data[100_000:]):
				t.Errorf("read %d bytes, %v (temporary: %v)", len(got), err, tus.IsRetryable(err))
			}
		})
	}
}

func chunkOf(data []byte) string { return fmt.Sprintf("%x\r\n%s\r\n", len(data), data) }

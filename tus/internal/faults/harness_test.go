package faults_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// do sends a request with net/http and returns status, header and body of the
// response. The status is 0 if the connection was cut.
func do(t *testing.T, method, url, body string, fields ...string) (status int, header http.Header, text string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	return roundTrip(t, req)
}

func roundTrip(t *testing.T, req *http.Request) (status int, header http.Header, text string) {
	t.Helper()
	req.Header.Set("Tus-Resumable", "1.0.0")
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, nil, ""
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(data)
}

// create creates an upload of 10 bytes and returns its path.
func create(t *testing.T, srv *tustest.Server) string {
	t.Helper()
	status, header, _ := do(t, http.MethodPost, srv.Endpoint(), "", "Upload-Length", "10")
	if status != http.StatusCreated {
		t.Fatalf("creation: status %d", status)
	}
	return header.Get("Location")
}

func wantContent(t *testing.T, srv *tustest.Server, path, content string) {
	t.Helper()
	if up, ok := srv.Upload(path); !ok || up.Terminated || string(up.Data) != content {
		t.Errorf("%s holds %q (%v), want %q", path, up.Data, ok, content)
	}
}

package faults_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// dialPatch sends the header of a PATCH with Content-Length 5, and body, which may
// be shorter.
func dialPatch(t *testing.T, srv *tustest.Server, upload, body string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", srv.HTTP.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nContent-Length: 5\r\n"+
		"Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n\r\n%s", upload, body)
	return conn, bufio.NewReader(conn)
}

// readResponse reads one response to a PATCH.
func readResponse(t *testing.T, r *bufio.Reader) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: "PATCH"})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestEarlyResponse_PrecedesBody(t *testing.T) {
	for name, test := range map[string]struct {
		action tustest.Action
		sent   string // before the response
		status int
		offset string
		stored string
	}{
		"refused":  {faults.RespondEarly(403, "no"), "", 403, "", ""},
		"accepted": {faults.AcceptEarly(2), "he", 204, "2", "he"},
		"nothing":  {faults.AcceptEarly(0), "", 204, "0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			upload := create(t, srv)
			srv.Inject(tustest.Fault{Method: "PATCH", Action: test.action})
			conn, r := dialPatch(t, srv, upload, test.sent)
			resp := readResponse(t, r)
			if resp.StatusCode != test.status || resp.Header.Get("Upload-Offset") != test.offset {
				t.Errorf("status is %d, offset %q", resp.StatusCode, resp.Header.Get("Upload-Offset"))
			}
			io.Copy(io.Discard, resp.Body)
			// The server reads the rest, and the connection is reused.
			fmt.Fprintf(conn, "%sHEAD %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\n\r\n", "hello"[len(test.sent):], upload)
			if resp, err := http.ReadResponse(r, &http.Request{Method: "HEAD"}); err != nil || resp.StatusCode != 200 {
				t.Errorf("next response is %v, %v", resp, err)
			}
			wantContent(t, srv, upload, test.stored)
			if first := srv.Requests()[1]; first.Body != 5 || first.Status != test.status {
				t.Errorf("log entry is %+v", first)
			}
		})
	}
}

func TestInform_PrecedesResponse(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: faults.Inform(3, 104, "X-Interim", "yes")})
	var interim []string
	req, err := http.NewRequest("PATCH", srv.HTTP.URL+upload, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	req.Header.Set("Upload-Offset", "0")
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		interim = append(interim, fmt.Sprint(code, header.Get("X-Interim")))
		return nil
	}}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if !slices.Equal(interim, []string{"104yes", "104yes", "104yes"}) || resp.StatusCode != 204 || resp.Header.Get("X-Interim") != "" {
		t.Errorf("interim responses are %v, then %d %v", interim, resp.StatusCode, resp.Header)
	}
	wantContent(t, srv, upload, "hello")
}

func TestRedirect_KeepsPath(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv)
	for origin, want := range map[string]string{
		"":                     upload + "?redirected",
		"https://example.org":  "https://example.org" + upload + "?redirected",
		"https://example.org/": "https://example.org" + upload + "?redirected",
	} {
		srv.Inject(tustest.Fault{Method: "PATCH", Action: faults.Redirect(308, origin)})
		status, header, _ := do(t, "PATCH", srv.HTTP.URL+upload, "hello", "Upload-Offset", "0")
		if status != 308 || header.Get("Location") != want {
			t.Errorf("%q: status is %d, Location %q, want %q", origin, status, header.Get("Location"), want)
		}
	}
	if status, _, _ := do(t, "PATCH", srv.HTTP.URL+upload+"?redirected", "hello", "Upload-Offset", "0"); status != 204 {
		t.Errorf("redirected request: status %d", status)
	}
	wantContent(t, srv, upload, "hello")
}

func TestResponse_SlowCutAndRaw(t *testing.T) {
	const proper = "HTTP/1.1 204 No Content\r\n"
	for name, test := range map[string]struct {
		action tustest.Action
		start  string // of the response
		stored string
	}{
		"slowly":            {faults.RespondSlowly(7, time.Microsecond), proper, "hello"},
		"slowly by nothing": {faults.RespondSlowly(0, time.Microsecond), proper, "hello"},
		"cut":               {faults.CutResponse(12), proper[:12], "hello"},
		"cut at once":       {faults.CutResponse(-1), "", "hello"},
		"not cut":           {faults.CutResponse(1 << 20), proper, "hello"},
		"raw":               {faults.RespondRaw("SSH-2.0-OpenSSH\r\n"), "SSH-2.0-OpenSSH\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			upload := create(t, srv)
			srv.Inject(tustest.Fault{Method: "PATCH", Action: test.action})
			_, r := dialPatch(t, srv, upload, "hello")
			got, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			whole := strings.HasSuffix(string(got), "\r\n\r\n")
			if !strings.HasPrefix(string(got), test.start) || test.start == proper && !whole || test.start != proper && string(got) != test.start {
				t.Errorf("client read %q", got)
			}
			wantContent(t, srv, upload, test.stored)
		})
	}
}

func TestRespondTwice_IsReadByNextRequest(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: faults.RespondTwice()})
	conn, r := dialPatch(t, srv, upload, "hello")
	for range 2 {
		if resp := readResponse(t, r); resp.StatusCode != 204 || resp.Header.Get("Upload-Offset") != "5" {
			t.Errorf("response is %d %v", resp.StatusCode, resp.Header)
		}
	}
	// The server sends nothing more.
	io.WriteString(conn, "HEAD")
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("unexpected bytes %q", rest)
	}
	if n := srv.Count("PATCH"); n != 1 {
		t.Errorf("server handled %d requests", n)
	}
}

func TestRespondTwice_EndsWithServer(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: faults.RespondTwice()})
	_, r := dialPatch(t, srv, upload, "hello")
	readResponse(t, r)
	srv.Close()
	readResponse(t, r)
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("unexpected bytes %q", rest)
	}
}

func TestEndless_BodyAndHeader(t *testing.T) {
	for name, test := range map[string]struct {
		action tustest.Action
		method string
		status string
	}{
		"body":          {faults.EndlessBody(), "PATCH", "200 OK"},
		"header":        {faults.EndlessHeader(), "PATCH", "204 No Content"},
		"body of POST":  {faults.EndlessBody(), "POST", "201 Created"},
		"header of GET": {faults.EndlessHeader(), "GET", "405 Method Not Allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			target, field := create(t, srv), "Upload-Offset: 0"
			if test.method == "POST" {
				target, field = "/files/", "Upload-Length: 10"
			}
			srv.Inject(tustest.Fault{Method: test.method, Action: test.action})
			conn, err := net.Dial("tcp", srv.HTTP.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\n%s\r\n"+
				"Content-Type: application/offset+octet-stream\r\nContent-Length: 5\r\n\r\nhello", test.method, target, field)
			start := make([]byte, 4<<20)
			if _, err := io.ReadFull(conn, start); err != nil {
				t.Fatal(err)
			}
			if want := "HTTP/1.1 " + test.status + "\r\n"; !strings.HasPrefix(string(start), want) {
				t.Errorf("response starts with %q, want %q", start[:40], want)
			}
		})
	}
	// The response to HEAD has no body.
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv)
	srv.Inject(tustest.Fault{Method: "HEAD", Action: faults.EndlessBody()})
	if status, header, _ := do(t, "HEAD", srv.HTTP.URL+upload, ""); status != 200 || header.Get("Upload-Offset") != strconv.Itoa(0) {
		t.Errorf("HEAD: status %d, header %v", status, header)
	}
}

package tustest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// dialPatch sends the head of a PATCH of 5 bytes, and the body unless it is
// held back.
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

// readAnswer reads one answer to a PATCH.
func readAnswer(t *testing.T, r *bufio.Reader) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: "PATCH"})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestEarlyAnswersLeaveBeforeTheBodyHasCome(t *testing.T) {
	for name, test := range map[string]struct {
		action tustest.Action
		sent   string // before the answer
		status int
		offset string
		stored string
	}{
		"refused":  {tustest.RespondEarly(403, "no"), "", 403, "", ""},
		"accepted": {tustest.AcceptEarly(2), "he", 204, "2", "he"},
		"nothing":  {tustest.AcceptEarly(0), "", 204, "0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			upload := create(t, srv, "Upload-Length: 10")
			srv.Inject(tustest.Fault{Method: "PATCH", Action: test.action})
			conn, r := dialPatch(t, srv, upload, test.sent)
			resp := readAnswer(t, r)
			if resp.StatusCode != test.status || resp.Header.Get("Upload-Offset") != test.offset {
				t.Errorf("answer is %d, offset %q", resp.StatusCode, resp.Header.Get("Upload-Offset"))
			}
			io.Copy(io.Discard, resp.Body)
			// The rest is taken, and another request goes over the same connection.
			fmt.Fprintf(conn, "%sHEAD %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\n\r\n", "hello"[len(test.sent):], upload)
			if resp, err := http.ReadResponse(r, &http.Request{Method: "HEAD"}); err != nil || resp.StatusCode != 200 {
				t.Errorf("next answer is %v, %v", resp, err)
			}
			wantContent(t, srv, upload, test.stored)
			if first := srv.Requests()[1]; first.Body != 5 || first.Status != test.status {
				t.Errorf("log says %+v", first)
			}
		})
	}
}

func TestInterimAnswersPrecedeTheAnswer(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 10")
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Inform(3, 104, "X-Interim", "yes")})
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
		t.Errorf("interim answers %v, then %d %v", interim, resp.StatusCode, resp.Header)
	}
	wantContent(t, srv, upload, "hello")
}

func TestRedirectNamesTheSamePath(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 10")
	for origin, want := range map[string]string{
		"":                     upload + "?redirected",
		"https://example.org":  "https://example.org" + upload + "?redirected",
		"https://example.org/": "https://example.org" + upload + "?redirected",
	} {
		srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Redirect(308, origin)})
		status, header, _ := do(t, "PATCH", srv.HTTP.URL+upload, "hello", "Upload-Offset", "0")
		if status != 308 || header.Get("Location") != want {
			t.Errorf("%q: answer is %d, Location %q, want %q", origin, status, header.Get("Location"), want)
		}
	}
	if status, _, _ := do(t, "PATCH", srv.HTTP.URL+upload+"?redirected", "hello", "Upload-Offset", "0"); status != 204 {
		t.Errorf("request that was redirected is answered with %d", status)
	}
	wantContent(t, srv, upload, "hello")
}

func TestAnswersOnABadWire(t *testing.T) {
	const proper = "HTTP/1.1 204 No Content\r\n"
	for name, test := range map[string]struct {
		action tustest.Action
		start  string // of what the client reads
		status int    // in the log
		stored string
	}{
		"slowly":            {tustest.AnswerSlowly(7, time.Microsecond), proper, 204, "hello"},
		"slowly by nothing": {tustest.AnswerSlowly(0, time.Microsecond), proper, 204, "hello"},
		"cut":               {tustest.CutAnswer(12), proper[:12], 204, "hello"},
		"cut at once":       {tustest.CutAnswer(-1), "", 204, "hello"},
		"not cut":           {tustest.CutAnswer(1 << 20), proper, 204, "hello"},
		"raw":               {tustest.AnswerRaw("SSH-2.0-OpenSSH\r\n"), "SSH-2.0-OpenSSH\r\n", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			upload := create(t, srv, "Upload-Length: 10")
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
			wantLogged(t, srv, test.status)
		})
	}
}

// wantLogged fails unless the log says in the end that the last request was
// answered with a status: the entry is written after the client has the answer.
func wantLogged(t *testing.T, srv *tustest.Server, status int) {
	t.Helper()
	last := func() tustest.Request { log := srv.Requests(); return log[len(log)-1] }
	for end := time.Now().Add(10 * time.Second); last().Status != status; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("log says %+v", last())
		}
	}
}

func TestAnswerTwiceIsReadByTheNextRequest(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 10")
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.AnswerTwice()})
	conn, r := dialPatch(t, srv, upload, "hello")
	for range 2 {
		if resp := readAnswer(t, r); resp.StatusCode != 204 || resp.Header.Get("Upload-Offset") != "5" {
			t.Errorf("answer is %d %v", resp.StatusCode, resp.Header)
		}
	}
	// Nothing more comes over this connection.
	io.WriteString(conn, "HEAD")
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("then %q", rest)
	}
	if n := srv.Count("PATCH"); n != 1 {
		t.Errorf("%d requests were served", n)
	}
}

func TestAnswerTwiceEndsWithTheServer(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 10")
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.AnswerTwice()})
	_, r := dialPatch(t, srv, upload, "hello")
	readAnswer(t, r)
	srv.Close()
	readAnswer(t, r)
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("then %q", rest)
	}
}

func TestEndlessAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		action tustest.Action
		method string
		status string
	}{
		"body":          {tustest.EndlessAnswer(), "PATCH", "200 OK"},
		"header":        {tustest.EndlessHeader(), "PATCH", "204 No Content"},
		"body of POST":  {tustest.EndlessAnswer(), "POST", "201 Created"},
		"header of GET": {tustest.EndlessHeader(), "GET", "405 Method Not Allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			target, field := create(t, srv, "Upload-Length: 10"), "Upload-Offset: 0"
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
				t.Errorf("answer begins with %q, want %q", start[:40], want)
			}
		})
	}
	// HEAD has no body that could be endless.
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 10")
	srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.EndlessAnswer()})
	if status, header, _ := do(t, "HEAD", srv.HTTP.URL+upload, ""); status != 200 || header.Get("Upload-Offset") != strconv.Itoa(0) {
		t.Errorf("HEAD is answered with %d %v", status, header)
	}
}

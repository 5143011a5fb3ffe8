package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
)

// sums returns the lines of a manifest for the contents of files.
func sums(contents map[string]string, names ...string) string {
	text := ""
	for _, name := range names {
		text += hexOf([]byte(contents[name])) + "  " + name + "\n"
	}
	return text
}

// verify runs tusup verify in a directory with these files.
func verify(t *testing.T, manifest string, contents map[string]string, args ...string) outcome {
	t.Helper()
	cmd := command(t, append([]string{"verify", "SHA256SUMS"}, args...)...)
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(cmd.Dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(cmd.Dir, "SHA256SUMS"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	return finish(t, cmd)
}

func TestVerify_LocalFiles(t *testing.T) {
	t.Parallel()
	was := map[string]string{"a": "a", "b": "b", "c": "c"}
	manifest := sums(was, "a", "b", "c")
	for name, test := range map[string]struct {
		now  map[string]string
		args []string
		want outcome
	}{
		"equal":           {was, nil, outcome{exitOK, "a: OK\nb: OK\nc: OK\n", ""}},
		"different":       {map[string]string{"a": "a", "b": "x", "c": "c"}, nil, outcome{exitFailed, "a: OK\nb: FAILED\nc: OK\n", "tusup: equal: 2, different: 1\n"}},
		"missing":         {map[string]string{"a": "a", "c": "c"}, nil, outcome{exitFailed, "a: OK\nb: missing\nc: OK\n", "tusup: equal: 2, missing: 1\n"}},
		"missing ignored": {map[string]string{"a": "a", "c": "c"}, []string{"--ignore-missing"}, outcome{exitOK, "a: OK\nb: missing\nc: OK\n", "tusup: equal: 2, missing: 1\n"}},
		"JSON": {map[string]string{"a": "x"}, []string{"--json"}, outcome{exitFailed, fmt.Sprintf(
			`{"file":"a","digest":"sha256:%s","local":"different"}`+"\n"+`{"file":"b","digest":"sha256:%s","local":"missing"}`+"\n"+`{"file":"c","digest":"sha256:%s","local":"missing"}`+"\n",
			hexOf([]byte("a")), hexOf([]byte("b")), hexOf([]byte("c"))), "tusup: different: 1, missing: 2\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := verify(t, manifest, test.now, test.args...); got != test.want {
				t.Errorf("outcome is %+v", got)
			}
		})
	}
}

func TestVerify_InvalidManifestFails(t *testing.T) {
	t.Parallel()
	a := map[string]string{"a": "a"}
	for name, test := range map[string]struct{ manifest, want string }{
		"empty":     {"", "no entries"},
		"comments":  {"# https://example.org/\n", "no entries"},
		"one line":  {sums(a, "a") + "nonsense\n", "SHA256SUMS: line 2: no SHA-256 digest and name"},
		"directory": {strings.Replace(sums(a, "a"), "  a", "  .", 1), "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := verify(t, test.manifest, a); got.code != exitFailed || !strings.Contains(got.stderr, test.want) {
				t.Errorf("outcome is %+v", got)
			}
		})
	}
	if got := tusup(t, "verify", "missing"); got.code != exitFailed || !strings.Contains(got.stderr, "missing") {
		t.Errorf("missing manifest: %+v", got)
	}
}

func TestVerify_ManifestOfSha256sumOnStandardInput(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("NOTICE: sha256sum is missing")
	}
	cmd := command(t, "verify", "-")
	writeTree(t, cmd.Dir, "a b", "new\nline", "back\\slash")
	list := exec.Command(path, "--binary", "a b", "new\nline", "back\\slash")
	list.Dir = cmd.Dir
	if cmd.Stdin, err = list.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := list.Start(); err != nil {
		t.Fatal(err)
	}
	defer list.Wait()
	if got := finish(t, cmd); got.code != exitOK || got.stdout != "a b: OK\n"+`new\nline: OK`+"\n"+`back\slash: OK`+"\n" {
		t.Errorf("outcome is %+v", got)
	}
}

func TestVerifyRemote_ComparesUploadsOfTusd(t *testing.T) {
	t.Parallel()
	endpoint, dir := serve(t)
	cmd := command(t, "--endpoint", endpoint, "--json", "--manifest", "SHA256SUMS", "a", "b", "-")
	writeTree(t, cmd.Dir, "a", "b")
	cmd.Stdin = strings.NewReader("stream")
	got := finish(t, cmd)
	if got.code != exitOK {
		t.Fatalf("outcome is %+v", got)
	}
	uploads := lines(t, got.stdout)
	manifest, err := os.ReadFile(filepath.Join(cmd.Dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	same := map[string]string{"a": "a", "b": "b"}
	got = verify(t, string(manifest), same, "--download")
	if got.code != exitOK || strings.Count(got.stdout, ": OK\n") != 5 || got.stderr != "" {
		t.Errorf("outcome is %+v", got)
	}
	stored := filepath.Join(dir, lastSegment(uploads["b"].URL))
	if err := os.WriteFile(stored, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	got = verify(t, string(manifest), same, "--download")
	if got.code != exitFailed || strings.Count(got.stdout, ": OK\n") != 4 || !strings.Contains(got.stdout, lastSegment(stored)+": FAILED\n") {
		t.Errorf("outcome is %+v", got)
	}
}

// downloadServer serves "content" with handler, and returns the manifest of its URL.
func downloadServer(t *testing.T, handler http.HandlerFunc) (srv *httptest.Server, manifest string) {
	t.Helper()
	srv = httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv, "# " + srv.URL + "/files/1?token=planted\n" + sums(map[string]string{"a": "content"}, "a")
}

func TestVerifyRemote_Responses(t *testing.T) {
	t.Parallel()
	local := map[string]string{"a": "content"}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		code    int
		remote  report.Verdict
		err     string
	}{
		"equal": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") == "identity" {
				fmt.Fprint(w, "content")
			}
		}, exitOK, report.Equal, ""},
		"different":   {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "other") }, exitFailed, report.Different, ""},
		"not found":   {status(http.StatusNotFound), exitOK, report.NotServed, "404 Not Found"},
		"no method":   {status(http.StatusMethodNotAllowed), exitOK, report.NotServed, "405 Method Not Allowed"},
		"forbidden":   {status(http.StatusForbidden), exitFailed, report.Unreadable, "403"},
		"unavailable": {status(http.StatusServiceUnavailable), exitFailed, report.Unreadable, "503"},
		"no content":  {status(http.StatusNoContent), exitFailed, report.Unreadable, "204"},
		"compressed": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, "zipped")
		}, exitOK, report.NotServed, "gzip"},
		"cut off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "content")
		}, exitFailed, report.Unreadable, "unexpected EOF"},
		"stalled": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "content")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, exitFailed, report.Unreadable, "no data within the timeout"},
		"no response": {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, exitFailed, report.Unreadable, "no data within the timeout"},
		"slow": {func(w http.ResponseWriter, r *http.Request) {
			for _, c := range "content" {
				fmt.Fprintf(w, "%c", c)
				w.(http.Flusher).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		}, exitOK, report.Equal, ""},
		"loop": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/files/1", http.StatusFound) }, exitFailed, report.Unreadable, "redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			_, manifest := downloadServer(t, test.handler)
			got := verify(t, manifest, local, "--download", "--json", "--stall-timeout", "400ms", "--response-timeout", "400ms")
			wantSchema(t, got.stdout)
			var l report.Verified
			if err := json.Unmarshal([]byte(got.stdout), &l); err != nil {
				t.Fatalf("outcome is %+v: %v", got, err)
			}
			if got.code != test.code || l.Local != report.Equal || l.Remote != test.remote || !strings.Contains(l.RemoteError, test.err) {
				t.Errorf("outcome is %+v", got)
			}
			if strings.Contains(l.RemoteError, "planted") {
				t.Errorf("error has the query: %s", l.RemoteError)
			}
		})
	}
}

func TestVerifyRemote_EntryWithoutURLIsCounted(t *testing.T) {
	t.Parallel()
	got := verify(t, sums(map[string]string{"a": "a"}, "a"), map[string]string{"a": "a"}, "--download")
	if got != (outcome{exitOK, "a: OK\na: no URL in the manifest\n", "tusup: equal: 1, without a URL: 1\n"}) {
		t.Errorf("outcome is %+v", got)
	}
}

func TestVerifyRemote_CredentialsStayAtTheirOrigin(t *testing.T) {
	t.Parallel()
	credentials := func(r *http.Request) string {
		return r.Header.Get("Authorization") + r.Header.Get("X-Env") + r.Header.Get("X-Flag") + r.Header.Get("Cookie")
	}
	other := make(chan string, 1)
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		other <- credentials(r)
		fmt.Fprint(w, "content")
	}))
	defer storage.Close()
	own := make(chan string, 1)
	srv, manifest := downloadServer(t, func(w http.ResponseWriter, r *http.Request) {
		own <- credentials(r)
		http.Redirect(w, r, storage.URL+"/object", http.StatusTemporaryRedirect)
	})
	cmd := command(t, "verify", "--download", "--endpoint", srv.URL+"/files/", "--header", "X-Flag: F", "--header", "Cookie: C", "SHA256SUMS")
	cmd.Env = append(cmd.Env, "TUS_TOKEN=T", "TUS_HEADERS=X-Env: E")
	if err := os.WriteFile(filepath.Join(cmd.Dir, "SHA256SUMS"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	writeTree(t, cmd.Dir, "a")
	if got := finish(t, cmd); !strings.Contains(got.stdout, "/files/1?token=planted: OK\n") {
		t.Errorf("outcome is %+v", got)
	}
	if got := <-own; got != "Bearer TEFC" {
		t.Errorf("the endpoint received %q", got)
	}
	if got := <-other; got != "" {
		t.Errorf("another origin received %q", got)
	}
}

func TestVerifyRemote_WithheldCredentialsAreNamed(t *testing.T) {
	t.Parallel()
	_, manifest := downloadServer(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	got := verify(t, manifest, map[string]string{"a": "content"}, "--download", "--endpoint", "http://other.example/files/", "--header", "X-Flag: F")
	if got.code != exitFailed || !strings.Contains(got.stderr, "--trusted-origin http://127.0.0.1:") {
		t.Errorf("outcome is %+v", got)
	}
}

func TestVerify_InterruptEndsDownload(t *testing.T) {
	t.Parallel()
	started := make(chan struct{}, 1)
	_, manifest := downloadServer(t, func(w http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		<-r.Context().Done()
	})
	cmd := command(t, "verify", "--download", "SHA256SUMS")
	if err := os.WriteFile(filepath.Join(cmd.Dir, "SHA256SUMS"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-started
	cmd.Process.Signal(os.Interrupt)
	wantExit(t, cmd, 5*time.Second, exitInterrupted)
}

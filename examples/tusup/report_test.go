package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// lines decodes the JSON of files, by file name.
func lines(t *testing.T, stdout string) map[string]report.File {
	t.Helper()
	byFile := map[string]report.File{}
	files, _ := decodeAll(t, stdout)
	for _, f := range files {
		byFile[filepath.Base(f.File)] = f
	}
	return byFile
}

func TestJSON_FileHasSameFieldsAlways(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 10)
	got := tusup(t, "--endpoint", srv.Endpoint(), "--json", "--checksum", "off", path, "missing.bin")
	always := []string{"bytes_resent", "bytes_sent", "elapsed_ms", "file", "offset", "requests", "resumed_from", "retries", "size", "url"}
	decodeAll(t, got.stdout)
	for text := range strings.Lines(got.stdout) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(text), &fields); err != nil {
			t.Fatal(err)
		}
		want := always
		switch {
		case fields["summary"] != nil:
			want = []string{"summary"}
		case fields["file"] == "missing.bin":
			want = slices.Sorted(slices.Values(append([]string{"error"}, always...)))
		}
		if names := slices.Sorted(maps.Keys(fields)); !slices.Equal(names, want) {
			t.Errorf("fields are %q, want %q", names, want)
		}
	}
	if strings.Count(got.stdout, "\n") != 3 {
		t.Errorf("standard output: %s", got.stdout)
	}
}

func TestJSON_EveryCommandMatchesSchema(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 1_000_000)
	state := filepath.Join(t.TempDir(), "uploads.db")
	upload := mustUpload(t, "--endpoint", srv.Endpoint(), "--no-state", path)
	interrupted(t, srv, command(t, "--endpoint", srv.Endpoint(), "--state", state, "--chunk-size", "100KB", path))
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"info", upload.URL}, exitOK, `"complete":true`},
		{[]string{"capabilities", "--endpoint", srv.Endpoint()}, exitOK, `"creation"`},
		{[]string{"list", "--state", state}, exitOK, `"size":1000000`},
		{[]string{"terminate", upload.URL}, exitOK, `"terminated":`},
		{[]string{"info", upload.URL}, exitFailed, `"status":410,"kind":"gone"`},
		{[]string{"capabilities"}, exitUsage, `"kind":"usage"`},
		{[]string{"forget", "--state", state, "nonsense"}, exitFailed, `"kind":"other"`},
		{[]string{"forget", "--state", state, "--all"}, exitOK, `"forgotten":1`},
	} {
		got := tusup(t, append([]string{"--json"}, test.args...)...)
		if got.code != test.code || !strings.Contains(got.stdout, test.want) || strings.Count(got.stdout, "\n") != 1 {
			t.Errorf("%q: outcome is %+v", test.args, got)
		}
		wantSchema(t, got.stdout)
	}
}

func TestJSON_ErrorHasStatusAndKind(t *testing.T) {
	path, _ := randomFile(t, 300_000)
	for kind, test := range map[report.Kind]struct {
		fault tustest.Fault
		want  report.Error
	}{
		"unauthorized": {tustest.Fault{Method: "POST", Action: tustest.Respond(401, "no")}, report.Error{Status: 401}},
		"too_large":    {tustest.Fault{Method: "PATCH", Skip: 1, Action: tustest.Respond(413, "no")}, report.Error{Status: 413, Offset: 100_000}},
		"server":       {tustest.Fault{Method: "POST", Action: tustest.Respond(503, "busy")}, report.Error{Status: 503, Retryable: true}},
	} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(test.fault)
		got := tusup(t, "--json", "--endpoint", srv.Endpoint(), "--retries", "0", "--chunk-size", "100KB", path)
		e := decode(t, got.stdout).Error
		if got.code != exitFailed || e == nil {
			t.Fatalf("%s: outcome is %+v", kind, got)
		}
		if test.want.Kind, test.want.Message = kind, e.Message; *e != test.want || e.Message == "" {
			t.Errorf("error is %+v, want %+v", *e, test.want)
		}
	}
}

func TestOutput_ClosedPipeDoesNotEndUploads(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 1000)
	again, _ := randomFile(t, 1000)
	third, _ := randomFile(t, 1000)
	upload := mustUpload(t, "--endpoint", srv.Endpoint(), "--no-state", path)
	before := len(srv.Uploads())
	for name, args := range map[string][]string{
		"upload":       {"--endpoint", srv.Endpoint(), "--no-state", "--concurrency", "1", path, again, third},
		"json":         {"--endpoint", srv.Endpoint(), "--no-state", "--json", path},
		"info":         {"info", upload.URL},
		"capabilities": {"capabilities", "--endpoint", srv.Endpoint()},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		cmd := command(t, args...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = w, &stderr
		cmd.Run()
		w.Close()
		if code := cmd.ProcessState.ExitCode(); code != exitFailed || strings.Count(stderr.String(), "standard output") != 1 {
			t.Errorf("%s: exit code %d, standard error: %s", name, code, stderr.String())
		}
	}
	complete := 0
	for _, up := range srv.Uploads()[before:] {
		if up.Complete() {
			complete++
		}
	}
	if complete != 4 {
		t.Errorf("%d of 4 files were uploaded", complete)
	}
}

func TestInterrupt_ReportsFilesNotStarted(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	first, _ := randomFile(t, 1_000_000)
	dir := t.TempDir()
	args := []string{"--endpoint", srv.Endpoint(), "--no-state", "--json", "--concurrency", "1", "--chunk-size", "100KB", first}
	for _, name := range []string{"second", "third"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	got := interrupted(t, srv, command(t, args...))
	byFile := lines(t, got.stdout)
	if got.code != exitInterrupted || len(byFile) != 3 || len(srv.Uploads()) != 1 {
		t.Fatalf("exit code %d, %d uploads, output:\n%s%s", got.code, len(srv.Uploads()), got.stdout, got.stderr)
	}
	for name, l := range byFile {
		if l.Error == nil || (l.URL != "") != (name == "file.bin") {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

func TestInterrupt_FailedFileIsNotPaused(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Respond(403, "no")})
	failing, _ := randomFile(t, 300_000)
	pausing, _ := randomFile(t, 1_000_000)
	got := interrupted(t, srv, command(t, "--endpoint", srv.Endpoint(), "--no-state", "--concurrency", "1",
		"--chunk-size", "100KB", failing, pausing))
	if got.code != exitInterrupted || !strings.Contains(got.stderr, "1 of 2 files unfinished, 1 failed, ") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

// storeAndStall makes one PATCH, after skip others, store 400 kB and then stall. It returns a
// channel that is closed when they are stored.
func storeAndStall(srv *tustest.Server, skip int) <-chan struct{} {
	stored := make(chan struct{})
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: skip, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		body := r.Body
		r.Body = io.NopCloser(io.LimitReader(body, 400_000))
		h.Serve(httptest.NewRecorder(), r)
		close(stored)
		r.Body = body
		tustest.Stall()(w, r, h)
	}})
	return stored
}

// The server may have stored bytes that it could not acknowledge.
func TestInterrupt_ReportsStoredBytes(t *testing.T) {
	path, data := randomFile(t, 1_000_000)
	for name, test := range map[string]struct {
		patches int // that get a response before the interrupt
		stalled int // HEAD requests
		args    []string
		want    string
	}{
		"one PATCH":  {0, 0, []string{path}, path + " is unfinished, 390.6 KiB of 976.6 KiB stored"},
		"chunks":     {1, 0, []string{"--chunk-size", "500KB", path}, path + " is unfinished, 878.9 KiB of 976.6 KiB stored"},
		"stream":     {1, 0, []string{"--chunk-size", "500KB", "-"}, "- is unfinished, 878.9 KiB stored"},
		"lock":       {1, 1, []string{"--chunk-size", "500KB", path}, path + " is unfinished, 878.9 KiB of 976.6 KiB stored"},
		"no offset":  {1, 2, []string{"--chunk-size", "500KB", path}, path + " is unfinished, at least 488.3 KiB of 976.6 KiB stored"},
		"no offsets": {0, 2, []string{path}, path + " is unfinished"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("creation-with-upload")})
			stored := storeAndStall(srv, test.patches)
			if test.stalled > 0 {
				srv.Inject(tustest.Fault{Method: "HEAD", Times: test.stalled, Action: tustest.Stall()})
			}
			cmd := command(t, append(test.args, "--endpoint", srv.Endpoint(), "--no-state", "--checksum", "off")...)
			cmd.Stdin = bytes.NewReader(append(slices.Clone(data), 0))
			got := signaled(t, os.Interrupt, stored, cmd)
			if got.code != exitInterrupted || !strings.Contains(got.stderr, "tusup: interrupted: "+test.want+"\n") {
				t.Errorf("exit code %d, want %q in:\n%s", got.code, test.want, got.stderr)
			}
			if has := len(srv.Uploads()[0].Data); has != test.patches*500_000+400_000 {
				t.Errorf("the server has %d bytes", has)
			}
		})
	}
}

func TestJSON_WrongFlagIsUsageError(t *testing.T) {
	for _, args := range [][]string{{"--json", "--bogus", "x"}, {"--chunk-size=x", "--json", "y"}, {"info", "--json"}, {"list", "--json", "--retries=1"}, {"up", "--json", "-dash"}} {
		got := tusup(t, args...)
		wantSchema(t, got.stdout)
		if got.code != exitUsage || !strings.HasPrefix(got.stdout, `{"error":{"kind":"usage",`) || got.stderr == "" {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestJSON_ServePrintsEndpoint(t *testing.T) {
	text, _ := serveLine(t, "--json")
	wantSchema(t, text)
	var serving report.Serving
	if err := json.Unmarshal([]byte(text), &serving); err != nil || serving.Endpoint == "" {
		t.Errorf("printed %q: %v", text, err)
	}
}

func TestInterrupt_JSONHasStoredBytes(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("creation-with-upload")})
	path, _ := randomFile(t, 1_000_000)
	stored := storeAndStall(srv, 0)
	got := signaled(t, os.Interrupt, stored, command(t, "--json", "--endpoint", srv.Endpoint(), "--checksum", "off", path))
	file := decode(t, got.stdout)
	if has := int64(len(srv.Uploads()[0].Data)); file.Offset != has || file.Error == nil || file.Error.Kind != report.KindInterrupted {
		t.Errorf("the server has %d bytes, printed: %s", has, got.stdout)
	}
}

// The second run is interrupted before it knows where it resumes.
func TestInterrupt_BytesOfAnEarlierRunAreStored(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 1_000_000)
	cmd := func() *exec.Cmd {
		c := command(t, "--endpoint", srv.Endpoint(), "--chunk-size", "100KB", path)
		c.Env = append(c.Env, "XDG_STATE_HOME="+filepath.Dir(path))
		return c
	}
	interrupted(t, srv, cmd())
	stalled := make(chan struct{})
	srv.Inject(tustest.Fault{Method: "HEAD", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		close(stalled)
		tustest.Stall()(w, r, h)
	}})
	got := signaled(t, os.Interrupt, stalled, cmd())
	if got.code != exitInterrupted || !strings.Contains(got.stderr, "is unfinished, 195.3 KiB of 976.6 KiB stored\n") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

func TestInterrupt_FailedStateIsNotResumed(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 1_000_000)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--chunk-size", "100KB", path)
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME=", "HOME=")
	got := interrupted(t, srv, cmd)
	if got.code != exitInterrupted || !strings.Contains(got.stderr, "tusup: to resume: tusup --upload-url ") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

func TestInterrupt_TwoLinesForManyFiles(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	dir := t.TempDir()
	for i := range 20 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), make([]byte, 200_000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := interrupted(t, srv, command(t, "--endpoint", srv.Endpoint(), "--progress", "none", "--chunk-size", "100KB", dir))
	_, text, ok := strings.Cut(got.stderr, "tusup: interrupted: ")
	first, rest, _ := strings.Cut(text, "\n")
	if got.code != exitInterrupted || !ok || !regexp.MustCompile(`^\d+ of 20 files unfinished \(\d+ not started\), (\S+) KiB of \S+ MiB stored$`).MatchString(first) ||
		rest != "tusup: to resume, run the same command again\n" {
		t.Errorf("exit code %d:\n%s", got.code, got.stderr)
	}
}

func TestInterrupt_NamesLastError(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 300_000)
	failed := make(chan struct{})
	var once sync.Once
	srv.Inject(tustest.Fault{Method: "POST", Times: 100, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		tustest.Respond(503, "closed for repairs")(w, r, h)
		once.Do(func() { time.AfterFunc(300*time.Millisecond, func() { close(failed) }) })
	}})
	got := signaled(t, os.Interrupt, failed, command(t, "--endpoint", srv.Endpoint(), "--progress", "none", path))
	if got.code != exitInterrupted || !strings.Contains(got.stderr, "last error: ") || !strings.Contains(got.stderr, "closed for repairs") {
		t.Errorf("exit code %d:\n%s", got.code, got.stderr)
	}
}

// Before their concatenation, parts have no common URL.
func TestInterrupt_SameCommandResumesParts(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 17_000_000)
	args := []string{"--endpoint", srv.Endpoint(), "--parallel", "3", "--chunk-size", "1MiB", "--state", filepath.Join(t.TempDir(), "uploads.db"), path}
	stalled := make(chan struct{})
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 4, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		close(stalled) // of five requests, at most three are in flight
		tustest.Stall()(w, r, h)
	}})
	got := signaled(t, os.Interrupt, stalled, command(t, args...))
	if got.code != exitInterrupted || !regexp.MustCompile(`is unfinished, [1-9]\S* MiB of 16\.2 MiB stored\n`).MatchString(got.stderr) ||
		!strings.HasSuffix(got.stderr, "to resume, run the same command again\n") {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	parts := srv.Count("POST")
	wantStored(t, srv, mustUpload(t, args...).URL, data)
	if created := srv.Count("POST") - parts; created > 1 {
		t.Errorf("%d more were created", created)
	}
}

func TestInterrupt_PartsWithoutStateStartOver(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 17_000_000)
	got := interrupted(t, srv, command(t, "--endpoint", srv.Endpoint(), "--parallel", "3", "--chunk-size", "1MiB", "--no-state", path))
	if got.code != exitInterrupted || !strings.Contains(got.stderr, "the next run starts over") || strings.Contains(got.stderr, "to resume") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

// shell runs a command line with the tusup of the tests.
func shell(t *testing.T, dir, text string) outcome {
	t.Helper()
	cmd := command(t)
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", text}
	cmd.Dir = dir
	cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
	return finish(t, cmd)
}

func TestInterrupt_PrintedCommandResumesAnyName(t *testing.T) {
	for _, name := range []string{"my file's $(touch pwned).bin", "-x.bin"} {
		srv := tustest.NewServer(t, nil)
		_, data := randomFile(t, 1_000_000)
		cmd := command(t, "--endpoint", srv.Endpoint(), "--no-state", "--chunk-size", "100KB", "./"+name)
		if err := os.WriteFile(filepath.Join(cmd.Dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		got := interruptedBy(t, syscall.SIGTERM, srv, cmd)
		_, printed, ok := strings.Cut(got.stderr, "to resume: ")
		if got.code != exitInterrupted || !ok {
			t.Fatalf("exit code %d: %s", got.code, got.stderr)
		}
		if resumed := shell(t, cmd.Dir, printed); resumed.code != exitOK {
			t.Fatalf("%s\n%+v", printed, resumed)
		}
		wantStored(t, srv, srv.Uploads()[0].ID, data)
		if _, err := os.Stat(filepath.Join(cmd.Dir, "pwned")); err == nil {
			t.Error("the shell ran a part of the file name")
		}
	}
}

func TestShellQuote_IsOneWord(t *testing.T) {
	for _, s := range []string{"plain", "a b", "it's", "';touch pwned;'", "$HOME `id` \\ \"x\"", "*", ""} {
		out, err := exec.Command("/bin/sh", "-c", "printf '[%s]' "+shellQuote(s)).Output()
		if err != nil || string(out) != "["+s+"]" {
			t.Errorf("%q became %s, %v", s, out, err)
		}
	}
}

func TestShellQuote_EscapesUnprintableBytes(t *testing.T) {
	for name, want := range map[string]string{
		"b\xffd":     `$'b\377d'`,
		"b\ufffdd":   "'b\ufffdd'", // another file
		"two\nlines": `$'two\012lines'`,
		"it's\x1b\\": `$'it\047s\033\134'`,
	} {
		got := shellQuote(name)
		if got != want || oneLine(got) != got {
			t.Errorf("%q became %s, want %s", name, got, want)
		}
	}
	if one, other := oneLine("b\xffd"), oneLine("b\xfed"); one != `b\xffd` || other != `b\xfed` {
		t.Errorf("names are shown as %s and %s", one, other)
	}
}

func TestInterrupt_PrintedCommandMentionsHeaders(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 1_000_000)
	got := interruptedBy(t, syscall.SIGTERM, srv,
		command(t, "--endpoint", srv.Endpoint(), "--no-state", "--chunk-size", "100KB", "--header", "X-Key: S3CRET", path))
	_, printed, _ := strings.Cut(got.stderr, "to resume: ")
	if !strings.Contains(printed, "with the same --header") || strings.Contains(got.stderr, "S3CRET") {
		t.Errorf("standard error is %s", got.stderr)
	}
}

func TestOutput_HasNoPasswordOfUploadURL(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 300_000)
	created := mustUpload(t, "--endpoint", srv.Endpoint(), "--no-state", path)
	withPassword := strings.Replace(created.URL, "http://", "http://user:S3CRET@", 1)
	for _, args := range [][]string{
		{"info", withPassword}, {"info", "--json", withPassword}, {"--upload-url", withPassword, path}, {"--upload-url", withPassword, "--json", path}, {withPassword}, {"--json", withPassword},
	} {
		got := tusup(t, args...)
		if strings.Contains(got.stdout+got.stderr, "S3CRET") {
			t.Errorf("%v: %s%s", args, got.stdout, got.stderr)
		}
		if last := len(args) - 1; args[last] == withPassword && args[0] != "info" && got.code != exitUsage {
			t.Errorf("a URL instead of a file: exit code %d", got.code)
		}
	}
	wantStored(t, srv, srv.Uploads()[0].ID, data)
}

func TestList_CreatesNoDatabase(t *testing.T) {
	state := filepath.Join(t.TempDir(), "typo", "uploads.db")
	for _, args := range [][]string{{"list"}, {"forget", "--all"}, {"forget", "print"}} {
		cmd := command(t, append(args, "--state", state)...)
		if got := finish(t, cmd); got.code != exitFailed || !strings.Contains(got.stderr, "uploads.db") {
			t.Errorf("%v of no database: exit code %d, %s", args, got.code, got.stderr)
		}
		home := t.TempDir() // without a database
		cmd = command(t, args...)
		cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+home)
		want := exitOK
		if args[len(args)-1] == "print" {
			want = exitFailed // no upload has that fingerprint
		}
		if got := finish(t, cmd); got.code != want || got.stdout != "" {
			t.Errorf("%v by default: exit code %d, %s%s", args, got.code, got.stdout, got.stderr)
		}
		for _, dir := range []string{filepath.Dir(state), filepath.Join(home, "tusup")} {
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("%v created %s", args, dir)
			}
		}
	}
}

func TestTerminateOnFail_ResultHasNoURL(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Respond(403, "no")})
	path, _ := randomFile(t, 300_000)
	got := tusup(t, "--endpoint", srv.Endpoint(), "--json", "--chunk-size", "100KB", "--terminate-on-fail", path)
	if l := decode(t, got.stdout); got.code != exitFailed || l.URL != "" || l.Error == nil {
		t.Errorf("line is %+v", l)
	}
}

func TestProgress_PipeGetsNoBar(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 300_000)
	for _, mode := range []string{"auto", "plain", "none"} {
		got := tusup(t, "--endpoint", srv.Endpoint(), "--no-state", "--progress", mode, path)
		if got.code != exitOK || strings.ContainsAny(got.stderr, "\r\x1b") {
			t.Errorf("%s: exit code %d, standard error %q", mode, got.code, got.stderr)
		}
		if mode == "none" && got.stderr != "" {
			t.Errorf("none: standard error %q", got.stderr)
		}
	}
}

func TestVerbose_LogsRequestsWithoutResponse(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.CutBefore()})
	path, _ := randomFile(t, 1000)
	got := tusup(t, "--endpoint", srv.Endpoint()+"?token=secret", "--verbose", "--no-state", path)
	if got.code != exitOK || !strings.Contains(got.stderr, "no response") || strings.Contains(got.stderr, "secret") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	if logged := strings.Count(got.stderr, "tusup: POST "+srv.Endpoint()+": "); logged != srv.Count("POST") {
		t.Errorf("%d POST logged, %d made:\n%s", logged, srv.Count("POST"), got.stderr)
	}
}

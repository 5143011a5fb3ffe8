package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestUpload_StoresExactBytesOnTusd(t *testing.T) {
	endpoint, dir := serve(t)
	const mb = 5_000_000
	sizes := map[string][]int{
		"0":    {0, 1, mb, 100 << 20},
		"1MiB": {0, 1, 1<<20 - 1, 1 << 20, 1<<20 + 1},
		"5MB":  {mb - 1, mb, mb + 1},
	}
	for chunk, list := range sizes {
		for _, size := range list {
			t.Run(fmt.Sprintf("chunk=%s/size=%d", chunk, size), func(t *testing.T) {
				path, data := randomFile(t, size)
				l := mustUpload(t, "--endpoint", endpoint, "--chunk-size", chunk, path)
				wantOnDisk(t, dir, l.URL, data)
				if l.File != path || l.Size != int64(size) || l.BytesSent != int64(size) || l.BytesResent != 0 || l.Error != nil {
					t.Errorf("result is %+v", l)
				}
			})
		}
	}
}

func TestUpload_OneChunkTakesOnePost(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum", "checksum-trailer")})
	path, data := randomFile(t, 1<<20)
	l := mustUpload(t, "--endpoint", srv.Endpoint(), "--chunk-size", "1MiB", path)
	wantStored(t, srv, l.URL, data)
	if srv.Count("OPTIONS") != 1 || srv.Count("POST") != 1 || len(srv.Requests()) != 2 || l.Requests != 2 {
		t.Errorf("requests: %d OPTIONS, %d POST, %d in all, %d reported", srv.Count("OPTIONS"), srv.Count("POST"), len(srv.Requests()), l.Requests)
	}
}

func TestUpload_WithFlagsStoresBytes(t *testing.T) {
	for name, args := range map[string][]string{
		"plain":           nil,
		"chunks":          {"--chunk-size", "100KB"},
		"parallel":        {"--chunk-size", "1MiB", "--parallel", "3"},
		"deferred length": {"--deferred-length", "--chunk-size", "1MiB"},
		"checksum":        {"--checksum", "sha1", "--chunk-size", "1MiB"},
		"no checksum":     {"--checksum", "off"},
		"limited":         {"--bwlimit", "1GB"},
		"no state":        {"--no-state"},
		"stat":            {"--fingerprint", "stat", "--chunk-size", "1MiB"},
		"content":         {"--fingerprint", "content", "--chunk-size", "1MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			path, data := randomFile(t, 17_000_000)
			l := mustUpload(t, append(args, "--endpoint", srv.Endpoint(), path)...)
			wantStored(t, srv, l.URL, data)
			want := map[string]string{"checksum": "sha1", "no checksum": ""}
			if algorithm, ok := want[name]; ok && l.Checksum != algorithm {
				t.Errorf("checksum is %q", l.Checksum)
			}
		})
	}
}

func TestUpload_StandardInputHasUnknownSize(t *testing.T) {
	for _, size := range []int{0, 1000, 3_000_000} {
		srv := tustest.NewServer(t, nil)
		_, data := randomFile(t, size)
		cmd := command(t, "--endpoint", srv.Endpoint(), "--json", "--chunk-size", "1MiB", "-")
		cmd.Stdin = bytes.NewReader(data)
		got := finish(t, cmd)
		if got.code != exitOK {
			t.Fatalf("exit code %d: %s", got.code, got.stderr)
		}
		wantStored(t, srv, decode(t, got.stdout).URL, data)
	}
}

func TestUpload_DirectoryAndFile(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	root := filepath.Join(t.TempDir(), "photos")
	for _, name := range []string{"a.jpg", "2026/b.jpg", "2026/11/c.jpg"} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	single, _ := randomFile(t, 10)
	got := tusup(t, "--endpoint", srv.Endpoint(), "--json", "--relative-names", root, single)
	if files, _ := decodeAll(t, got.stdout); got.code != exitOK || len(files) != 4 {
		t.Fatalf("exit code %d, output %s%s", got.code, got.stdout, got.stderr)
	}
	var names []string
	for _, up := range srv.Uploads() {
		names = append(names, up.Metadata)
	}
	slices.Sort(names)
	const text = ",filetype dGV4dC9wbGFpbjsgY2hhcnNldD11dGYtOA==" // of the files with their names as text
	want := []string{                                             // a.jpg, file.bin, 2026/11/c.jpg, 2026/b.jpg
		"filename MjAyNi8xMS9jLmpwZw==" + text, "filename MjAyNi9iLmpwZw==" + text, "filename YS5qcGc=" + text, "filename ZmlsZS5iaW4=",
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("metadata is %q", names)
	}
}

func TestUsage_ErrorIsOneLineAndSendsNothing(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 100)
	endpoint := "--endpoint=" + srv.Endpoint()
	missing := filepath.Join(t.TempDir(), "missing.bin")
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":             {[]string{endpoint}, exitUsage, "FILE"},
		"missing file":        {[]string{endpoint, missing}, exitFailed, "missing.bin"},
		"directory, not file": {[]string{endpoint, "--upload-url", srv.Endpoint() + "x", t.TempDir(), path}, exitUsage, "--upload-url"},
		"scheme":              {[]string{"--endpoint=ftp://example.org/", path}, exitUsage, "ftp"},
		"endpoint twice":      {[]string{endpoint, "--local", path}, exitUsage, "--local"},
		"no scheme":           {[]string{"--endpoint=localhost:1080/files/", path}, exitUsage, "missing http://"},
		"no scheme, host":     {[]string{"--endpoint=example.org/files/", path}, exitUsage, "missing https://"},
		"no URL":              {[]string{"--endpoint=http://[::1", path}, exitUsage, "not a URL"},
		"no host":             {[]string{"--endpoint=http://", path}, exitUsage, "no host"},
		"held policy":         {[]string{endpoint, "--held", "forget", path}, exitUsage, "--held"},
		"metadata key":        {[]string{endpoint, "--metadata", "a b=c", path}, exitUsage, "metadata key"},
		"metadata twice":      {[]string{endpoint, "--metadata", "a=b", "--metadata", "a=c", path}, exitUsage, "duplicate key"},
		"metadata form":       {[]string{endpoint, "--metadata", "abc", path}, exitUsage, "key=value"},
		"negative chunk":      {[]string{endpoint, "--chunk-size=-1", path}, exitUsage, "negative"},
		"size":                {[]string{endpoint, "--chunk-size=many", path}, exitUsage, "not a size"},
		"huge size":           {[]string{endpoint, "--chunk-size=9999999999GiB", path}, exitUsage, "too large"},
		"unit alone":          {[]string{endpoint, "--chunk-size=MiB", path}, exitUsage, "not a size"},
		"parallel":            {[]string{endpoint, "--parallel=0", path}, exitUsage, "--parallel"},
		"concurrency":         {[]string{endpoint, "--concurrency=0", path}, exitUsage, "--concurrency"},
		"retries":             {[]string{endpoint, "--retries=-1", path}, exitUsage, "--retries"},
		"response timeout":    {[]string{endpoint, "--response-timeout=-1s", path}, exitUsage, "--response-timeout"},
		"source timeout":      {[]string{endpoint, "--source-timeout=-1s", path}, exitUsage, "--source-timeout"},
		"header form":         {[]string{endpoint, "--header", "secret", path}, exitUsage, "Name: value"},
		"header injection":    {[]string{endpoint, "--header", "X-A: b\r\nX-C: d", path}, exitUsage, "X-A"},
		"checksum":            {[]string{endpoint, "--checksum", "a b", path}, exitUsage, "checksum"},
		"fingerprint":         {[]string{endpoint, "--fingerprint", "dna", path}, exitUsage, "fingerprint"},
		"glob":                {[]string{endpoint, "--include", "[", path}, exitUsage, "--include"},
		"empty glob":          {[]string{endpoint, "--exclude", "", path}, exitUsage, "--exclude"},
		"missing list":        {[]string{endpoint, "--files-from", missing}, exitUsage, "--files-from"},
		"list and stdin":      {[]string{endpoint, "--files-from", "-", "-"}, exitUsage, "standard input"},
		"list for one URL":    {[]string{"--upload-url", srv.Endpoint() + "x", "--files-from", path}, exitUsage, "--files-from"},
		"null without a list": {[]string{endpoint, "-0", path}, exitUsage, "--null"},
		"digest twice":        {[]string{endpoint, "--digest", "sha256", "--metadata", "sha256=x", path}, exitUsage, "--digest"},
		"manifest":            {[]string{endpoint, "--manifest", filepath.Join(missing, "m"), path}, exitUsage, "--manifest"},
		"manifest directory":  {[]string{endpoint, "--manifest", t.TempDir(), path}, exitUsage, "--manifest"},
		"flag":                {[]string{endpoint, "--nonsense", path}, exitUsage, "nonsense"},
		"state twice":         {[]string{endpoint, "--state", "x", "--no-state", path}, exitUsage, "--no-state"},
		"authority":           {[]string{endpoint, "--ca", path, path}, exitUsage, "no certificate"},
		"terminate a URL":     {[]string{"--upload-url", srv.Endpoint() + "x", "--terminate-on-fail", path}, exitUsage, "--terminate-on-fail"},
		"unknown checksum":    {[]string{endpoint, "--checksum", "nosuch", path}, exitUsage, "nosuch"},
		"two files, one URL":  {[]string{"--upload-url", srv.Endpoint() + "x", path, path}, exitUsage, "exactly one"},
		"info without a URL":  {[]string{"info"}, exitUsage, "URL"},
		"no endpoint to ask":  {[]string{"capabilities"}, exitUsage, "endpoint"},
		"forget what":         {[]string{"forget"}, exitUsage, "--all"},
		"empty endpoint":      {[]string{"--endpoint", "", path}, exitUsage, "--endpoint"},
		"empty upload URL":    {[]string{endpoint, "--upload-url=", path}, exitUsage, "--upload-url"},
		"directory for URL":   {[]string{"--upload-url", srv.Endpoint() + "x", t.TempDir()}, exitUsage, "directory"},
		"metadata for a URL":  {[]string{"--upload-url", srv.Endpoint() + "x", "--metadata", "a=b", path}, exitUsage, "--metadata"},
		"extra argument":      {[]string{"info", srv.Endpoint() + "x", srv.Endpoint() + "y?token=secret"}, exitUsage, "unexpected argument"},
		"name of two lines":   {[]string{endpoint, "a\nb\x1b[31m"}, exitFailed, `a\nb\x1b[31m`},
	} {
		t.Run(name, func(t *testing.T) {
			got := tusup(t, test.args...)
			lines := strings.Split(strings.TrimSpace(got.stderr), "\n")
			if got.code != test.code || len(lines) != 1 || !strings.HasPrefix(lines[0], "tusup: ") || !strings.Contains(lines[0], test.want) {
				t.Errorf("exit code %d, want %d; standard error:\n%s", got.code, test.code, got.stderr)
			}
			if got.stdout != "" {
				t.Errorf("standard output: %s", got.stdout)
			}
			if strings.Contains(got.stderr, "secret") {
				t.Errorf("a header value is repeated: %s", got.stderr)
			}
		})
	}
	if n := len(srv.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestUpload_FailedFileDoesNotStopOthers(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 1000)
	got := tusup(t, "--endpoint", srv.Endpoint(), "--json", "missing.bin", path)
	if got.code != exitFailed {
		t.Errorf("exit code %d", got.code)
	}
	byFile := map[string]report.File{}
	files, totals := decodeAll(t, got.stdout)
	for _, f := range files {
		byFile[f.File] = f
	}
	if e := byFile["missing.bin"].Error; len(byFile) != 2 || e == nil || e.Kind != report.KindFile || byFile[path].Error != nil {
		t.Fatalf("results are %+v", byFile)
	}
	if totals.Files != 2 || totals.Failed != 1 || totals.Uploaded != 1 || totals.BytesSent != 1000 {
		t.Errorf("totals are %+v", totals)
	}
	wantStored(t, srv, byFile[path].URL, data)
}

// interrupted starts an upload that stalls in the third PATCH, and interrupts it.
func interrupted(t *testing.T, srv *tustest.Server, cmd *exec.Cmd) outcome {
	t.Helper()
	return interruptedBy(t, os.Interrupt, srv, cmd)
}

func interruptedBy(t *testing.T, signal os.Signal, srv *tustest.Server, cmd *exec.Cmd) outcome {
	t.Helper()
	stalled := make(chan struct{})
	var once sync.Once
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		once.Do(func() { close(stalled) })
		tustest.Stall()(w, r, h)
	}})
	return signaled(t, signal, stalled, cmd)
}

// signaled starts a command, and sends it a signal when now is closed.
func signaled(t *testing.T, signal os.Signal, now <-chan struct{}, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-now
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func TestInterrupt_SameCommandResumes(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 1_000_000)
	state := filepath.Join(t.TempDir(), "state", "uploads.db")
	args := []string{"--endpoint", srv.Endpoint(), "--state", state, "--json", "--chunk-size", "100KB", path}
	got := interrupted(t, srv, command(t, args...))
	if got.code != exitInterrupted {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	first := decode(t, got.stdout)
	if !strings.Contains(got.stderr, "--upload-url '"+first.URL+"'") {
		t.Errorf("no command to resume in %s", got.stderr)
	}
	listed := tusup(t, "list", "--state", state)
	if listed.code != exitOK || !strings.Contains(listed.stdout, first.URL) {
		t.Errorf("list: %+v", listed)
	}
	second := mustUpload(t, args...)
	wantStored(t, srv, second.URL, data)
	if second.URL != first.URL || second.ResumedFrom != 200_000 || second.BytesSent != 800_000 {
		t.Errorf("second result is %+v", second)
	}
	if listed := tusup(t, "list", "--state", state); strings.Count(listed.stdout, "complete since") != 1 || strings.Contains(listed.stdout, "unfinished") {
		t.Errorf("the list is %s", listed.stdout)
	}
}

func TestUploadURL_ResumesWithoutState(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 1_000_000)
	got := interrupted(t, srv, command(t, "--endpoint", srv.Endpoint(), "--no-state", "--json", "--chunk-size", "100KB", path))
	first := decode(t, got.stdout)
	posts := srv.Count("POST")
	second := mustUpload(t, "--upload-url", first.URL, path)
	wantStored(t, srv, first.URL, data)
	if second.ResumedFrom != 200_000 || srv.Count("POST") != posts {
		t.Errorf("second result is %+v, %d creations", second, srv.Count("POST"))
	}
}

func TestForget_NextUploadStartsOver(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 1_000_000)
	state := filepath.Join(t.TempDir(), "uploads.db")
	args := []string{"--endpoint", srv.Endpoint(), "--state", state, "--json", "--chunk-size", "100KB", path}
	interrupted(t, srv, command(t, args...))
	var rec struct{ Fingerprint string }
	if err := json.Unmarshal([]byte(tusup(t, "list", "--json", "--state", state).stdout), &rec); err != nil {
		t.Fatal(err)
	}
	if got := tusup(t, "forget", "--state", state, "nonsense"); got.code != exitFailed {
		t.Errorf("forget of an unknown fingerprint: %+v", got)
	}
	if got := tusup(t, "forget", "--state", state, rec.Fingerprint); got.code != exitOK {
		t.Fatalf("forget: %+v", got)
	}
	if l := mustUpload(t, args...); l.ResumedFrom != 0 || l.BytesSent != 1_000_000 {
		t.Errorf("result is %+v", l)
	}
}

func TestForget_NamePathURLAndAll(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	dir, state := t.TempDir(), filepath.Join(t.TempDir(), "uploads.db")
	var args []string
	for _, name := range []string{"a", "b", "c", "-dash", "é f"} {
		args = append(args, filepath.Join(dir, name))
		if err := os.WriteFile(args[len(args)-1], []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	upload := append([]string{"--endpoint", srv.Endpoint(), "--state", state, "--json", "--progress", "none"}, args...)
	byFile := lines(t, tusup(t, upload...).stdout)
	other := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(other, []byte("longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{other}, exitFailed, ""},
		{[]string{""}, exitFailed, ""},
		{[]string{filepath.Join(dir, "a")}, exitOK, "uploads forgotten: 1\n"},
		{[]string{"b", "b", "nothing"}, exitFailed, "uploads forgotten: 1\n"},
		{[]string{byFile["c"].URL, "é f"}, exitOK, "uploads forgotten: 2\n"},
		{[]string{"--all"}, exitOK, "uploads forgotten: 1\n"},
		{[]string{"--all", "b"}, exitUsage, ""},
	} {
		if got := tusup(t, append([]string{"forget", "--state", state}, test.args...)...); got.code != test.code || got.stdout != test.want {
			t.Errorf("forget %q: %+v", test.args, got)
		}
	}
	if got := tusup(t, "forget", "--state", state, srv.Endpoint()+"x?token=secret"); got.code != exitFailed || strings.Contains(got.stderr, "secret") {
		t.Errorf("forget of an unknown URL: %+v", got)
	}
}

func TestList_LastUpdatedIsLast(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	dir, state := t.TempDir(), filepath.Join(t.TempDir(), "uploads.db")
	var want []string
	for i := range 6 {
		want = append(want, fmt.Sprint(i))
		path := filepath.Join(dir, want[i])
		if err := os.WriteFile(path, []byte(want[i]), 0o600); err != nil {
			t.Fatal(err)
		}
		mustUpload(t, "--endpoint", srv.Endpoint(), "--state", state, path)
	}
	var got []string
	for line := range strings.Lines(tusup(t, "list", "--state", state).stdout) {
		if name, _, ok := strings.Cut(line, ": "); ok {
			got = append(got, name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}

// Another program has the database open, without sharing it.
func TestState_LockedIsNamedInError(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 1000)
	state := filepath.Join(t.TempDir(), "uploads.db")
	store, err := boltstore.Open(state, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if got := tusup(t, "--endpoint", srv.Endpoint(), "--state", state, path); got.code != exitFailed || !strings.Contains(got.stderr, state) {
		t.Errorf("outcome is %+v", got)
	}
}

func TestState_SecondWaitsAndSendsNothing(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 1_000_000)
	args := []string{"--json", "--endpoint", srv.Endpoint(), "--state", filepath.Join(t.TempDir(), "uploads.db"), "--chunk-size", "400KB", path}
	var second *exec.Cmd
	var stdout, stderr bytes.Buffer
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		second = command(t, args...)
		second.Stdout = &stdout
		output, err := second.StderrPipe()
		if err != nil || second.Start() != nil {
			t.Error(err)
			return
		}
		text, err := bufio.NewReader(io.TeeReader(output, &stderr)).ReadString('\n')
		if err != nil || !strings.Contains(text, "waiting for it") {
			t.Errorf("line is %q, %v", text, err)
		}
		h.Serve(w, r)
	}})
	first := mustUpload(t, args...)
	if err := second.Wait(); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if l := decode(t, stdout.String()); !l.AlreadyUploaded || l.URL != first.URL || l.BytesSent != 0 || srv.Count("POST") != 1 {
		t.Errorf("second: %+v, %d creations", l, srv.Count("POST"))
	}
	wantStored(t, srv, first.URL, data)
}

func TestUpload_RunAgainSendsNothing(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 1000)
	args := []string{"--endpoint", srv.Endpoint(), "--state", filepath.Join(t.TempDir(), "uploads.db"), path}
	first := mustUpload(t, args...)
	requests := len(srv.Requests())
	second := mustUpload(t, args...)
	if !second.AlreadyUploaded || second.URL != first.URL || len(srv.Requests()) != requests {
		t.Errorf("second: %+v, %d requests", second, len(srv.Requests())-requests)
	}
	if again := mustUpload(t, append(args, "--again")...); again.AlreadyUploaded || again.URL == first.URL {
		t.Errorf("--again: %+v", again)
	}
	srv.Forget(srv.Uploads()[1].ID)
	if kept := mustUpload(t, append(args, "--check-uploaded")...); kept.AlreadyUploaded {
		t.Errorf("--check-uploaded: %+v", kept)
	} else {
		wantStored(t, srv, kept.URL, data)
	}
}

func TestOutput_HasNoSecrets(t *testing.T) {
	const token = "PLANTEDSECRETTOKEN"
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		tustest.Respond(403, "you sent "+r.Header.Get("Authorization")+" and "+r.Header.Get("X-Api-Key"))(w, r, h)
	}})
	path, _ := randomFile(t, 300_000)
	cmd := command(t, "--endpoint", srv.Endpoint()+"?key="+token, "--verbose", "--json", "--chunk-size", "100KB",
		"--header", "X-Api-Key: "+token, path)
	cmd.Env = append(cmd.Env, "TUS_TOKEN="+token)
	got := finish(t, cmd)
	if got.code != exitFailed || !strings.Contains(got.stderr, "PATCH") {
		t.Fatalf("outcome is %+v", got)
	}
	if strings.Contains(got.stdout+got.stderr, token) {
		t.Errorf("output has the secret:\n%s\n%s", got.stdout, got.stderr)
	}
	if r := srv.Requests()[len(srv.Requests())-1]; r.Header.Get("Authorization") != "Bearer "+token || r.Header.Get("X-Api-Key") != token {
		t.Error("the server did not get the headers")
	}
}

func TestCredentials_TokenOfOtherEndpointIsNotSent(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 100)
	cmd := command(t, "--endpoint", srv.Endpoint(), path)
	cmd.Env = append(cmd.Env, "TUS_ENDPOINT=https://other.example/files/", "TUS_TOKEN=secret")
	if got := finish(t, cmd); got.code != exitOK {
		t.Fatalf("outcome is %+v", got)
	}
	for _, r := range srv.Requests() {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token was sent to another server")
		}
	}
}

func TestTerminateOnFail_DeletesUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Respond(403, "no")})
	path, _ := randomFile(t, 300_000)
	got := tusup(t, "--endpoint", srv.Endpoint(), "--chunk-size", "100KB", "--terminate-on-fail", path)
	if got.code != exitFailed || !srv.Uploads()[0].Terminated {
		t.Errorf("outcome is %+v, terminated %v", got, srv.Uploads()[0].Terminated)
	}
}

func TestTerminateOnFail_KeepsUncertainUploads(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{&tus.Error{StatusCode: 403}, true},
		{&tus.Error{StatusCode: 500, Err: tus.ErrUnconfirmed}, false},
		{fmt.Errorf("store: %w", tus.ErrLeaseLost), false}, // another process may resume it
	} {
		if got := isAbandoned(test.err); got != test.want {
			t.Errorf("%v: %v", test.err, got)
		}
	}
}

func TestCommands_InfoCapabilitiesTerminate(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{MaxSize: 1 << 30})
	path, _ := randomFile(t, 1000)
	l := mustUpload(t, "--endpoint", srv.Endpoint(), "--metadata", "k=v", path)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"info", l.URL}, "offset    1000 (1000 B of 1000 B)\ncomplete  true\nmetadata  filename = \"file.bin\"\nmetadata  k = \"v\"\n"},
		{[]string{"info", "--json", l.URL}, `"offset":1000,"length":1000,"length_deferred":false,"complete":true,"metadata":{"filename":"file.bin","k":"v"}`},
		{[]string{"capabilities", "--endpoint", srv.Endpoint()}, "max size    1073741824 (1.0 GiB)\nextension   creation\n"},
		{[]string{"capabilities", "--json", "--endpoint", srv.Endpoint()}, `"max_size":1073741824`},
		{[]string{"capabilities", "--endpoint", tustest.NewServer(t, nil).Endpoint()}, "max size    not advertised\n"},
		{[]string{"terminate", l.URL}, ""},
	} {
		if got := tusup(t, test.args...); got.code != exitOK || !strings.Contains(got.stdout, test.want) {
			t.Errorf("%v: %+v", test.args, got)
		}
	}
	if got := tusup(t, "info", l.URL); got.code != exitFailed || !strings.Contains(got.stderr, "does not exist") {
		t.Errorf("info of a deleted upload: %+v", got)
	}
}

func TestLocal_StoresInUploads(t *testing.T) {
	path, data := randomFile(t, 300_000)
	cmd := command(t, "--json", "--local", path)
	got := finish(t, cmd)
	if got.code != exitOK || !strings.Contains(got.stderr, "tusd at http://127.0.0.1:") {
		t.Fatalf("outcome is %+v", got)
	}
	wantOnDisk(t, filepath.Join(cmd.Dir, "uploads"), decode(t, got.stdout).URL, data)
}

func TestEndpoint_MissingCopiesNothing(t *testing.T) {
	path, _ := randomFile(t, 100)
	cmd := command(t, path)
	got := finish(t, cmd)
	entries, err := os.ReadDir(cmd.Dir)
	if err != nil || got.code != exitUsage || len(entries) != 0 {
		t.Fatalf("outcome is %+v; %d entries, %v", got, len(entries), err)
	}
	for _, want := range []string{"TUS_ENDPOINT", "--endpoint", "--local"} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("%s is not in %s", want, got.stderr)
		}
	}
}

func TestVerbose_LogsRequestsAndChecksum(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer")})
	path, _ := randomFile(t, 200_000)
	got := tusup(t, "--endpoint", srv.Endpoint(), "--verbose", "--chunk-size", "100KB", path)
	for _, want := range []string{"OPTIONS ", "POST ", "PATCH ", "offset 100000 → 200000", "checksum sha256"} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("%q is not in\n%s", want, got.stderr)
		}
	}
}

func TestSize_ParsesAndFormats(t *testing.T) {
	for text, want := range map[string]size{"0": 0, "100": 100, "1kB": 1000, "512KiB": 512 << 10, "8MiB": 8 << 20, "5MB": 5_000_000, "2 GiB": 2 << 30, "7b": 7} {
		var s size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q is %d, %v", text, s, err)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1<<20 - 1: "1.0 MiB", 1<<20 - 52<<10: "972.0 KiB", 1<<63 - 1: "8.0 EiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for _, text := range []string{"", "-1", "1.5MiB", "MiB", "1 XB", "9223372036854775808", "8796093022208MiB", "0x10", "1e3"} {
		var s size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %d", text, s)
		}
	}
}

// The server moves complete uploads away, and its last response is lost.
func TestUpload_UnconfirmedIsResentOnlyAfterForget(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Extensions: []string{"creation"}})
	srv.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Serve(httptest.NewRecorder(), r)
		h.Forget(r.URL.Path)
		tustest.CutBefore()(w, r, h)
	}})
	path, data := randomFile(t, 100_000)
	state := filepath.Join(t.TempDir(), "state.db")
	for range 2 {
		got := tusup(t, "--endpoint", srv.Endpoint(), "--state", state, path)
		if got.code != exitFailed || !strings.Contains(got.stderr, "tusup forget") || !strings.Contains(got.stdout+got.stderr, "does not acknowledge") {
			t.Fatalf("outcome is %+v", got)
		}
		received := int64(0)
		for _, r := range srv.Requests() {
			received += r.Body
		}
		if srv.Count("POST") != 1 || received != int64(len(data)) {
			t.Fatalf("%d creations, %d bytes received", srv.Count("POST"), received)
		}
	}
	if got := tusup(t, "forget", "--all", "--state", state); got.code != 0 {
		t.Fatalf("outcome is %+v", got)
	}
	if got := tusup(t, "--endpoint", srv.Endpoint(), "--state", state, path); got.code != 0 || srv.Count("POST") != 2 {
		t.Errorf("outcome is %+v, %d creations", got, srv.Count("POST"))
	}
}

// A proxy that buffers requests has lost one that was interrupted.
func TestUpload_ReportsRequestLimit(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 20<<20)
	breaks := tustest.Fault{Method: "PATCH", Action: func(_ http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
		io.CopyN(io.Discard, r.Body, 2<<20)
		panic(http.ErrAbortHandler)
	}}
	srv.Inject(breaks)
	got := tusup(t, "--endpoint", srv.Endpoint(), "--no-state", path)
	if got.code != 0 || !strings.Contains(got.stdout, "in requests of at most 4.0 MiB") {
		t.Fatalf("outcome is %+v", got)
	}
	srv.Inject(breaks)
	f := mustUpload(t, "--endpoint", srv.Endpoint(), "--no-state", path)
	if f.RequestLimit != 4<<20 { // half of a chunk with a checksum
		t.Errorf("%+v", f)
	}
	wantStored(t, srv, f.URL, data)
}

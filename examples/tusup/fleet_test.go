//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// The worker that is killed also has the embedded NATS.
func TestFleet_KilledWorkerIsTakenOver(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t, 3<<20, 3<<20, 3<<20)
	f.enqueue()
	first := f.start("first", "--bwlimit", "1500K", "--chunk-size", "256K")
	f.eventually(20*time.Second, "the first worker uploads", func() bool { return f.stored() > 2<<20 })
	second := f.start("second")
	kill(first.Cmd)
	before := f.stored()
	// No other process could have the embedded NATS in the meantime.
	f.eventually(40*time.Second, "the files are stored", func() bool { return f.stored() == 9<<20 })
	f.eventually(20*time.Second, "the jobs are done", f.complete)
	if !second.printed("taking over the upload of an earlier worker") || before > 8<<20 {
		t.Errorf("the second worker resumed nothing; the first one had stored %d bytes", before)
	}
	f.check()
}

func TestFleet_TerminatedWorkerHandsOver(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			f := newFleetTest(t, 8<<20)
			f.state = startNATS(t)
			f.enqueue()
			first := f.start("first", "--bwlimit", "1M", "--chunk-size", "256K")
			f.eventually(20*time.Second, "the first worker uploads", func() bool { return f.stored() > 1<<20 })
			second := f.start("second", "--metrics", "127.0.0.1:0")
			start := time.Now()
			want := exitOK
			if signal == syscall.SIGINT {
				want = exitInterrupted
			}
			_ = first.Process.Signal(signal)
			f.eventually(20*time.Second, "the other worker takes over", func() bool {
				return second.printed("taking over the upload of an earlier worker at")
			})
			took := time.Since(start)
			if code := first.wait(); code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
			t.Logf("takeover after %v", took)
			if took > 1500*time.Millisecond {
				t.Errorf("the takeover took %v", took)
			}
			f.eventually(20*time.Second, "the job is done", f.complete)
			f.check()
			second.wantMetrics(t, `tusup_takeovers_total{worker="second"} 1`, `tusup_files_total{result="uploaded",worker="second"} 1`,
				`tusup_store_seconds_count{call="put",worker="second"}`, `tusup_queue_jobs{state="waiting",worker="second"} 0`,
				`tusup_lease_waits_total{worker="second"} 0`)
		})
	}
}

func TestEnqueue_TwiceIsOnce(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t, 1000, 2000)
	for i, want := range []report.QueuedTotals{{Added: 2}, {Already: 2}} {
		got := finish(t, f.command("enqueue", "--json", "--endpoint", f.endpoint, "media/file-00.bin", filepath.Join(f.dir, "media")))
		lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
		var totals report.QueuedSummary
		for _, line := range lines {
			wantSchema(t, line)
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &totals); err != nil || totals.Queued != want || got.code != exitOK || len(lines) != 3 {
			t.Errorf("run %d: %+v, want %+v", i, got, want)
		}
	}
	got := finish(t, f.command("queue", "--json"))
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	for _, line := range lines {
		wantSchema(t, line)
	}
	if len(lines) != 3 || !strings.Contains(lines[2], `{"waiting":2,"in_flight":0,"failed":0}`) {
		t.Errorf("queue: %+v", got)
	}
}

// The server has the last byte, and the worker is killed before the response.
func TestWorker_KilledAfterLastByteUploadsOnce(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t, 300_000)
	var first atomic.Pointer[fleetWorker]
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if worker := first.Swap(nil); worker != nil && r.Method == http.MethodPatch {
			f.server.ServeHTTP(httptest.NewRecorder(), r)
			_ = worker.Process.Kill()
			panic(http.ErrAbortHandler)
		} else if worker != nil {
			first.Store(worker)
		}
		f.server.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	f.endpoint = front.URL + "/files/"
	worker := f.start("first")
	first.Store(worker)
	f.enqueue()
	_ = worker.Wait()
	second := f.start("second")
	f.eventually(40*time.Second, "the job is done", f.complete)
	if !second.printed("resumed from 293.0 KiB") {
		t.Errorf("the second worker sent bytes: %s", second.output)
	}
	f.check()
}

func TestWorker_CompleteUploadIsNotRepeated(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t, 1000)
	worker := f.start("first", "--json")
	for i, want := range []string{`"already_uploaded"`, `"requests"`} {
		f.enqueue() // as if the first acknowledgment was lost
		f.eventually(20*time.Second, "the job is done", func() bool { return strings.Count(worker.output.String(), `"worker":"first"`) == i+1 })
		if !worker.printed(want) && i > 0 {
			t.Errorf("run %d: %s", i, worker.output)
		}
	}
	_ = worker.Process.Signal(syscall.SIGTERM)
	if code := worker.wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	for line := range strings.Lines(worker.output.String()) {
		if strings.HasPrefix(line, "{") {
			wantSchema(t, line)
		}
	}
	for _, r := range f.server.Requests() {
		if r.Method == http.MethodPatch && r.Header.Get("Upload-Fence") == "" {
			t.Error("a PATCH has no fence")
		}
	}
	if !worker.printed(`"already_uploaded":true`) || !worker.printed(`"files":2,"uploaded":1,"already_uploaded":1`) {
		t.Errorf("output: %s", worker.output)
	}
	f.check()
}

func TestWorker_RefusedJobIsListedAndRetried(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t, 1000)
	var refuse atomic.Bool
	refuse.Store(true)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse.Load() && r.Method == http.MethodPost {
			http.Error(w, "unknown project", http.StatusUnprocessableEntity)
			return
		}
		http.Redirect(w, r, f.server.Endpoint(), http.StatusTemporaryRedirect)
	}))
	t.Cleanup(proxy.Close)
	f.endpoint = proxy.URL + "/"
	f.enqueue()
	worker := f.start("first")
	var got outcome
	f.eventually(20*time.Second, "the job is listed", func() bool {
		got = finish(t, f.command("queue"))
		return strings.Contains(got.stdout, "media/file-00.bin: failed at ")
	})
	if !strings.Contains(got.stdout, "on first, attempts: 1") || !strings.Contains(got.stdout, "422") {
		t.Errorf("queue: %+v", got)
	}
	refuse.Store(false)
	f.enqueue()
	f.eventually(20*time.Second, "the job is done", func() bool { return worker.printed("uploaded media/file-00.bin") && f.complete() })
}

func TestWorker_UploadsURL(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t, 50_000)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "signature=s3cret" {
			http.Error(w, "no signature", http.StatusForbidden)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		http.ServeFile(w, r, filepath.Join(f.dir, "media", filepath.Base(r.URL.Path)))
	}))
	t.Cleanup(site.Close)
	got := finish(t, f.command("enqueue", "--endpoint", f.endpoint, site.URL+"/a/file-00.bin?signature=s3cret"))
	if got.code != exitOK || got.stdout != "queued "+site.URL+"/a/file-00.bin\n" {
		t.Fatalf("enqueue: %+v", got)
	}
	worker := f.start("first")
	f.eventually(20*time.Second, "the job is done", f.complete)
	if worker.printed("s3cret") {
		t.Errorf("the signature is printed: %s", worker.output)
	}
	f.check()
}

func TestEnqueue_UsageErrors(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t, 1)
	outside, _ := randomFile(t, 1)
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"media"}, exitUsage, "no endpoint"},
		{[]string{"media", "--endpoint", "https://me:s3cret@example.org/"}, exitUsage, "a job keeps no credentials"},
		{[]string{"--endpoint", "https://example.org/", "https://me:s3cret@example.org/a"}, exitUsage, "a job keeps no credentials"},
		{[]string{"media", "--endpoint", "https://example.org/", "--header", "X: s3cret"}, exitUsage, "give them to the workers"},
		{[]string{"--endpoint", "https://example.org/", "-"}, exitUsage, "standard input"},
		{[]string{"--endpoint", "https://example.org/"}, exitUsage, "--files-from"},
		{[]string{"--endpoint", "https://example.org/", outside}, exitFailed, "not below --root"},
		{[]string{"--endpoint", "https://example.org/", "media", "--no-state"}, exitUsage, "--no-state"},
		{[]string{"--endpoint", "https://example.org/", "media", "--state", "postgres://me:s3cret@127.0.0.1/x"}, exitUsage, "requires NATS"},
		{[]string{"--endpoint", "https://example.org/", "media", "--state", "media"}, exitUsage, "the directory of an embedded NATS"},
		{[]string{"--endpoint", "https://example.org/", "media", "--state", "redis://me:s3cret@127.0.0.1"}, exitUsage, "must be a file, or a URL"},
		{[]string{"--endpoint", "https://example.org/", "media", "--state", "nats://me:s3cret@127.0.0.1?replicas=9"}, exitUsage, "replicas=9"},
		{[]string{"--endpoint", "https://example.org/", "media", "--state", "nats://me:s3%zzcret@127.0.0.1"}, exitUsage, "escaped"},
		{[]string{"--endpoint", "https://example.org/", "media", "--state", "nats://me:12/s3cret@127.0.0.1"}, exitUsage, "escaped"},
		{[]string{"--endpoint", "https://example.org/", "media", "--state", "nats://me:1@s3cret@127.0.0.1"}, exitUsage, "escaped"},
	} {
		got := finish(t, f.command(append([]string{"enqueue"}, test.args...)...))
		if got.code != test.code || !strings.Contains(got.stderr, test.want) || strings.Contains(got.stderr, "s3cret") {
			t.Errorf("%s: %+v", strings.Join(test.args, " "), got)
		}
	}
	if got := finish(t, f.command("queue")); got.code != exitUsage || !strings.Contains(got.stderr, "no queue") {
		t.Errorf("queue: %+v", got)
	}
}

func TestState_UnreachableNATSSendsNothing(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	t.Cleanup(srv.Close)
	path, _ := randomFile(t, 1000)
	for _, args := range [][]string{{"--endpoint", srv.URL, path}, {"worker"}, {"list"}} {
		got := tusup(t, append(args, "--state", "nats://me:s3cret@"+freeAddress(t))...)
		if got.code != exitFailed || requests.Load() > 0 || !strings.Contains(got.stderr, "NATS at nats://127.0.0.1") || strings.Contains(got.stderr, "s3cret") {
			t.Errorf("%d requests, outcome is %+v", requests.Load(), got)
		}
	}
}

// Two machines have the file under different paths.
func TestState_SharedNATSResumesElsewhere(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t, 1000)
	f.start("keeper") // has the embedded NATS
	testSharedState(t, filepath.Join(f.dir, fleetDir))
}

// testSharedState uploads a file from two machines that share a resume database.
func testSharedState(t *testing.T, state string) {
	t.Helper()
	srv := tustest.NewServer(t, nil)
	here, data := randomFile(t, 1<<20)
	there := filepath.Join(t.TempDir(), filepath.Base(here))
	info, err := os.Stat(here)
	if err == nil {
		err = os.WriteFile(there, data, 0o644)
	}
	if err == nil {
		err = os.Chtimes(there, info.ModTime(), info.ModTime())
	}
	if err != nil {
		t.Fatal(err)
	}
	first := command(t, "--state", state, "--endpoint", srv.Endpoint(), "--bwlimit", "500K", "--progress", "none", "--chunk-size", "100K", here)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); len(srv.Uploads()) == 0 || len(srv.Uploads()[0].Data) < 200_000; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the upload does not begin")
		}
	}
	kill(first)
	got := mustUpload(t, "--state", state, "--endpoint", srv.Endpoint(), there)
	if got.ResumedFrom < 100_000 {
		t.Errorf("not resumed: %+v", got)
	}
	wantStored(t, srv, got.URL, data)
	if again := mustUpload(t, "--state", state, "--endpoint", srv.Endpoint(), here); !again.AlreadyUploaded || len(srv.Uploads()) != 1 {
		t.Errorf("uploaded again: %+v", again)
	}
	if listed := tusup(t, "list", "--state", state); !strings.Contains(listed.stdout, "file.bin: 1.0 MiB, complete since") {
		t.Errorf("list: %+v", listed)
	}
	if forgotten := tusup(t, "forget", "--state", state, "file.bin"); forgotten.stdout != "uploads forgotten: 1\n" {
		t.Errorf("forget: %+v", forgotten)
	}
}

// A job can have any endpoint.
func TestWorker_CredentialsGoToOwnEndpointOnly(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t, 1000)
	for _, own := range []bool{false, true} {
		f.enqueue()
		cmd := f.command("worker", "--name", "first")
		cmd.Env = append(cmd.Env, "TUS_TOKEN=s3cret")
		if own {
			cmd.Env = append(cmd.Env, "TUS_ENDPOINT="+f.endpoint)
			got := finish(t, f.command("forget", "--state", fleetDir, "--all"))
			if got.code != exitOK {
				t.Fatalf("forget: %+v", got)
			}
		}
		before := len(f.server.Requests())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		f.eventually(20*time.Second, "the job is done", f.complete)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		requests := f.server.Requests()[before:]
		for _, r := range requests {
			if got := r.Header.Get("Authorization") != ""; got != own {
				t.Errorf("%s to the endpoint of the worker %v has credentials: %v", r.Method, own, got)
			}
		}
		if len(requests) == 0 {
			t.Errorf("no requests to the endpoint of the worker %v", own)
		}
	}
}

package tus_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// The test binary, started again with one of these set, is another process.
const (
	waitVariable   = "TUS_TEST_WAIT"   // it waits until its input ends
	uploadVariable = "TUS_TEST_UPLOAD" // it uploads to this endpoint …
	storeVariable  = "TUS_TEST_STORE"  // … with a store in this folder
)

// processSize is how many bytes such a process uploads, in chunks of 1000.
const processSize = 10_000

// processHeader tells the server which process makes a request.
const processHeader = "X-Process"

// waitIfChild is what such a process does. TestMain calls it.
func waitIfChild() {
	if os.Getenv(waitVariable) != "" {
		fmt.Println("ready")
		bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}
	if extensions := os.Getenv(discardVariable); extensions != "" {
		serveDiscard(extensions)
		os.Exit(0)
	}
	if endpoint := os.Getenv(uploadVariable); endpoint != "" {
		if err := uploadFromProcess(endpoint, os.Getenv(storeVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func uploadFromProcess(endpoint, folder string) error {
	store, err := filestore.Open(folder, nil)
	if err != nil {
		return err
	}
	client, err := tus.NewClient(endpoint, &tus.Options{
		Store: store, RequireStore: true, Header: http.Header{processHeader: {fmt.Sprint(os.Getpid())}},
	})
	if err != nil {
		return err
	}
	_, err = client.Upload(context.Background(), tus.Bytes(randomBytes(processSize)), inChunks())
	return err
}

// child is another process that runs.
type child struct {
	*exec.Cmd
	errors bytes.Buffer
	wait   func() error // for its end
}

func startChild(t testing.TB, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{Cmd: cmd}
	cmd.Stderr = &c.errors
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.wait = sync.OnceValue(cmd.Wait)
	t.Cleanup(func() {
		cmd.Process.Kill()
		c.wait()
	})
	return c
}

// uploadingChild uploads randomBytes(processSize).
func uploadingChild(t *testing.T, srv *tustest.Server, folder string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), uploadVariable+"="+srv.Endpoint(), storeVariable+"="+folder)
	return startChild(t, cmd)
}

func livingChild(t *testing.T) *child {
	t.Helper()
	c, _ := speakingChild(t, waitVariable+"=1")
	return c
}

// speakingChild waits for the first line that a process says. It lives until its
// input ends.
func speakingChild(t testing.TB, environment string) (c *child, line string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), environment)
	if _, err := cmd.StdinPipe(); err != nil { // closed by Wait
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c = startChild(t, cmd)
	if line, err = bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return c, strings.TrimSpace(line)
}

// killed waits until the process is gone for good.
func killed(t *testing.T, c *child) *child {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.wait()
	return c
}

// zombie kills a process without taking note of its end. Where /proc does not
// tell when it is dead, it is waited for.
func zombie(t *testing.T, c *child) *child {
	t.Helper()
	if runtime.GOOS != "linux" {
		return killed(t, c)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for ctx := testContext(t); ; runtime.Gosched() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
		if err != nil || ctx.Err() != nil {
			t.Fatal(err, ctx.Err())
		}
		if strings.Contains(string(stat), ") Z ") {
			return c
		}
	}
}

// processOf is what a process would write into a lease: as this one does, with
// its own number and the given start time, which may be unknown.
func processOf(t *testing.T, c *child, start string) string {
	t.Helper()
	fields := strings.Split(leaseOfAnUpload(t).Process, "/")
	fields[len(fields)-2], fields[len(fields)-1] = fmt.Sprint(c.Process.Pid), start
	return strings.Join(fields, "/")
}

// writers notes which processes write to which upload.
type writers struct {
	mu   sync.Mutex
	seen map[string]map[string]bool
}

func (w *writers) note(r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = map[string]map[string]bool{}
	}
	if w.seen[r.URL.Path] == nil {
		w.seen[r.URL.Path] = map[string]bool{}
	}
	w.seen[r.URL.Path][r.Header.Get(processHeader)] = true
}

// of returns who wrote to an upload.
func (w *writers) of(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen[path])
}

// stopIn makes the server stop in the fourth chunk of other processes, which it
// tells, until goOn is called.
func stopIn(t *testing.T, srv *tustest.Server, seen *writers) (stopped <-chan string, goOn func()) {
	at, gate := make(chan string, 100), make(chan struct{})
	goOn = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(goOn)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		seen.note(r)
		if who := r.Header.Get(processHeader); who != "" && r.Header.Get("Upload-Offset") == "3000" {
			at <- who
			<-gate
		}
		h.Serve(w, r)
	}})
	return at, goOn
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-testContext(t).Done():
		t.Fatal("waited in vain")
		panic("not reached")
	}
}

func TestUploadOfAKilledProcessIsTakenOverAtOnce(t *testing.T) {
	data := randomBytes(processSize)
	for name, kill := range map[string]func(*testing.T, *child) *child{"buried": killed, "not yet buried": zombie} {
		t.Run(name, func(t *testing.T) {
			srv, folder := tustest.NewServer(t, nil), filepath.Join(t.TempDir(), "uploads")
			stopped, _ := stopIn(t, srv, &writers{})
			c := uploadingChild(t, srv, folder)
			receive(t, stopped)
			kill(t, c)

			store, err := filestore.Open(folder, nil)
			if err != nil {
				t.Fatal(err)
			}
			left := records(t, store)
			if len(left) != 1 || left[0].Lease == nil || time.Until(left[0].Lease.Until) < 30*time.Second {
				t.Fatalf("the process left %+v", left)
			}
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), inChunks())
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if res.URL != left[0].UploadURL || res.Stats.ResumedFrom != 3000 || res.Stats.Sent != 7000 {
				t.Errorf("result is %+v", res)
			}
			wantEmptyStore(t, store)
		})
	}
}

func TestUploadOfALivingProcessIsLeftAlone(t *testing.T) {
	data := randomBytes(processSize)
	srv, folder := tustest.NewServer(t, nil), filepath.Join(t.TempDir(), "uploads")
	seen := &writers{}
	stopped, goOn := stopIn(t, srv, seen)
	c := uploadingChild(t, srv, folder)
	receive(t, stopped)

	store, err := filestore.Open(folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs := records(t, store)
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), inChunks())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if len(theirs) != 1 || res.URL == theirs[0].UploadURL || res.Stats.ResumedFrom != 0 {
		t.Errorf("result is %+v, the other has %+v", res, theirs)
	}
	goOn()
	if err := c.wait(); err != nil {
		t.Errorf("other process: %v: %s", err, &c.errors)
	}
	wantStored(t, srv.Handler, theirs[0].UploadURL, data)
	for _, up := range srv.Uploads() {
		if n := seen.of("/files/" + up.ID); n != 1 {
			t.Errorf("%d processes wrote to %s", n, up.ID)
		}
	}
	wantEmptyStore(t, store)
}

func TestProcessesWithOneStoreNeverShareAnUpload(t *testing.T) {
	data := randomBytes(processSize)
	srv, folder := tustest.NewServer(t, nil), filepath.Join(t.TempDir(), "uploads")
	seen := &writers{}
	stopped, goOn := stopIn(t, srv, seen)
	const processes = 4
	all := map[string]*child{}
	for range processes {
		c := uploadingChild(t, srv, folder)
		all[fmt.Sprint(c.Process.Pid)] = c
	}
	for range processes {
		receive(t, stopped)
	}
	uploads := srv.Uploads()
	if len(uploads) != processes {
		t.Fatalf("%d uploads", len(uploads))
	}
	for _, up := range uploads {
		if n := seen.of("/files/" + up.ID); n != 1 {
			t.Errorf("%d processes wrote to %s", n, up.ID)
		}
	}
	var survivors []*child
	for _, c := range all {
		survivors = append(survivors, c)
	}
	killed(t, survivors[0])
	survivors = survivors[1:]
	goOn()
	for _, c := range survivors {
		if err := c.wait(); err != nil {
			t.Errorf("process: %v: %s", err, &c.errors)
		}
	}
	// The next one goes on with what the dead one left, and with nothing else.
	next := uploadingChild(t, srv, folder)
	if err := next.wait(); err != nil {
		t.Errorf("process: %v: %s", err, &next.errors)
	}
	for _, up := range srv.Uploads() {
		if !bytes.Equal(up.Data, data) {
			t.Errorf("upload %s has %d bytes, or others", up.ID, len(up.Data))
		}
	}
	if n := len(srv.Uploads()); n != processes {
		t.Errorf("%d uploads", n)
	}
	if n := srv.BytesReceived(); n > (processes+1)*processSize {
		t.Errorf("%d bytes were received", n)
	}
	store, err := filestore.Open(folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantEmptyStore(t, store)
}

func TestWhoseLeaseIsRespected(t *testing.T) {
	data := randomBytes(10_000)
	now := time.Now()
	alive, dead := livingChild(t), killed(t, livingChild(t))
	own := leaseOfAnUpload(t).Process
	cut := func(process string, fields int) string {
		return strings.Join(strings.Split(process, "/")[fields:], "/")
	}
	for name, test := range map[string]struct {
		process string
		lasts   time.Duration
		resumes bool
	}{
		"of somebody unknown":          {"elsewhere", time.Minute, false},
		"of nobody in particular":      {"", time.Minute, false},
		"of this process":              {own, time.Minute, false},
		"of a living process":          {processOf(t, alive, ""), time.Minute, false},
		"of a dead process":            {processOf(t, dead, ""), time.Minute, true},
		"of a number given out again":  {processOf(t, alive, "1"), time.Minute, runtime.GOOS == "linux"},
		"of a dead process of a host":  {strings.Replace(processOf(t, dead, ""), "v1/", "v1/other-", 1), time.Minute, false},
		"of a dead process, cut":       {cut(processOf(t, dead, ""), 1), time.Minute, false},
		"that has ended":               {"elsewhere", -time.Second, true},
		"of this process, ended":       {own, -time.Second, true},
		"that never seems to end":      {"elsewhere", 24 * time.Hour, true},
		"with a broken process":        {"v1/////x/", time.Minute, false},
		"with a negative process":      {strings.Replace(processOf(t, dead, ""), "/"+fmt.Sprint(dead.Process.Pid)+"/", "/-1/", 1), time.Minute, false},
		"with a process of no process": {strings.Replace(processOf(t, dead, ""), "/"+fmt.Sprint(dead.Process.Pid)+"/", "/0/", 1), time.Minute, false},
		"with a very large process":    {strings.Replace(processOf(t, dead, ""), "/"+fmt.Sprint(dead.Process.Pid)+"/", "/99999999999999999999/", 1), time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
			rec := records(t, store)[0]
			rec.Lease = &storage.Lease{Holder: "another", Process: test.process, Until: now.Add(test.lasts)}
			if _, err := store.Put(context.Background(), rec); err != nil {
				t.Fatal(err)
			}
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), inChunks())
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if got := res.Stats.ResumedFrom == 3000; got != test.resumes {
				t.Errorf("resumed from %d", res.Stats.ResumedFrom)
			}
		})
	}
}

// leaseOfAnUpload is a lease as this process takes it.
func leaseOfAnUpload(t *testing.T) storage.Lease {
	t.Helper()
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	created(t, newClient(t, srv.Endpoint(), &tus.Options{Store: store}), tus.Bytes(randomBytes(10_000)), inChunks())
	lease := records(t, store)[0].Lease
	if lease == nil {
		t.Fatal(errors.New("no lease"))
	}
	return *lease
}

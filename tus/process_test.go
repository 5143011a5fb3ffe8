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
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Variables that make the test binary act as another process.
const (
	waitVariable   = "TUS_TEST_WAIT"   // wait until the input ends
	uploadVariable = "TUS_TEST_UPLOAD" // upload to this endpoint …
	storeVariable  = "TUS_TEST_STORE"  // … with a store in this directory, or file.db …
	heldVariable   = "TUS_TEST_HELD"   // … and, if set, with HeldFail
)

// processSize is the number of bytes that such a process uploads, in chunks of 1000.
const processSize = 10_000

// processHeader names the process that sends a request.
const processHeader = "X-Process"

// waitIfChild acts as the process that the variables name. TestMain calls it.
func waitIfChild() {
	enterContainer()
	uploadManyIfChild()
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

func openStore(path string) (storage.Store, error) {
	if filepath.Ext(path) == ".db" {
		return boltstore.Open(path, nil)
	}
	return filestore.Open(path, nil)
}

func uploadFromProcess(endpoint, path string) error {
	store, err := openStore(path)
	if err != nil {
		return err
	}
	client, err := tus.NewClient(endpoint, &tus.Options{
		Store: store, RequireStore: true, Header: http.Header{processHeader: {fmt.Sprint(os.Getpid())}},
	})
	if err != nil {
		return err
	}
	opts := chunked()
	if os.Getenv(heldVariable) != "" {
		opts.Held = tus.HeldFail
	}
	_, err = client.Upload(context.Background(), tus.Bytes(randomBytes(processSize)), opts)
	return err
}

// child is a running process.
type child struct {
	*exec.Cmd
	errors bytes.Buffer
	wait   func() error // for the end of the process
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
func uploadingChild(t *testing.T, srv *tustest.Server, dir string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), uploadVariable+"="+srv.Endpoint(), storeVariable+"="+dir)
	return startChild(t, cmd)
}

func livingChild(t *testing.T) *child {
	t.Helper()
	c, _ := childWithOutput(t, waitVariable+"=1")
	return c
}

// childWithOutput starts a process that ends with its input, and returns the first line
// of its output.
func childWithOutput(t testing.TB, environment string) (c *child, line string) {
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

// killed kills a process and waits for it.
func killed(t *testing.T, c *child) *child {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.wait()
	return c
}

// zombie kills a process without waiting for it. On systems without /proc, it waits.
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

// processOf returns the Process of a lease of a child.
func processOf(t *testing.T, c *child) string {
	t.Helper()
	return withProcess(t, fmt.Sprint(c.Process.Pid), startTime(t, c))
}

// withProcess returns a Process of this machine with a process ID and start time.
func withProcess(t *testing.T, number, start string) string {
	t.Helper()
	fields := strings.Split(leaseOfAnUpload(t).Process, "/")
	fields[len(fields)-2], fields[len(fields)-1] = number, start
	return strings.Join(fields, "/")
}

// withBootTime returns the Process of a machine that booted later.
func withBootTime(process string, later time.Duration) string {
	fields := strings.Split(process, "/")
	var booted int64
	fmt.Sscan(fields[len(fields)-3], &booted)
	fields[len(fields)-3] = fmt.Sprint(booted + later.Milliseconds())
	return strings.Join(fields, "/")
}

// startTime returns field 22 of /proc/PID/stat, or "" without /proc.
func startTime(t *testing.T, c *child) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		return ""
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	return strings.Fields(fields)[22-3]
}

// writers records which processes write to which upload.
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

// of returns the number of processes that wrote to an upload.
func (w *writers) of(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen[path])
}

// stopIn makes the server block in the fourth chunk of other processes until proceed is
// called. It sends the name of the blocked process.
func stopIn(t *testing.T, srv *tustest.Server, seen *writers) (stopped <-chan string, proceed func()) {
	at, gate := make(chan string, 100), make(chan struct{})
	proceed = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(proceed)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		seen.note(r)
		if who := r.Header.Get(processHeader); who != "" && r.Header.Get("Upload-Offset") == "3000" {
			at <- who
			<-gate
		}
		h.Serve(w, r)
	}})
	return at, proceed
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-testContext(t).Done():
		t.Fatal("timeout")
		panic("not reached")
	}
}

// needsProcesses skips the test on systems that do not show other processes.
func needsProcesses(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("other processes are visible on Linux only")
	}
}

func TestProcess_UploadOfKilledProcessIsResumedAtOnce(t *testing.T) {
	needsProcesses(t)
	data := randomBytes(processSize)
	for name, kill := range map[string]func(*testing.T, *child) *child{"killed": killed, "zombie": zombie} {
		t.Run(name, func(t *testing.T) {
			srv, dir := tustest.NewServer(t, nil), filepath.Join(t.TempDir(), "uploads")
			stopped, _ := stopIn(t, srv, &writers{})
			c := uploadingChild(t, srv, dir)
			receive(t, stopped)
			kill(t, c)

			store, err := filestore.Open(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			left := records(t, store)
			if len(left) != 1 || left[0].Lease == nil || time.Until(left[0].Lease.Until) < 30*time.Second {
				t.Fatalf("the process left %+v", left)
			}
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
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

func TestProcess_UploadOfLivingProcessIsNotResumed(t *testing.T) {
	needsProcesses(t)
	data := randomBytes(processSize)
	srv, dir := tustest.NewServer(t, nil), filepath.Join(t.TempDir(), "uploads")
	seen := &writers{}
	stopped, proceed := stopIn(t, srv, seen)
	c := uploadingChild(t, srv, dir)
	receive(t, stopped)

	store, err := filestore.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs := records(t, store)
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if len(theirs) != 1 || res.URL == theirs[0].UploadURL || res.Stats.ResumedFrom != 0 {
		t.Errorf("result is %+v, upload of the other is %+v", res, theirs)
	}
	proceed()
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

func TestProcess_SharedStoreHasOneWriterPerUpload(t *testing.T) {
	needsProcesses(t)
	data := randomBytes(processSize)
	srv, dir := tustest.NewServer(t, nil), filepath.Join(t.TempDir(), "uploads")
	seen := &writers{}
	stopped, proceed := stopIn(t, srv, seen)
	const processes = 4
	all := map[string]*child{}
	for range processes {
		c := uploadingChild(t, srv, dir)
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
	proceed()
	for _, c := range survivors {
		if err := c.wait(); err != nil {
			t.Errorf("process: %v: %s", err, &c.errors)
		}
	}
	// The next process resumes the upload of the dead one only.
	next := uploadingChild(t, srv, dir)
	if err := next.wait(); err != nil {
		t.Errorf("process: %v: %s", err, &next.errors)
	}
	for _, up := range srv.Uploads() {
		if !bytes.Equal(up.Data, data) {
			t.Errorf("upload %s has %d bytes, or they differ", up.ID, len(up.Data))
		}
	}
	if n := len(srv.Uploads()); n != processes {
		t.Errorf("%d uploads", n)
	}
	if n := bytesReceived(srv); n > (processes+1)*processSize {
		t.Errorf("%d bytes were received", n)
	}
	store, err := filestore.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantEmptyStore(t, store)
}

func TestProcess_LeaseIsJudgedByProcess(t *testing.T) {
	const over, lives, unknown = "resumed", "second upload", "waits"
	data := randomBytes(10_000)
	now := time.Now()
	alive, dead, buried := livingChild(t), livingChild(t), livingChild(t)
	aliveProcess, deadProcess, buriedProcess := processOf(t, alive), processOf(t, dead), processOf(t, buried)
	number := fmt.Sprint(buried.Process.Pid)
	zombie(t, dead)
	killed(t, buried)
	own := leaseOfAnUpload(t).Process
	known := func(result string) string { // if other processes are visible
		if runtime.GOOS == "linux" {
			return result
		}
		return unknown
	}
	for name, test := range map[string]struct {
		process string
		lasts   time.Duration
		want    string
	}{
		"of an unknown process":           {"other", time.Minute, unknown},
		"of no process":                   {"", time.Minute, unknown},
		"of this process":                 {own, time.Minute, lives},
		"of a living process":             {aliveProcess, time.Minute, known(lives)},
		"of a zombie":                     {deadProcess, time.Minute, known(over)},
		"of a dead process":               {buriedProcess, time.Minute, known(over)},
		"of a reused number":              {withProcess(t, fmt.Sprint(alive.Process.Pid), "1"), time.Minute, known(over)},
		"of a living number only":         {withProcess(t, fmt.Sprint(alive.Process.Pid), ""), time.Minute, unknown},
		"of a dead number only":           {withProcess(t, number, ""), time.Minute, unknown},
		"of a dead number and a name":     {withProcess(t, number, "x"+storage.NewID()), time.Minute, unknown},
		"of a dead process of other host": {strings.Replace(buriedProcess, "v2/", "v2/other-", 1), time.Minute, unknown},
		"of a dead process, other boot":   {withBootTime(buriedProcess, 10*time.Second), time.Minute, unknown},
		"of a living process, clock set":  {withBootTime(aliveProcess, 10*time.Second), time.Minute, known(lives)},
		"of a dead process, no format":    {strings.TrimPrefix(buriedProcess, "v2/"), time.Minute, unknown},
		"of a dead process, no host":      {"v2//0/" + number + "/1", time.Minute, unknown},
		"of a dead process, no boot":      {"v2/" + hostname(t) + "///0/" + number + "/1", time.Minute, unknown},
		"of format v1":                    {"v1/" + hostname(t) + "//" + number + "/", time.Minute, unknown},
		"that has ended":                  {"other", -time.Second, over},
		"of this process, ended":          {own, -time.Second, over},
		"that ends in a day":              {"other", 24 * time.Hour, over},
		"that ends in twenty years":       {"other", 20 * 365 * 24 * time.Hour, over},
		"with a broken process":           {"v2/////x/", time.Minute, unknown},
		"with a negative process":         {withProcess(t, "-1", "1"), time.Minute, unknown},
		"with process 0":                  {withProcess(t, "0", "1"), time.Minute, unknown},
		"with a very large process":       {withProcess(t, "99999999999999999999", "1"), time.Minute, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
			hold(t, store, storage.Lease{Holder: "another", Process: test.process, Until: now.Add(test.lasts)})
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data), chunked())
			if err != nil {
				t.Fatal(err)
			}
			for err == nil && u.URL() == "" {
				err = u.Step(testContext(t))
			}
			got := fmt.Sprint(err)
			switch {
			case isHeld(err):
				got = unknown
			case err == nil && u.Stats().ResumedFrom == 3000:
				got = over
			case err == nil && u.Stats().NotResumed == 1:
				got = lives
			}
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func hostname(t *testing.T) string {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// hold sets the lease of the only record of a store.
func hold(t *testing.T, store storage.Store, lease storage.Lease) storage.Record {
	t.Helper()
	all := records(t, store)
	if len(all) != 1 {
		t.Fatalf("the store holds %+v", all)
	}
	all[0].Lease = &lease
	stored, err := store.Put(context.Background(), all[0])
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// leaseOfAnUpload returns a lease that an upload of this process acquired.
func leaseOfAnUpload(t *testing.T) storage.Lease {
	t.Helper()
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	created(t, newClient(t, srv.Endpoint(), &tus.Options{Store: store}), tus.Bytes(randomBytes(10_000)), chunked())
	lease := records(t, store)[0].Lease
	if lease == nil {
		t.Fatal(errors.New("no lease"))
	}
	return *lease
}

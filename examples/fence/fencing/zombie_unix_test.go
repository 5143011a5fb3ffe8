//go:build unix

package fencing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/fence/fencing"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus"
)

const (
	zombieSize   = 24 << 20 // several times what sockets hold
	workerEnv    = "TUS_FENCE_WORKER"
	runHeader    = "Zombie-Run"
	workerHeader = "Zombie-Worker"
)

func TestMain(m *testing.M) {
	if job := os.Getenv(workerEnv); job != "" {
		if err := work(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// zombieJob is the job of a worker process, and zombieEnd how that ended.
type (
	zombieJob struct {
		Endpoint, Source, Store, Run, Worker string
		Lease                                time.Duration
	}
	zombieEnd struct {
		URL         string
		ResumedFrom int64
		Error       string
		LeaseLost   bool
	}
)

// work is the main function of a worker process.
func work(job string) error {
	var j zombieJob
	if err := json.Unmarshal([]byte(job), &j); err != nil {
		return err
	}
	store, err := boltstore.Open(j.Store, &boltstore.Options{Shared: true})
	if err != nil {
		return err
	}
	defer store.Close()
	client, err := tus.NewClient(j.Endpoint, &tus.Options{
		Store: store, RequireStore: true, RememberCompleted: time.Hour, FenceHeader: header, Lease: j.Lease,
		Header: http.Header{runHeader: {j.Run}, workerHeader: {j.Worker}},
	})
	if err != nil {
		return err
	}
	res, err := client.Upload(context.Background(), tus.File(j.Source), &tus.UploadOptions{CreationLimit: -1})
	end := zombieEnd{LeaseLost: errors.Is(err, tus.ErrLeaseLost)}
	if res != nil {
		end.URL, end.ResumedFrom = res.URL, res.Stats.ResumedFrom
	}
	if err != nil {
		end.Error = err.Error()
	}
	return json.NewEncoder(os.Stdout).Encode(end)
}

// zombieRun is one upload by two workers, as seen by the server.
type zombieRun struct {
	resumed  atomic.Bool  // the first worker is a zombie
	inFlight atomic.Int64 // requests
	read     [2]atomic.Int64
	late     atomic.Int64 // bytes read from the zombie
}

// zombieServer observes the requests to a server, and slows them: it reads a source in the
// time of two leases.
type zombieServer struct {
	next  http.Handler
	lease time.Duration
	mu    sync.Mutex
	runs  map[string]*zombieRun
}

func (s *zombieServer) run(name string) *zombieRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs[name] == nil {
		s.runs[name] = &zombieRun{}
	}
	return s.runs[name]
}

func (s *zombieServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	run := s.run(r.Header.Get(runHeader))
	run.inFlight.Add(1)
	defer run.inFlight.Add(-1)
	if r.Method == http.MethodPatch {
		worker := 0
		if r.Header.Get(workerHeader) == "b" {
			worker = 1
		}
		r.Body = &zombieBody{r.Body, run, worker, s.lease}
	}
	s.next.ServeHTTP(w, r)
}

type zombieBody struct {
	io.ReadCloser
	run    *zombieRun
	worker int
	lease  time.Duration
}

func (b *zombieBody) Read(p []byte) (int, error) {
	const piece = 16 << 10
	n, err := b.ReadCloser.Read(p[:min(len(p), piece)])
	b.run.read[b.worker].Add(int64(n))
	if b.worker == 0 && b.run.resumed.Load() {
		b.run.late.Add(int64(n))
	}
	time.Sleep(time.Duration(n) * 2 * b.lease / zombieSize)
	return n, err
}

// zombieRow is a row of the table: what happened behind one kind of server.
type zombieRow struct {
	server                                           string
	endpoint, dir                                    string
	observed                                         *zombieServer
	runs, lost, successes, corrupt, reported, failed int
	late                                             []int64
}

// TestZombie_StoppedProcesses stops worker processes in the middle of a PATCH for 1.5 leases,
// and continues each in the middle of the PATCH of its successor. With TUS_ZOMBIES, the
// number of runs with each kind of server, it prints the table of docs/fleet.md. A run takes
// about three minutes, and TUS_ZOMBIES_PARALLEL (25) run at a time.
func TestZombie_StoppedProcesses(t *testing.T) {
	count, parallel, lease := 1, 25, 5*time.Second
	if n, err := strconv.Atoi(os.Getenv("TUS_ZOMBIES")); err == nil {
		count, lease = n, time.Minute
	} else if testing.Short() {
		t.Skip("takes half a minute")
	}
	if n, err := strconv.Atoi(os.Getenv("TUS_ZOMBIES_PARALLEL")); err == nil {
		parallel = n
	}
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, randomBytes(zombieSize), 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // of the rows
	var running sync.WaitGroup
	var rows []*zombieRow
	for _, kind := range []string{"locks", "no locks, behind the handler", "no locks, behind the proxy", "neither"} {
		row := newZombieRow(t, kind, lease)
		rows = append(rows, row)
		slots := make(chan struct{}, parallel)
		for i := range count {
			running.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				row.oneRun(t, &mu, strconv.Itoa(i), source)
			})
		}
	}
	running.Wait()
	t.Log("\n" + zombieTable(rows))
	for _, row := range rows {
		protected := row.server != "neither"
		switch {
		case row.runs != count:
			t.Errorf("%s: %d runs", row.server, row.runs)
		case protected && (row.corrupt > 0 || row.failed > 0 || slices.Max(row.late) > 0 || row.lost != row.runs):
			t.Errorf("%s: %+v", row.server, row)
		case !protected && row.corrupt == 0 && count >= 20: // a zombie may be faster
			t.Errorf("nothing was corrupt without protection: the test proves nothing")
		}
	}
}

func newZombieRow(t *testing.T, kind string, lease time.Duration) *zombieRow {
	t.Helper()
	row := &zombieRow{server: kind, dir: t.TempDir()}
	row.observed = &zombieServer{next: newTusd(t, row.dir, kind == "locks"), lease: lease, runs: map[string]*zombieRun{}}
	var h http.Handler = row.observed
	switch kind {
	case "no locks, behind the handler":
		h = fencing.New(h, fencing.Options{})
	case "no locks, behind the proxy":
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		target, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		h = fencing.New(fencing.Proxy(target, nil), fencing.Options{})
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, listener, h)
	row.endpoint = "http://" + listener.Addr().String() + "/files/"
	return row
}

// oneRun is an upload by two processes, of which the first becomes a zombie.
func (row *zombieRow) oneRun(t *testing.T, mu *sync.Mutex, name, source string) {
	run, lease := row.observed.run(name), row.observed.lease
	job := zombieJob{Endpoint: row.endpoint, Source: source, Store: filepath.Join(t.TempDir(), "store"), Run: name, Worker: "a", Lease: lease}
	time.Sleep(rand.N(lease / 3)) // the processes do not all start at once
	a := startWorker(t, job)
	defer a.kill()
	// The lease is renewed for the first time after a third of it.
	stopAt := time.Now().Add(lease/20 + rand.N(lease*2/5))
	if !eventually(t, time.Minute, func() bool { return run.read[0].Load() > 256<<10 && time.Now().After(stopAt) }) {
		t.Errorf("%s/%s: the first worker sends nothing: %s", row.server, name, a.errors.String())
		return
	}
	a.signal(t, syscall.SIGSTOP)
	for !unlocked(t, job.Store) { // it was stopped while it wrote its lease
		a.signal(t, syscall.SIGCONT)
		time.Sleep(100 * time.Millisecond)
		a.signal(t, syscall.SIGSTOP)
	}
	stopped := time.Now()
	job.Worker = "b"
	b := startWorker(t, job)
	defer b.kill()
	if !eventually(t, 3*time.Minute, func() bool { return run.read[1].Load() > 256<<10 && time.Since(stopped) >= lease*3/2 }) {
		t.Errorf("%s/%s: the second worker sends nothing: %s", row.server, name, b.errors.String())
		return
	}
	run.resumed.Store(true)
	a.signal(t, syscall.SIGCONT)
	first, second := a.wait(t), b.wait(t)
	if !eventually(t, 5*time.Minute, func() bool { return run.inFlight.Load() == 0 }) {
		t.Errorf("%s/%s: requests do not end", row.server, name)
		return
	}
	mu.Lock()
	defer mu.Unlock()
	row.runs++
	row.late = append(row.late, run.late.Load())
	if first.LeaseLost {
		row.lost++
	}
	if second.Error != "" {
		row.failed++
	} else {
		row.successes++
	}
	path := filepath.Join(row.dir, filepath.Base(second.URL))
	got, err := os.ReadFile(path)
	want, wantErr := os.ReadFile(source)
	if wantErr != nil {
		t.Error(wantErr)
	}
	if second.URL == "" || err != nil || !bytes.Equal(got, want) {
		row.corrupt++
		if second.Error == "" {
			row.reported++
		}
	}
	t.Logf("%s/%s: a: %+v; b: %+v; %d bytes of a after SIGCONT, %d bytes stored", row.server, name, first, second, run.late.Load(), len(got))
	if second.URL != "" {
		_ = os.Remove(path)
	}
}

// unlocked reports whether a store can be used while a process is stopped. If the process
// holds the lock of the file, no other can acquire its lease.
func unlocked(t *testing.T, path string) bool {
	store, err := boltstore.Open(path, &boltstore.Options{Shared: true, LockTimeout: 2 * time.Second})
	if err != nil {
		return false
	}
	defer store.Close()
	_, err = store.Find(t.Context(), "none")
	return err == nil
}

// zombieTable returns the rows as a Markdown table.
func zombieTable(rows []*zombieRow) string {
	var s strings.Builder
	s.WriteString("| server | runs | zombies that end with `ErrLeaseLost` | bytes of a zombie stored after SIGCONT | successes reported | corrupt | corrupt, reported as success |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, row := range rows {
		slices.Sort(row.late)
		late := "0"
		if n := len(row.late); n > 0 && row.late[n-1] > 0 {
			late = fmt.Sprintf("median %d, most %d", row.late[n/2], row.late[n-1])
		}
		fmt.Fprintf(&s, "| %s | %d | %d | %s | %d | %d | %d |\n", row.server, row.runs, row.lost, late, row.successes, row.corrupt, row.reported)
	}
	return s.String()
}

// worker is a worker process.
type worker struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	errors bytes.Buffer
}

func startWorker(t *testing.T, job zombieJob) *worker {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Error(err)
	}
	w := &worker{cmd: exec.CommandContext(t.Context(), os.Args[0])}
	w.cmd.Env = append(os.Environ(), workerEnv+"="+string(text), "GOMAXPROCS=1")
	w.cmd.Stdout, w.cmd.Stderr = &w.output, &w.errors
	if err := w.cmd.Start(); err != nil {
		t.Error(err)
	}
	return w
}

func (w *worker) signal(t *testing.T, s syscall.Signal) {
	if err := w.cmd.Process.Signal(s); err != nil {
		t.Error(err)
	}
}

// kill ends the process if it still runs.
func (w *worker) kill() {
	if w.cmd.ProcessState == nil && w.cmd.Process != nil {
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait()
	}
}

// wait returns how the work ended.
func (w *worker) wait(t *testing.T) (end zombieEnd) {
	limit := time.AfterFunc(10*time.Minute, func() { _ = w.cmd.Process.Kill() })
	defer limit.Stop()
	err := w.cmd.Wait()
	if err == nil {
		err = json.Unmarshal(w.output.Bytes(), &end)
	}
	if err != nil {
		t.Errorf("worker: %v: %s", err, w.errors.String())
		end.Error = err.Error()
	}
	return end
}

// eventually reports whether a condition holds within a time.
func eventually(t *testing.T, limit time.Duration, condition func() bool) bool {
	for until := time.Now().Add(limit); time.Now().Before(until); {
		if condition() {
			return true
		}
		select {
		case <-t.Context().Done():
			return false
		case <-time.After(100 * time.Millisecond):
		}
	}
	return false
}

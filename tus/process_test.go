package tus_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
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

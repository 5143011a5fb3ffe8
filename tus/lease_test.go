package tus_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestTwoUploadersOfOneFileNeverWriteToOneURL(t *testing.T) {
	data := randomBytes(10_000)
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
	var mu sync.Mutex
	writing := map[string]int{}
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		mu.Lock()
		if writing[r.URL.Path]++; writing[r.URL.Path] > 1 {
			t.Errorf("two requests write to %s", r.URL.Path)
		}
		mu.Unlock()
		h.Serve(w, r)
		mu.Lock()
		writing[r.URL.Path]--
		mu.Unlock()
	}})
	const uploaders = 8
	results := make([]*tus.Result, uploaders)
	var group sync.WaitGroup
	for i := range uploaders {
		group.Go(func() {
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), inChunks())
			if err != nil {
				t.Error(err)
			}
			results[i] = res
		})
	}
	group.Wait()
	urls := map[string]bool{}
	resumed := 0
	for _, res := range results {
		wantStored(t, srv.Handler, res.URL, data)
		urls[res.URL] = true
		if res.Stats.ResumedFrom > 0 {
			resumed++
		}
	}
	// Each has its own, unless it came when another was done.
	if resumed == 0 || len(urls) < 2 && resumed < uploaders {
		t.Errorf("%d uploads, %d resumed", len(urls), resumed)
	}
	wantEmptyStore(t, store)
}

// heldRecord is a stored upload with a lease.
func heldRecord(t *testing.T, srv *tustest.Server, store *storage.Memory, data []byte, lease storage.Lease) {
	t.Helper()
	stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
	rec := records(t, store)[0]
	rec.Lease = &lease
	if _, err := store.Put(context.Background(), rec); err != nil {
		t.Fatal(err)
	}
}

func TestWhoseLeaseIsRespected(t *testing.T) {
	data := randomBytes(10_000)
	now := time.Now()
	for name, test := range map[string]struct {
		lease   storage.Lease
		resumes bool
	}{
		"of somebody unknown":     {storage.Lease{Holder: "h", Process: "elsewhere", Until: now.Add(time.Minute)}, false},
		"of this process":         {storage.Lease{Holder: "h", Process: leaseOfAnUpload(t).Process, Until: now.Add(time.Minute)}, false},
		"of a living process":     {storage.Lease{Holder: "h", Process: processOf(t, livingChild(t)), Until: now.Add(time.Minute)}, false},
		"of a dead process":       {storage.Lease{Holder: "h", Process: processOf(t, deadChild(t)), Until: now.Add(time.Minute)}, true},
		"that has ended":          {storage.Lease{Holder: "h", Process: "elsewhere", Until: now.Add(-time.Second)}, true},
		"that never seems to end": {storage.Lease{Holder: "h", Process: "elsewhere", Until: now.Add(24 * time.Hour)}, true},
		"with a broken process":   {storage.Lease{Holder: "h", Process: "v1/////x/", Until: now.Add(time.Minute)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			heldRecord(t, srv, store, data, test.lease)
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
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(randomBytes(10_000)), inChunks())
	if err != nil {
		t.Fatal(err)
	}
	for u.URL() == "" {
		if err := u.Step(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	return *records(t, store)[0].Lease
}

// The test binary started again with this set waits until its input ends.
const waitVariable = "TUS_TEST_WAIT"

// waitIfChild is what such a child does, called by TestMain.
func waitIfChild() {
	if os.Getenv(waitVariable) != "" {
		fmt.Println("ready")
		bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}
}

func livingChild(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), waitVariable+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	return cmd
}

func deadChild(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := livingChild(t)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	return cmd
}

// processOf is what a child would write into a lease: as this process does, with
// its own number and, for lack of better knowledge, no start time.
func processOf(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	fields := strings.Split(leaseOfAnUpload(t).Process, "/")
	fields[len(fields)-2], fields[len(fields)-1] = fmt.Sprint(cmd.Process.Pid), ""
	return strings.Join(fields, "/")
}

func TestLeaseIsRenewedForAsLongAsAnUploadTakes(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store := &storage.Memory{}
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(25 * time.Second)})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var watching sync.WaitGroup
		watching.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(7 * time.Second):
				}
				for _, rec := range records(t, store) {
					if rec.Lease == nil || time.Until(rec.Lease.Until) < 20*time.Second {
						t.Errorf("lease at %v is %+v", time.Now(), rec.Lease)
					}
				}
			}
		})
		data := randomBytes(100_000)
		res, err := newClient(&tus.Options{Store: store}).Upload(context.Background(), tus.Bytes(data), inChunks())
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		watching.Wait()
		wantStored(t, h, res.URL, data)
		wantEmptyStore(t, store)
	})
}

func TestUploaderThatLostItsLeaseStops(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store := &storage.Memory{}
		requests := 0
		h.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if requests++; requests == 1 {
				// Somebody on another machine, whose clock is ahead, takes over.
				rec := records(t, store)[0]
				rec.Lease = &storage.Lease{Holder: "another", Process: "elsewhere", Until: time.Now().Add(time.Minute)}
				if _, err := store.Put(context.Background(), rec); err != nil {
					t.Error(err)
				}
			}
			tustest.Delay(20*time.Second)(w, r, h)
		}})
		u, err := newClient(&tus.Options{Store: store}).NewUploader(tus.Bytes(randomBytes(100_000)), inChunks())
		if err != nil {
			t.Fatal(err)
		}
		_, err = u.Run(context.Background())
		wantError(t, err, tus.ErrLeaseLost)
		if u.State() != tus.StateFailed || requests > 3 {
			t.Errorf("state %v after %d more requests", u.State(), requests)
		}
		if rec := records(t, store)[0]; rec.Lease == nil || rec.Lease.Holder != "another" {
			t.Errorf("the other's record is %+v", rec)
		}
	})
}

func TestStepsFurtherApartThanALeaseNoticeATakeover(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store := &storage.Memory{}
		u, err := newClient(&tus.Options{Store: store}).NewUploader(tus.Bytes(randomBytes(10_000)), inChunks())
		if err != nil {
			t.Fatal(err)
		}
		for u.Offset() < 3000 {
			if err := u.Step(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Minute) // nobody steps, and nobody takes over
		if err := u.Step(context.Background()); err != nil {
			t.Fatal(err)
		}
		rec := records(t, store)[0]
		if time.Until(rec.Lease.Until) < 30*time.Second {
			t.Errorf("lease was not renewed: %+v", rec.Lease)
		}
		time.Sleep(10 * time.Minute)
		rec.Lease = &storage.Lease{Holder: "another", Process: "elsewhere", Until: time.Now().Add(time.Minute)}
		if _, err := store.Put(context.Background(), rec); err != nil {
			t.Fatal(err)
		}
		wantError(t, u.Step(context.Background()), tus.ErrLeaseLost)
	})
}

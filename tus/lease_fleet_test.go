package tus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// fleet is several workers on different machines, with a shared store and a server whose
// PATCH requests take two seconds.
type fleet struct {
	t         *testing.T
	h         *tustest.Handler
	newClient func(*tus.Options) *tus.Client
	shared    *storage.Memory
	data      []byte
	began     time.Time
	working   sync.WaitGroup

	mu      sync.Mutex
	patches []fleetPatch
	ends    map[string]fleetEnd
	slow    string         // the worker whose requests take three seconds
	from    int64          // the next PATCH at this offset or later …
	action  tustest.Action // … is handled by this; nil means by the server
}

type fleetPatch struct {
	worker, path string
	at           time.Duration
}

type fleetEnd struct {
	res *tus.Result
	err error
	at  time.Duration
}

func withFleet(t *testing.T, f func(t *testing.T, fl *fleet)) {
	t.Helper()
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		fl := &fleet{t: t, h: h, newClient: newClient, shared: &storage.Memory{}, data: randomBytes(100_000), began: time.Now(), ends: map[string]fleetEnd{}}
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: fl.delayedPatch})
		f(t, fl)
		fl.working.Wait()
	})
}

func (fl *fleet) delayedPatch(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	var offset int64
	fmt.Sscan(r.Header.Get("Upload-Offset"), &offset)
	action := tustest.Delay(2 * time.Second)
	fl.mu.Lock()
	if fl.slow != "" && fl.slow == r.Header.Get(processHeader) {
		action = tustest.Delay(3 * time.Second)
	}
	fl.patches = append(fl.patches, fleetPatch{r.Header.Get(processHeader), r.URL.Path, time.Since(fl.began)})
	if fl.action != nil && offset >= fl.from {
		action, fl.action = fl.action, nil
	}
	fl.mu.Unlock()
	action(w, r, h)
}

// inject handles the next PATCH at an offset or later by action.
func (fl *fleet) inject(from int64, action tustest.Action) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.from, fl.action = from, action
}

// machineStore is the shared store as used by a worker of another machine. fail, if not
// nil, is called before each operation.
type machineStore struct {
	storage.Store
	process string
	fail    func(op string) error
}

func (s *machineStore) call(op string) error {
	if s.fail == nil {
		return nil
	}
	return s.fail(op)
}

func (s *machineStore) Find(ctx context.Context, key string) ([]storage.Record, error) {
	if err := s.call("find"); err != nil {
		return nil, err
	}
	return s.Store.Find(ctx, key)
}

func (s *machineStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	if err := s.call("put"); err != nil {
		return storage.Record{}, err
	}
	if rec = rec.Clone(); rec.Lease != nil {
		rec.Lease.Process = s.process
	}
	return s.Store.Put(ctx, rec)
}

func (s *machineStore) Delete(ctx context.Context, id string, revision int64) error {
	if err := s.call("delete"); err != nil {
		return err
	}
	return s.Store.Delete(ctx, id, revision)
}

// machine returns the shared store for a worker of another machine.
func (fl *fleet) machine(name string, fail func(op string) error) *machineStore {
	return &machineStore{Store: fl.shared, process: "v2/" + name + "/boot/namespaces/0/1/1", fail: fail}
}

// start starts an upload by a worker.
func (fl *fleet) start(worker string, o tus.Options, opts *tus.UploadOptions) {
	o.Header = http.Header{processHeader: {worker}}
	client := fl.newClient(&o)
	fl.working.Go(func() {
		res, err := client.Upload(context.Background(), tus.Bytes(fl.data), opts)
		fl.mu.Lock()
		defer fl.mu.Unlock()
		fl.ends[worker] = fleetEnd{res, err, time.Since(fl.began)}
	})
}

func (fl *fleet) end(worker string) fleetEnd {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return fl.ends[worker]
}

// steal leases the only record for another worker.
func (fl *fleet) steal() {
	hold(fl.t, fl.shared, storage.Lease{Holder: "other", Process: foreignProcess, Until: time.Now().Add(time.Minute)})
}

// patchesAfter counts the requests of a worker after that time.
func (fl *fleet) patchesAfter(worker string, at time.Duration) int {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	n := 0
	for _, p := range fl.patches {
		if p.worker == worker && p.at > at {
			n++
		}
	}
	return n
}

// wantOneWriter fails if a worker sends to an upload after another one did.
func (fl *fleet) wantOneWriter() {
	fl.t.Helper()
	fl.mu.Lock()
	defer fl.mu.Unlock()
	order := map[string][]string{}
	for _, p := range fl.patches {
		if all := order[p.path]; len(all) == 0 || all[len(all)-1] != p.worker {
			order[p.path] = append(all, p.worker)
		}
	}
	for path, all := range order {
		if slices.Sort(all); len(slices.Compact(slices.Clone(all))) != len(all) {
			fl.t.Errorf("writers of %s are %v", path, all)
		}
	}
}

var errNoRoute = errors.New("no route to the store")

// failing fails the operations of that name, or all for "", from a time on for a
// duration.
func (fl *fleet) failing(op string, at, lasts time.Duration) func(string) error {
	return func(now string) error {
		since := time.Since(fl.began)
		if (op == "" || op == now) && since >= at && since < at+lasts {
			return errNoRoute
		}
		return nil
	}
}

const forGood = 24 * time.Hour

// hangingPuts makes every Put from 10 s on take 5 minutes, whatever its context, as a
// directory on NFS may.
func (fl *fleet) hangingPuts() func(string) error {
	hangs := fl.failing("put", 10*time.Second, forGood)
	return func(op string) error {
		if hangs(op) != nil {
			time.Sleep(5 * time.Minute)
		}
		return nil
	}
}

func TestLease_HolderStopsAtDeadline(t *testing.T) {
	withFleet(t, func(t *testing.T, fl *fleet) {
		store := fl.machine("a", fl.failing("", 10*time.Second, forGood))
		fl.start("a", tus.Options{Store: store, RequireStore: true}, chunked())
		time.Sleep(65 * time.Second)
		fl.start("b", tus.Options{Store: fl.machine("b", nil), RequireStore: true}, chunked())
		fl.working.Wait()
		a, b := fl.end("a"), fl.end("b")
		wantError(t, a.err, tus.ErrStore)
		wantError(t, a.err, errNoRoute)
		if a.at < 49*time.Second || a.at > 52*time.Second {
			t.Errorf("a ended after %v", a.at)
		}
		if b.err != nil || b.res.Stats.ResumedFrom == 0 {
			t.Fatalf("b: %+v, %v", b.res, b.err)
		}
		fl.wantOneWriter()
		wantStored(t, fl.h, b.res.URL, fl.data)
		wantEmptyStore(t, fl.shared)
	})
}

func TestLease_HangingStoreStopsHolderAtDeadline(t *testing.T) {
	withFleet(t, func(t *testing.T, fl *fleet) {
		store := fl.machine("a", fl.hangingPuts())
		fl.start("a", tus.Options{Store: store, RequireStore: true}, &tus.UploadOptions{ChunkSize: 50_000})
		fl.inject(50_000, tustest.Stall())
		time.Sleep(65 * time.Second)
		a := fl.end("a")
		wantError(t, a.err, tus.ErrStore)
		if n := fl.patchesAfter("a", 50*time.Second); n > 0 {
			t.Errorf("%d requests after the deadline", n)
		}
		fl.steal()
		time.Sleep(10 * time.Minute) // until the hanging Put returns a conflict
		if rec := records(t, fl.shared)[0]; rec.Lease == nil || rec.Lease.Holder != "other" {
			t.Errorf("record is %+v", rec)
		}
	})
}

func TestLease_StoreFailureShorterThanLeaseEndsNothing(t *testing.T) {
	withFleet(t, func(t *testing.T, fl *fleet) {
		events := 0
		store := fl.machine("a", fl.failing("", 10*time.Second, 38*time.Second))
		fl.start("a", tus.Options{Store: store, RequireStore: true, Hooks: tus.Hooks{OnStoreError: func(*tus.Uploader, error) { events++ }}}, chunked())
		time.Sleep(65 * time.Second)
		fl.start("b", tus.Options{Store: fl.machine("b", nil), Hooks: tus.Hooks{}}, &tus.UploadOptions{ChunkSize: 1000, Held: tus.HeldFail})
		fl.working.Wait()
		a, b := fl.end("a"), fl.end("b")
		if a.err != nil || events != 1 {
			t.Fatalf("a: %+v, %v, %d events", a.res, a.err, events)
		}
		if !isHeld(b.err) {
			t.Errorf("b: %v", b.err)
		}
		wantStored(t, fl.h, a.res.URL, fl.data)
	})
}

// Without RequireStore an upload continues after the end of its lease, until the store or
// the server shows another writer.
func TestLease_UploadWithoutLeaseStopsAtSecondWriter(t *testing.T) {
	for _, op := range []string{"", "put"} {
		withFleet(t, func(t *testing.T, fl *fleet) {
			fl.slow = "a" // at some offset, b sends before a
			fl.start("a", tus.Options{Store: fl.machine("a", fl.failing(op, 10*time.Second, forGood))}, chunked())
			time.Sleep(100 * time.Second)
			if n := fl.patchesAfter("a", 90*time.Second); n == 0 {
				t.Errorf("%q: upload stopped before another worker acquired it", op)
			}
			fl.start("b", tus.Options{Store: fl.machine("b", nil)}, chunked())
			fl.working.Wait()
			a, b := fl.end("a"), fl.end("b")
			wantError(t, a.err, tus.ErrLeaseLost)
			if b.err != nil || b.res.Stats.ResumedFrom == 0 || a.at > 115*time.Second {
				t.Fatalf("%q: b: %+v, %v; a ended after %v", op, b.res, b.err, a.at)
			}
			wantStored(t, fl.h, b.res.URL, fl.data)
		})
	}
}

// The server reports another request while the lease is not due for renewal.
func TestLease_ContentionConfirmsLease(t *testing.T) {
	responses := map[string]tustest.Action{
		"409":             tustest.Respond(409, "", "Tus-Resumable", "1.0.0"),
		"423":             tustest.Respond(423, "", "Tus-Resumable", "1.0.0"),
		"400 interrupted": tustest.Respond(400, "ERR_UPLOAD_INTERRUPTED: upload has been interrupted by another request"),
	}
	for name, response := range responses {
		for way, opts := range map[string]*tus.UploadOptions{"one piece": chunked(), "parts": {ChunkSize: 1000, Parallel: 2}} {
			t.Run(name+"/"+way, func(t *testing.T) {
				withFleet(t, func(t *testing.T, fl *fleet) {
					if way == "parts" {
						opts.ParallelOptions.PartBoundaries = []int64{50_000}
					}
					fl.start("a", tus.Options{Store: fl.machine("a", nil)}, opts)
					time.Sleep(5 * time.Second)
					fl.steal()
					fl.inject(0, response)
					fl.working.Wait()
					a := fl.end("a")
					wantError(t, a.err, tus.ErrLeaseLost)
					if n := fl.patchesAfter("a", 8*time.Second); n > 0 || a.at > 8*time.Second {
						t.Errorf("%d requests, ended after %v", n, a.at)
					}
				})
			})
		}
	}
}

func TestLease_ContentionOfOwnRequestIsRetried(t *testing.T) {
	for name, fails := range map[string]struct{ at, lasts time.Duration }{
		"store works":       {0, 0},
		"store never works": {0, forGood},
		"store fails":       {3 * time.Second, 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			withFleet(t, func(t *testing.T, fl *fleet) {
				fl.start("a", tus.Options{Store: fl.machine("a", fl.failing("", fails.at, fails.lasts))}, chunked())
				time.Sleep(5 * time.Second)
				fl.inject(0, tustest.Respond(423, "", "Tus-Resumable", "1.0.0"))
				fl.working.Wait()
				if a := fl.end("a"); a.err != nil {
					t.Error(a.err)
				} else {
					wantStored(t, fl.h, a.res.URL, fl.data)
				}
			})
		})
	}
}

// A worker that cannot confirm its lease after such a response sends nothing more.
func TestLease_UnconfirmedLeaseIsLost(t *testing.T) {
	for required, want := range map[bool]error{false: tus.ErrLeaseLost, true: tus.ErrStore} {
		t.Run(fmt.Sprint(required), func(t *testing.T) {
			withFleet(t, func(t *testing.T, fl *fleet) {
				fl.start("a", tus.Options{Store: fl.machine("a", fl.failing("", 10*time.Second, forGood)), RequireStore: required}, chunked())
				time.Sleep(15 * time.Second)
				fl.inject(0, tustest.Respond(423, "", "Tus-Resumable", "1.0.0"))
				fl.working.Wait()
				a := fl.end("a")
				wantError(t, a.err, want)
				wantError(t, a.err, errNoRoute)
				if n := fl.patchesAfter("a", 18*time.Second); n > 0 {
					t.Errorf("%d requests after the 423", n)
				}
			})
		})
	}
}

// The last chunk of a worker takes longer than its lease, and another worker acquires the
// lease meanwhile.
func TestLease_RecordOfNextHolderIsKept(t *testing.T) {
	withFleet(t, func(t *testing.T, fl *fleet) {
		fl.data = fl.data[:3000]
		fl.inject(2000, tustest.Delay(10*time.Second))
		fl.start("a", tus.Options{Store: fl.machine("a", nil), RequireStore: true}, chunked())
		time.Sleep(6 * time.Second)
		fl.steal()
		fl.working.Wait()
		if left := records(t, fl.shared); len(left) != 1 || left[0].Lease == nil || left[0].Lease.Holder != "other" {
			t.Errorf("records are %+v", left)
		}
	})
}

// Machines restored from the same snapshot have the same host, boot and namespaces.
func TestLease_ProcessOfCloneIsNotDead(t *testing.T) {
	needsProcesses(t)
	fields := strings.Split(leaseOfAnUpload(t).Process, "/")
	fields[len(fields)-2] = "30000000" // no process of this machine
	clone := withBootTime(strings.Join(fields, "/"), time.Second)
	withFleet(t, func(t *testing.T, fl *fleet) {
		a := fl.machine("a", nil)
		a.process = clone
		fl.start("a", tus.Options{Store: a, RequireStore: true}, chunked())
		time.Sleep(5 * time.Second)
		fl.start("b", tus.Options{Store: fl.machine("b", nil), RequireStore: true}, chunked())
		fl.working.Wait()
		fl.wantOneWriter()
		for worker, end := range fl.ends {
			if end.err != nil {
				t.Errorf("%s: %v", worker, end.err)
			}
		}
	})
}

// A Put that hangs delays neither the end of the context nor Pause.
func TestRecord_HangingPutDoesNotDelayPause(t *testing.T) {
	for name, end := range map[string]func(u *tus.Uploader, cancel func()){
		"context": func(_ *tus.Uploader, cancel func()) { cancel() },
		"pause":   func(u *tus.Uploader, _ func()) { u.Pause() },
	} {
		t.Run(name, func(t *testing.T) {
			withFleet(t, func(t *testing.T, fl *fleet) {
				client := fl.newClient(&tus.Options{Store: fl.machine("a", fl.hangingPuts())})
				u, err := client.NewUploader(tus.Bytes(fl.data), chunked())
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				// The server reports another request, so the client confirms the lease, which hangs.
				fl.inject(6000, tustest.Respond(423, "", "Tus-Resumable", "1.0.0"))
				fl.working.Go(func() {
					time.Sleep(30 * time.Second)
					end(u, cancel)
				})
				if _, err := u.Run(ctx); u.State() != tus.StatePaused || err == nil {
					t.Errorf("state is %v: %v", u.State(), err)
				}
				if took := time.Since(fl.began); took > 36*time.Second { // 5 s for the release
					t.Errorf("it took %v", took)
				}
				time.Sleep(10 * time.Minute)
				synctest.Wait()
			})
		})
	}
}

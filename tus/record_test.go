package tus_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// scripted is a store whose operations a test can replace.
type scripted struct {
	storage.Store
	find   func(next func() ([]storage.Record, error)) ([]storage.Record, error)
	put    func(rec storage.Record, next put) (storage.Record, error)
	delete func(next func() error) error
}

type put func() (storage.Record, error)

func (s *scripted) Find(ctx context.Context, key string) ([]storage.Record, error) {
	next := func() ([]storage.Record, error) { return s.Store.Find(ctx, key) }
	if s.find == nil {
		return next()
	}
	return s.find(next)
}

func (s *scripted) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	next := func() (storage.Record, error) { return s.Store.Put(ctx, rec) }
	if s.put == nil {
		return next()
	}
	return s.put(rec, next)
}

func (s *scripted) Delete(ctx context.Context, id string, revision int64) error {
	next := func() error { return s.Store.Delete(ctx, id, revision) }
	if s.delete == nil {
		return next()
	}
	return s.delete(next)
}

// failing returns a store with an operation that fails from a number of calls on.
func failing(store storage.Store, op string, from int, err error) *scripted {
	var calls atomic.Int64
	fails := func(now string) bool { return op == now && calls.Add(1) > int64(from) }
	return &scripted{
		Store: store,
		find: func(next func() ([]storage.Record, error)) ([]storage.Record, error) {
			if fails("find") {
				return nil, err
			}
			return next()
		},
		put: func(_ storage.Record, next put) (storage.Record, error) {
			if fails("put") {
				return storage.Record{}, err
			}
			return next()
		},
		delete: func(next func() error) error {
			if fails("delete") {
				return err
			}
			return next()
		},
	}
}

// storeTroubles are errors of stores.
var storeTroubles = map[string]error{
	"disk full":     errors.New("no space left on device"),
	"corrupt":       &storage.Error{Path: "uploads.db", Err: storage.ErrCorrupt},
	"newer version": &storage.Error{Path: "uploads.db", Err: storage.ErrNewerVersion},
	"locked":        &storage.Error{Path: "uploads", Err: storage.ErrLocked},
	"closed":        storage.ErrClosed,
	"too slow":      fmt.Errorf("connecting to the database: %w", context.DeadlineExceeded), // a timeout of the store
}

// failureOf reports whether err is an error of a store operation with a cause.
func failureOf(err error, op string, cause error) bool {
	return errors.Is(err, tus.ErrStore) && errors.Is(err, cause) && strings.Contains(err.Error(), ": "+op+": ")
}

func TestStore_FailureDoesNotEndUpload(t *testing.T) {
	data := randomBytes(10_000)
	for name, trouble := range storeTroubles {
		for _, op := range []string{"find", "put", "delete"} {
			t.Run(name+"/"+op, func(t *testing.T) {
				srv := tustest.NewServer(t, nil)
				var events []error
				client := newClient(t, srv.Endpoint(), &tus.Options{Store: failing(&storage.Memory{}, op, 0, trouble),
					Hooks: tus.Hooks{OnStoreError: func(_ *tus.Uploader, err error) { events = append(events, err) }}})
				res, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				if res.Stats.Requests["POST"] != 1 || res.Stats.Requests["PATCH"] != 10 || requestsOf(res.Stats) != 11 {
					t.Errorf("stats are %+v", res.Stats)
				}
				if len(events) == 0 || !failureOf(events[0], op, trouble) {
					t.Errorf("OnStoreError got %+v", events)
				}
			})
		}
	}
}

func TestStore_HangingPutDoesNotEndUpload(t *testing.T) {
	for name, required := range map[string]bool{"required": true, "not required": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				data, events := randomBytes(10_000), 0
				client := newClient(&tus.Options{Store: &hangingStore{Store: &storage.Memory{}}, RequireStore: required,
					Hooks: tus.Hooks{OnStoreError: func(*tus.Uploader, error) { events++ }}})
				res, err := client.Upload(t.Context(), tus.Bytes(data), chunked())
				if events == 0 {
					t.Error("OnStoreError was not called")
				}
				if required {
					wantError(t, err, tus.ErrStore)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, h, res.URL, data)
			})
		})
	}
}

func TestStore_HangingPutDoesNotDelayEnd(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(25 * time.Second)})
		store, data, events := &hangingStore{Store: &storage.Memory{}, after: 1}, randomBytes(10_000), 0
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		res, err := newClient(&tus.Options{Store: store, Hooks: tus.Hooks{OnStoreError: func(*tus.Uploader, error) { events++ }}}).
			Upload(ctx, tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, res.URL, data)
		if events == 0 {
			t.Error("OnStoreError was not called")
		}
	})
}

// hangingStore stores a number of records. Later Puts hang until their context ends.
type hangingStore struct {
	storage.Store
	after int64
	puts  atomic.Int64
}

func (s *hangingStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	if s.puts.Add(1) <= s.after {
		return s.Store.Put(ctx, rec)
	}
	<-ctx.Done()
	return storage.Record{}, ctx.Err()
}

func TestStore_RequiredStoreFailsBeforeFirstByte(t *testing.T) {
	for name, trouble := range storeTroubles {
		for _, op := range []string{"find", "put"} {
			t.Run(name+"/"+op, func(t *testing.T) {
				srv, events := tustest.NewServer(t, nil), 0
				client := newClient(t, srv.Endpoint(), &tus.Options{Store: failing(&storage.Memory{}, op, 0, trouble), RequireStore: true,
					Hooks: tus.Hooks{OnStoreError: func(*tus.Uploader, error) { events++ }}})
				_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10_000)), chunked())
				wantError(t, err, tus.ErrStore)
				wantError(t, err, trouble)
				if n := bytesReceived(srv); n != 0 || events == 0 {
					t.Errorf("%d bytes were received without a record, OnStoreError was called %d times", n, events)
				}
				if op == "find" && len(srv.Requests()) > 0 {
					t.Errorf("requests were %+v", srv.Requests())
				}
			})
		}
	}
}

func TestStore_RequiredStoreStartsNoSecondUpload(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	old := stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
	posts, full := srv.Count("POST"), errors.New("disk full")
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: failing(store, "put", 0, full), RequireStore: true}).Upload(testContext(t), tus.Bytes(data), chunked())
	wantError(t, err, tus.ErrStore)
	wantError(t, err, full)
	if all := records(t, store); len(all) != 1 || srv.Count("POST") != posts {
		t.Errorf("the store holds %+v, %d creations", all, srv.Count("POST"))
	}
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, RequireStore: true}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.URL != old.URL || res.Stats.ResumedFrom != 3000 {
		t.Errorf("result is %+v, %v", res, err)
	}
}

func TestStore_FailedDeleteDoesNotFailUpload(t *testing.T) {
	// RequireStore makes no difference: the server has all bytes.
	srv, data := tustest.NewServer(t, nil), randomBytes(10_000)
	var events []error
	readOnly := errors.New("read-only file system")
	store := failing(&storage.Memory{}, "delete", 0, readOnly)
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, RequireStore: true, Hooks: tus.Hooks{
		OnStoreError: func(_ *tus.Uploader, err error) { events = append(events, err) }}}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if len(events) != 1 || !failureOf(events[0], "delete", readOnly) {
		t.Errorf("OnStoreError got %v", events)
	}
	if all := records(t, store); len(all) != 1 || all[0].Lease != nil {
		t.Errorf("the store has %+v with a lease", all)
	}
}

// A Put may store the record and return an error. Its revision is then unknown.
func TestStore_FailedPutThatStoredLeavesNoRecord(t *testing.T) {
	srv, memory, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	store := &scripted{Store: memory, put: func(rec storage.Record, next put) (storage.Record, error) {
		stored, err := next()
		if rec.Finishing {
			return storage.Record{}, errors.New("connection lost")
		}
		return stored, err
	}}
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	wantEmptyStore(t, memory)
}

// Another uploader acquires the lease just before this one deletes the record.
func TestStore_RecordOfOtherHolderIsNotDeleted(t *testing.T) {
	srv, memory, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	store := &scripted{Store: memory, delete: func(next func() error) error {
		rec := records(t, memory)[0]
		rec.Lease = &storage.Lease{Holder: "other", Until: time.Now().Add(time.Minute)}
		if _, err := memory.Put(t.Context(), rec); err != nil {
			t.Error(err)
		}
		return next()
	}}
	events := 0
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Hooks: tus.Hooks{OnStoreError: func(*tus.Uploader, error) { events++ }}}).
		Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || events > 0 {
		t.Errorf("%v, %d store errors", err, events)
	}
	if left := records(t, memory); len(left) != 1 || left[0].Lease == nil || left[0].Lease.Holder != "other" {
		t.Errorf("records are %+v", left)
	}
}

func TestStore_RequiredStoreFailsAfterFirstByte(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(25 * time.Second)})
		memory, data := &storage.Memory{}, randomBytes(10_000)
		full := errors.New("no space left on device")
		store := failing(memory, "put", 3, full)
		res, err := newClient(&tus.Options{Store: store, RequireStore: true}).Upload(context.Background(), tus.Bytes(data), chunked())
		wantError(t, err, tus.ErrStore)
		wantError(t, err, full)
		if res.Offset == 0 || res.Offset > 5000 {
			t.Errorf("offset is %d", res.Offset)
		}
		time.Sleep(2 * time.Minute) // the lease could not be released
		second, err := newClient(&tus.Options{Store: memory}).Upload(context.Background(), tus.Bytes(data), chunked())
		if err != nil || second.URL != res.URL || second.Stats.ResumedFrom < res.Offset {
			t.Fatalf("second result is %+v, %v", second, err)
		}
		wantStored(t, h, second.URL, data)
		wantEmptyStore(t, memory)
	})
}

func TestStore_TemporaryFailureLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(25 * time.Second)})
		memory, data, began := &storage.Memory{}, randomBytes(30_000), time.Now()
		events := 0
		store := &scripted{Store: memory, put: func(_ storage.Record, next put) (storage.Record, error) {
			if since := time.Since(began); since > 95*time.Second && since < 125*time.Second {
				return storage.Record{}, errors.New("no space left on device")
			}
			return next()
		}}
		client := newClient(&tus.Options{Store: store, Hooks: tus.Hooks{OnStoreError: func(*tus.Uploader, error) { events++ }}})
		var first *tus.Result
		var uploading sync.WaitGroup
		uploading.Go(func() {
			var err error
			if first, err = client.Upload(context.Background(), tus.Bytes(data), chunked()); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(3 * time.Minute)
		second, err := newClient(&tus.Options{Store: memory}).Upload(context.Background(), tus.Bytes(data), chunked())
		if err != nil {
			t.Error(err)
		}
		uploading.Wait()
		wantStored(t, h, first.URL, data)
		wantStored(t, h, second.URL, data)
		if first.URL == second.URL || events == 0 {
			t.Errorf("uploads are %s and %s, OnStoreError was called %d times", first.URL, second.URL, events)
		}
		wantEmptyStore(t, memory)
	})
}

func TestStore_ReadableRecordsAreUsedBesideCorruptOnes(t *testing.T) {
	srv, memory, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	old := stoppedAt(t, srv.Endpoint(), memory, tus.Bytes(data), 3000)
	damaged := &storage.Error{ID: "7", Err: storage.ErrCorrupt}
	store := &scripted{Store: memory, find: func(next func() ([]storage.Record, error)) ([]storage.Record, error) {
		found, err := next()
		return found, errors.Join(err, damaged)
	}}
	var events []error
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Hooks: tus.Hooks{OnStoreError: func(_ *tus.Uploader, err error) { events = append(events, err) }}}).
		Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.URL != old.URL || res.Stats.ResumedFrom != 3000 {
		t.Errorf("result is %+v, %v", res, err)
	}
	if len(events) != 1 || !failureOf(events[0], "find", storage.ErrCorrupt) {
		t.Errorf("OnStoreError got %+v", events)
	}
}

// stores returns functions that open each store of this module, by name.
func stores(t testing.TB) map[string]func(t testing.TB) storage.Store {
	t.Helper()
	return map[string]func(t testing.TB) storage.Store{
		"memory": func(testing.TB) storage.Store { return &storage.Memory{} },
		"bolt": func(t testing.TB) storage.Store {
			s, err := boltstore.Open(filepath.Join(t.TempDir(), "uploads.db"), nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
		"files": func(t testing.TB) storage.Store {
			s, err := filestore.Open(filepath.Join(t.TempDir(), "uploads"), nil)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
}

func TestStore_HundredConcurrentUploads(t *testing.T) {
	for name, open := range stores(t) {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), open(t)
			// Each is interrupted once, and resumed in a second session.
			for session, stop := range []int64{3000, 0} {
				var uploading sync.WaitGroup
				for i := range 100 {
					uploading.Go(func() {
						data := append(randomBytes(5000), byte(i))
						opts := chunked()
						opts.StopAt = stop
						res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, RequireStore: true}).Upload(testContext(t), tus.Bytes(data), opts)
						switch {
						case stop > 0:
							if !errors.Is(err, tus.ErrPaused) {
								t.Errorf("upload %d: %v", i, err)
							}
						case err != nil:
							t.Errorf("upload %d: %v", i, err)
						case res.Stats.ResumedFrom != 3000 || res.Stats.Sent != 2001:
							t.Errorf("upload %d: %+v", i, res.Stats)
						default:
							if up, _ := srv.Upload(res.URL); string(up.Data) != string(data) {
								t.Errorf("upload %d has different data", i)
							}
						}
					})
				}
				uploading.Wait()
				if n := len(records(t, store)); n != 100*(1-session) {
					t.Errorf("after session %d the store has %d records", session, n)
				}
			}
			if n := bytesReceived(srv); n != 100*5001 {
				t.Errorf("%d bytes were received", n)
			}
		})
	}
}

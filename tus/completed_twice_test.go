package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// startRemembering starts an upload by a worker that remembers completed uploads. A worker
// of this process uses the shared store directly.
func (fl *fleet) startRemembering(worker string, own bool, opts *tus.UploadOptions) {
	var store storage.Store = fl.machine(worker, nil)
	if own {
		store = fl.shared
	}
	fl.start(worker, *remembering(store), opts)
}

// wantOneUpload fails unless one worker uploaded and the others found that complete.
func (fl *fleet) wantOneUpload(workers int) {
	fl.t.Helper()
	fl.working.Wait()
	complete := 0
	for worker, end := range fl.ends {
		if end.err != nil {
			fl.t.Fatalf("%s: %v", worker, end.err)
		}
		wantStored(fl.t, fl.h, end.res.URL, fl.data)
		if end.res.AlreadyComplete {
			complete++
			wantRecalled(fl.t, end.res, nil, end.res.URL, int64(len(fl.data)))
		}
	}
	if complete != workers-1 || bytesReceived(fl.h) != int64(len(fl.data)) {
		fl.t.Errorf("%d of %d workers found it complete, %d bytes received", complete, workers, bytesReceived(fl.h))
	}
	fl.wantOneWriter()
	all := records(fl.t, fl.shared)
	if len(all) != 1 || all[0].Completed.IsZero() || all[0].Lease != nil || !all[0].Updated.Equal(all[0].Completed) {
		fl.t.Errorf("records are %+v", all)
	}
}

func TestRemember_SeveralAtOnceMakeOneUpload(t *testing.T) {
	for place, own := range map[string]bool{"this process": true, "other machines": false} {
		for when, delay := range map[string]time.Duration{"same time": 0, "during the creation": time.Second, "during the upload": 70 * time.Second} {
			for how, opts := range map[string]*tus.UploadOptions{
				"one request": nil, "chunks": {ChunkSize: 1000}, "parts": {ChunkSize: 1000, Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{50_000}}},
			} {
				t.Run(fmt.Sprint(place, "/", when, "/", how), func(t *testing.T) {
					withFleet(t, func(t *testing.T, fl *fleet) {
						slowCreation(fl.h)
						for i := range 3 {
							fl.startRemembering(fmt.Sprint(i), own, opts)
							time.Sleep(delay)
						}
						fl.wantOneUpload(3)
					})
				})
			}
		}
	}
}

// The holder of the lease fails. One of the others resumes its upload.
func TestRemember_WaitingUploadResumesAfterFailure(t *testing.T) {
	for place, own := range map[string]bool{"this process": true, "another machine": false} {
		t.Run(place, func(t *testing.T) {
			withFleet(t, func(t *testing.T, fl *fleet) {
				fl.inject(90_000, tustest.Respond(403, ""))
				fl.startRemembering("a", own, chunked())
				time.Sleep(time.Second)
				fl.startRemembering("b", own, chunked())
				fl.working.Wait()
				wantError(t, fl.end("a").err, tus.ErrUnauthorized)
				b := fl.end("b")
				if b.err != nil || b.res.AlreadyComplete || b.res.Stats.ResumedFrom != 90_000 || len(fl.h.Uploads()) != 1 {
					t.Fatalf("result is %+v, %v", b.res, b.err)
				}
				wantStored(t, fl.h, b.res.URL, fl.data)
				wantRemembered(t, fl.shared, b.res.URL)
			})
		})
	}
}

// The upload of the holder is gone from the server, and the holder creates another one.
func TestRemember_HolderThatStartsOverIsAwaited(t *testing.T) {
	for place, own := range map[string]bool{"this process": true, "other machines": false} {
		t.Run(place, func(t *testing.T) {
			withFleet(t, func(t *testing.T, fl *fleet) {
				slowCreation(fl.h)
				fl.inject(50_000, vanishWith(404))
				fl.startRemembering("a", own, chunked())
				time.Sleep(time.Second)
				fl.startRemembering("b", own, chunked())
				fl.working.Wait()
				a, b := fl.end("a"), fl.end("b")
				if a.err != nil || a.res.Stats.Restarts != 1 {
					t.Fatalf("result is %+v, %v", a.res, a.err)
				}
				wantRecalled(t, b.res, b.err, a.res.URL, int64(len(fl.data)))
				wantStored(t, fl.h, a.res.URL, fl.data)
				wantRemembered(t, fl.shared, a.res.URL)
			})
		})
	}
}

// replaced is a source with a modification time. Its content is replaced at that time.
type replaced struct {
	before, after []byte
	at            time.Time
}

func (r *replaced) now() (data []byte, modTime time.Time) {
	if time.Now().Before(r.at) {
		return r.before, time.Unix(1000, 0)
	}
	return r.after, r.at
}

func (r *replaced) Stat(context.Context) (tus.SourceInfo, error) {
	data, modTime := r.now()
	return tus.SourceInfo{Name: "source", Size: int64(len(data)), ModTime: modTime}, nil
}

func (r *replaced) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	data, _ := r.now()
	return tus.Bytes(data).Open(ctx, offset)
}

// The source of the waiting upload changes during the wait. Its new content is neither that
// of the completed upload nor stored with the key of the old one.
func TestRemember_ChangeDuringWaitIsDetected(t *testing.T) {
	for name, test := range map[string]struct {
		opts    *tus.Options // of the holder
		want    error
		uploads int
	}{
		"holder remembers": {&tus.Options{RememberCompleted: 24 * time.Hour}, tus.ErrSourceChanged, 1},
		"holder forgets":   {&tus.Options{}, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			withFleet(t, func(t *testing.T, fl *fleet) {
				other := bytes.Clone(fl.data)
				other[99_999] ^= 1
				test.opts.Store = fl.shared
				holder, client := fl.newClient(test.opts), fl.newClient(remembering(fl.shared))
				fl.working.Go(func() {
					source := &replaced{before: fl.data, at: time.Now().Add(time.Hour)}
					if _, err := holder.Upload(t.Context(), source, chunked()); err != nil {
						t.Error(err)
					}
				})
				time.Sleep(time.Second)
				source := &replaced{before: fl.data, after: other, at: time.Now().Add(time.Minute)}
				res, err := client.Upload(t.Context(), source, chunked())
				if !errors.Is(err, test.want) || res.AlreadyComplete || len(fl.h.Uploads()) != test.uploads {
					t.Fatalf("%d uploads, result is %+v, %v", len(fl.h.Uploads()), res, err)
				}
				res, err = client.Upload(t.Context(), source, chunked())
				if err != nil || res.AlreadyComplete != (test.want == nil) {
					t.Errorf("result is %+v, %v", res, err)
				}
				wantStored(t, fl.h, res.URL, other)
			})
		})
	}
}

// The holder deletes its record, so the waiting upload cannot know that it is complete.
func TestRemember_HolderThatForgetsIsNotFollowed(t *testing.T) {
	withFleet(t, func(t *testing.T, fl *fleet) {
		fl.start("a", tus.Options{Store: fl.shared}, chunked())
		time.Sleep(time.Second)
		fl.startRemembering("b", true, chunked())
		fl.working.Wait()
		b := fl.end("b")
		if b.err != nil || b.res.AlreadyComplete || b.res.Stats.NotResumed != 1 || len(fl.h.Uploads()) != 2 {
			t.Fatalf("result is %+v, %v", b.res, b.err)
		}
		wantRemembered(t, fl.shared, b.res.URL)
	})
}

// A client that does not remember, or uploads again, does not wait for the other.
func TestRemember_OthersDoNotWait(t *testing.T) {
	for name, test := range map[string]struct {
		remember time.Duration
		opts     tus.UploadOptions
	}{
		"forgets": {0, *chunked()}, "again": {time.Hour, *again()}, "begins": {time.Hour, tus.UploadOptions{ChunkSize: 1000, Held: tus.HeldBegin}},
	} {
		t.Run(name, func(t *testing.T) {
			withFleet(t, func(t *testing.T, fl *fleet) {
				fl.startRemembering("a", true, chunked())
				time.Sleep(time.Second)
				fl.start("b", tus.Options{Store: fl.shared, RememberCompleted: test.remember}, &test.opts)
				time.Sleep(10 * time.Second)
				if n := len(fl.h.Uploads()); n != 2 {
					t.Errorf("%d uploads after ten seconds", n)
				}
			})
		})
	}
}

// Several clients upload once more at the same time. Their reservations have one ID.
func TestRemember_AgainReservesOneUpload(t *testing.T) {
	withFleet(t, func(t *testing.T, fl *fleet) {
		fl.startRemembering("first", true, chunked())
		fl.working.Wait()
		slowCreation(fl.h)
		opts := again()
		opts.Held = tus.HeldFail
		for _, worker := range []string{"a", "b", "c"} {
			fl.startRemembering(worker, false, opts)
		}
		fl.working.Wait()
		failed := 0
		for _, end := range fl.ends {
			if isHeld(end.err) {
				failed++
			} else if end.err != nil {
				t.Error(end.err)
			}
		}
		if failed != 2 || len(fl.h.Uploads()) != 2 || len(records(t, fl.shared)) != 1 {
			t.Errorf("%d were held, %d uploads, records are %+v", failed, len(fl.h.Uploads()), records(t, fl.shared))
		}
	})
}

// Another client completes its upload after this one has read the store, and before it
// reserves its own.
func TestRemember_CompletedBeforeReservation(t *testing.T) {
	for name, uploads := range map[string][]*tus.UploadOptions{"once": {chunked()}, "again": {chunked(), again(), again()}} {
		t.Run(name, func(t *testing.T) {
			srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
			other := newClient(t, srv.Endpoint(), remembering(store))
			var last *tus.Result
			upload := func(opts *tus.UploadOptions) { last = mustUpload(t, other, data, opts) }
			for _, opts := range uploads[:len(uploads)-1] {
				upload(opts)
			}
			opts, asked := *uploads[len(uploads)-1], false
			opts.Hooks.BeforeRequest = func(r *http.Request) error {
				if r.Method == http.MethodOptions && !asked {
					asked = true
					upload(uploads[len(uploads)-1])
				}
				return nil
			}
			client := remembering(store)
			client.Checksums = checksum.Builtin()[:1]
			res := mustUpload(t, newClient(t, srv.Endpoint(), client), data, &opts)
			switch {
			case !asked:
				t.Fatal("no request for the capabilities")
			case name == "once":
				wantRecalled(t, res, nil, last.URL, 10_000)
			case res.AlreadyComplete || res.URL == last.URL:
				t.Errorf("result is %+v", res)
			}
			wantRemembered(t, store, res.URL)
		})
	}
}

// The store does not delete a record that has expired.
func TestRemember_UndeletableRecordDoesNotEndUpload(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store, data := &storage.Memory{}, randomBytes(10_000)
		mustUpload(t, newClient(remembering(store)), data, chunked())
		time.Sleep(25 * time.Hour)
		client := newClient(remembering(failing(store, "delete", 0, errForAMoment)))
		if res := mustUpload(t, client, data, chunked()); res.AlreadyComplete {
			t.Errorf("result is %+v", res)
		}
		if res := mustUpload(t, client, data, chunked()); !res.AlreadyComplete {
			t.Errorf("result is %+v", res)
		}
	})
}

// An Uploader that was suspended does not undo that another one has completed the upload.
func TestRemember_SuspendedUploaderLosesLease(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store, data := &storage.Memory{}, randomBytes(10_000)
		suspended := created(t, newClient(remembering(store)), tus.Bytes(data), chunked())
		for suspended.Offset() < 9000 {
			if err := suspended.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		res := mustUpload(t, newClient(remembering(store)), data, chunked())
		if res.URL != suspended.URL() || res.Stats.ResumedFrom != 9000 || time.Since(began) > 2*time.Minute {
			t.Errorf("result is %+v after %v", res, time.Since(began))
		}
		_, err := suspended.Run(t.Context())
		wantError(t, err, tus.ErrLeaseLost)
		wantRemembered(t, store, res.URL)
	})
}

// Step returns how long to wait, and then finds the upload complete.
func TestRemember_StepWaitsForHolder(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store, data := &storage.Memory{}, randomBytes(10_000)
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(15 * time.Second)})
		var first *tus.Result
		var working sync.WaitGroup
		working.Go(func() { first = mustUpload(t, newClient(remembering(store)), data, chunked()) })
		time.Sleep(time.Second)
		u, err := newClient(remembering(store)).NewUploader(tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for !u.State().Final() {
			if err := u.Step(t.Context()); isHeld(err) && tus.IsRetryable(err) {
				time.Sleep(time.Second)
			} else if err != nil {
				t.Fatal(err)
			}
		}
		working.Wait()
		res, err := u.Run(t.Context())
		wantRecalled(t, res, err, first.URL, 10_000)
		if took := time.Since(began); took < 148*time.Second || took > 151*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// Two clients with stores of their own on one directory, as two processes have.
func TestRemember_SharedDirectoryMakesOneUpload(t *testing.T) {
	srv, dir, data := tustest.NewServer(t, nil), filepath.Join(t.TempDir(), "uploads"), randomBytes(10_000)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		time.Sleep(20 * time.Millisecond)
		h.Serve(w, r)
	}})
	results := make([]*tus.Result, 2)
	var working sync.WaitGroup
	for i := range results {
		store, err := filestore.Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		client := newClient(t, srv.Endpoint(), remembering(store))
		working.Go(func() {
			res, err := client.Upload(context.Background(), tus.Bytes(data), chunked())
			if err != nil {
				t.Error(err)
			}
			results[i] = res
		})
	}
	working.Wait()
	if srv.Count("POST") != 1 || results[0].AlreadyComplete == results[1].AlreadyComplete || results[0].URL != results[1].URL {
		t.Errorf("%d creations, results are %+v, %+v", srv.Count("POST"), results[0], results[1])
	}
	wantStored(t, srv.Handler, results[0].URL, data)
}

package tus_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// stoppedAt uploads a source up to an offset.
func stoppedAt(t *testing.T, endpoint string, store storage.Store, source tus.Source, offset int64) *tus.Result {
	t.Helper()
	opts := chunked()
	opts.StopAt = offset
	res, err := newClient(t, endpoint, &tus.Options{Store: store}).Upload(testContext(t), source, opts)
	wantError(t, err, tus.ErrPaused)
	return res
}

// canceledAt uploads data with a new client until a request, at which the context is
// canceled.
func canceledAt(t *testing.T, srv *tustest.Server, client *tus.Options, data []byte, opts *tus.UploadOptions, request tustest.Fault) *tus.Result {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	request.Action = func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		cancel()
		tustest.Stall()(w, r, h)
	}
	srv.Inject(request)
	res, err := newClient(t, srv.Endpoint(), client).Upload(ctx, tus.Bytes(data), opts)
	wantError(t, err, context.Canceled)
	return res
}

// records returns all records of a store.
func records(t testing.TB, store storage.Store) []storage.Record {
	t.Helper()
	var all []storage.Record
	for rec, err := range store.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rec)
	}
	return all
}

func wantEmptyStore(t testing.TB, store storage.Store) {
	t.Helper()
	if left := records(t, store); len(left) > 0 {
		t.Fatalf("left in the store: %+v", left)
	}
}

func TestStoredUpload_ResumesAtAcknowledgedByte(t *testing.T) {
	data := randomBytes(10_000)
	interruptions := map[string]func(t *testing.T, srv *tustest.Server, store storage.Store){
		"paused": func(t *testing.T, srv *tustest.Server, store storage.Store) {
			var u *tus.Uploader
			opts := chunked()
			opts.Hooks.OnProgress = func(u *tus.Uploader, p tus.Progress) {
				if p.Acknowledged == 3000 {
					u.Pause()
				}
			}
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)
		},
		"stopped": func(t *testing.T, srv *tustest.Server, store storage.Store) {
			stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
		},
		"context": func(t *testing.T, srv *tustest.Server, store storage.Store) {
			canceledAt(t, srv, &tus.Options{Store: store}, data, chunked(), tustest.Fault{Method: "PATCH", Skip: 3})
		},
		"failure": func(t *testing.T, srv *tustest.Server, store storage.Store) {
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.Respond(403, "not today")})
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
			wantError(t, err, tus.ErrUnauthorized)
		},
	}
	for name, open := range stores(t) {
		for why, interrupt := range interruptions {
			t.Run(name+"/"+why, func(t *testing.T) {
				srv, store := tustest.NewServer(t, nil), open(t)
				interrupt(t, srv, store)
				before := len(srv.Requests())
				res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				if res.Stats.ResumedFrom != 3000 || res.Stats.Sent != 7000 || res.Stats.Resent != 0 {
					t.Errorf("stats are %+v", res.Stats)
				}
				var log []string
				for _, r := range srv.Requests()[before:] {
					log = append(log, strings.TrimSpace(r.Method+" "+r.Header.Get("Upload-Offset")))
				}
				want := "HEAD PATCH 3000 PATCH 4000 PATCH 5000 PATCH 6000 PATCH 7000 PATCH 8000 PATCH 9000"
				if got := strings.Join(log, " "); got != want {
					t.Errorf("requests were %s", got)
				}
				if n := bytesReceived(srv); n != 10_000 {
					t.Errorf("both sessions sent %d bytes", n)
				}
				wantEmptyStore(t, store)
			})
		}
	}
}

func TestStoredUpload_IsKeptUntilComplete(t *testing.T) {
	srv, removed := tustest.NewServer(t, nil), 0
	store := &scripted{Store: &storage.Memory{}, delete: func(next func() error) error {
		if up := srv.Uploads()[0]; !up.Complete() {
			t.Errorf("record was deleted when the server had %d bytes", len(up.Data))
		}
		removed++
		return next()
	}}
	seen := 0
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		all := records(t, store)
		if len(all) != 1 || !strings.HasSuffix(all[0].UploadURL, r.URL.Path) || all[0].Size != 10_000 || all[0].Lease == nil || all[0].Endpoint != srv.Endpoint() {
			t.Errorf("at PATCH %s the store has %+v", r.Header.Get("Upload-Offset"), all)
		}
		seen++
		h.Serve(w, r)
	}})
	if _, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(randomBytes(10_000)), chunked()); err != nil {
		t.Fatal(err)
	}
	if seen != 10 || removed != 1 {
		t.Errorf("%d PATCH requests, %d deletions", seen, removed)
	}
	wantEmptyStore(t, store)
}

func TestStoredUpload_NotForOneRequest(t *testing.T) {
	srv, puts := tustest.NewServer(t, nil), 0
	store := &scripted{Store: &storage.Memory{}, put: func(_ storage.Record, next put) (storage.Record, error) {
		puts++
		return next()
	}}
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	for _, size := range []int{0, 100} {
		if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(size)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if puts != 0 || srv.Count("PATCH") != 0 {
		t.Errorf("%d records were stored, %d PATCH requests", puts, srv.Count("PATCH"))
	}
}

func TestStoredUpload_ShortWriteOfOneRequest(t *testing.T) {
	// After a short write there is an upload to resume.
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(100)
	srv.Inject(tustest.Fault{Method: "POST", Action: faults.AcceptOnly(30)},
		tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if all := records(t, store); len(all) != 1 || !strings.HasSuffix(all[0].UploadURL, r.URL.Path) {
				t.Errorf("at PATCH the store has %+v", all)
			}
			faults.RespondAfter(403, "not today")(w, r, h)
		}})
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	_, err := client.Upload(testContext(t), tus.Bytes(data), nil)
	wantError(t, err, tus.ErrUnauthorized)
	res, err := client.Upload(testContext(t), tus.Bytes(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	// The first HEAD checks whether the server stored the refused bytes.
	wantMethods(t, srv.Handler, "OPTIONS", "POST", "PATCH", "HEAD", "HEAD", "PATCH")
	if res.Stats.ResumedFrom != 30 || res.Stats.Sent != 70 {
		t.Errorf("stats are %+v", res.Stats)
	}
	wantEmptyStore(t, store)
}

// created returns an Uploader whose upload is created.
func created(t testing.TB, client *tus.Client, source tus.Source, opts *tus.UploadOptions) *tus.Uploader {
	t.Helper()
	u, err := client.NewUploader(source, opts)
	if err != nil {
		t.Fatal(err)
	}
	for u.URL() == "" {
		if err := u.Step(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// stepTo calls Step until the server has acknowledged an offset.
func stepTo(t testing.TB, u *tus.Uploader, offset int64) {
	t.Helper()
	for u.Offset() < offset {
		if err := u.Step(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStoredUpload_CompleteIsNotResent(t *testing.T) {
	data := randomBytes(10_000)
	srv := tustest.NewServer(t, nil)
	full := errors.New("disk full")
	store := &scripted{Store: &storage.Memory{}, delete: func(func() error) error { return full }}
	var events []error
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Hooks: tus.Hooks{OnStoreError: func(_ *tus.Uploader, err error) { events = append(events, err) }}})
	first, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 || !failureOf(events[0], "delete", full) {
		t.Errorf("OnStoreError got %+v", events)
	}
	store.delete = nil
	second, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if second.URL != first.URL || second.Stats.Sent != 0 || second.Stats.ResumedFrom != 10_000 {
		t.Errorf("second result is %+v", second)
	}
	// The third is another upload: the record of a complete one is deleted.
	third, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || third.URL == first.URL || third.Stats.Sent != 10_000 {
		t.Errorf("third result is %+v, %v", third, err)
	}
}

func TestStoredUpload_RecordHasExpiry(t *testing.T) {
	srv, store := tustest.NewServer(t, &tustest.Options{Expires: time.Hour}), &storage.Memory{}
	stoppedAt(t, srv.Endpoint(), store, tus.Bytes(randomBytes(10_000)), 3000)
	all := records(t, store)
	if left := time.Until(all[0].Expires); left < 59*time.Minute || left > 61*time.Minute {
		t.Errorf("record expires in %v", left)
	}
}

func TestStoredUpload_ResumesWithOtherOptions(t *testing.T) {
	data := randomBytes(unequalSize)
	for name, test := range map[string]struct {
		first, second *tus.UploadOptions
	}{
		"parts, then whole":       {unequal(), &tus.UploadOptions{ChunkSize: 500}},
		"parts, then other parts": {unequal(), &tus.UploadOptions{ChunkSize: 500, Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{2000}}}},
		"whole, then parts":       {&tus.UploadOptions{ChunkSize: 250}, unequal()},
		"other chunks":            {&tus.UploadOptions{ChunkSize: 250}, &tus.UploadOptions{ChunkSize: 333}},
		"no chunks":               {&tus.UploadOptions{ChunkSize: 250}, nil},
		"deferred length":         {&tus.UploadOptions{ChunkSize: 250, DeferLength: true}, &tus.UploadOptions{ChunkSize: 500}},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := finalLast(t), &storage.Memory{}
			first := canceledAt(t, srv, &tus.Options{Store: store}, data, test.first, tustest.Fault{Method: "PATCH", Skip: 9})
			posts := srv.Count("POST")
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), test.second)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			wantEmptyStore(t, store)
			wantLittleResent(t, srv, unequalSize)
			if first.Offset == 0 || res.Stats.ResumedFrom < first.Offset {
				t.Errorf("first ended at %d, stats of the second are %+v", first.Offset, res.Stats)
			}
			finals := 0
			if test.first.Parallel > 0 {
				finals = 1
			}
			if n := srv.Count("POST") - posts; n != finals {
				t.Errorf("%d creations", n)
			}
		})
	}
}

// Of two stored uploads the further one is gone, and a pause comes before the creation of a
// new one. Then the other one is found, which has fewer bytes.
func TestProgress_DoesNotFallToOtherStoredUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	store := new(storage.Memory)
	data := randomBytes(10_000)
	newUploader := func(stopAt int64, hooks tus.Hooks) *tus.Uploader {
		u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data),
			&tus.UploadOptions{ChunkSize: 1000, StopAt: stopAt, Hooks: hooks})
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	// Both run at the same time, so that there are two uploads.
	one, two := newUploader(4000, tus.Hooks{}), newUploader(8000, tus.Hooks{})
	for one.Offset() < 2000 {
		if err := one.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, err := two.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	_, err = one.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)

	srv.Inject(tustest.Fault{Method: "PATCH", From: 8000, Action: vanishWith(404)})
	var u *tus.Uploader
	paused, highest := false, int64(0)
	u = newUploader(0, tus.Hooks{
		OnStateChange: func(u *tus.Uploader, _, to tus.State, _ error) {
			if to == tus.StateCreating && !paused {
				paused = true
				u.Pause()
			}
		},
		OnProgress: func(_ *tus.Uploader, p tus.Progress) {
			if p.Acknowledged < highest {
				t.Errorf("acknowledged fell from %d to %d", highest, p.Acknowledged)
			}
			highest = max(highest, p.Acknowledged)
		},
	})
	res := resumePaused(t, u)
	wantStored(t, srv.Handler, res.URL, data)
	if s := res.Stats; s.ResumedFrom > int64(len(data)) || s.ResumedFrom+s.Uploaded > int64(len(data)) {
		t.Errorf("resumed from %d and %d acknowledged of %d bytes", s.ResumedFrom, s.Uploaded, len(data))
	}
}

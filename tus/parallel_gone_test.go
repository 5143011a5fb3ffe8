package tus_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// interruptedInParts sends about half of data to srv in the parts of unequal, and leaves a
// record in store.
func interruptedInParts(t *testing.T, srv *tustest.Server, store storage.Store, data []byte) {
	t.Helper()
	canceledAt(t, srv, &tus.Options{Store: store}, data, unequal(), tustest.Fault{Method: "PATCH", Skip: 9})
}

func TestParallel_GonePartsAreResent(t *testing.T) {
	data := randomBytes(unequalSize)
	for kind := range concatServers(t) {
		for gone := 1; gone <= 4; gone++ {
			srv, store := concatServers(t)[kind], &storage.Memory{}
			interruptedInParts(t, srv, store, data)
			left := int64(0)
			for i, u := range partials(srv.Handler) {
				if i < gone {
					srv.Forget(u.ID)
				} else {
					left += int64(len(u.Data))
				}
			}
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), unequal())
			if err != nil {
				t.Fatalf("%s: %d parts gone: %v", kind, gone, err)
			}
			wantFinals(t, srv, res, data, false)
			if n := len(partials(srv.Handler)); n != 4+gone || res.Stats.Restarts != gone {
				t.Errorf("%s: %d parts gone: %d partial uploads, %d restarts", kind, gone, n, res.Stats.Restarts)
			}
			if n := res.Stats.Sent - res.Stats.Resent; n > unequalSize-left {
				t.Errorf("%s: %d parts gone: %d bytes were sent, and the server had %d", kind, gone, n, left)
			}
		}
	}
}

func TestParallel_GonePartMakesNoSecondFinal(t *testing.T) {
	// The only complete part is gone before the next session.
	data := randomBytes(unequalSize)
	for kind, srv := range concatServers(t) {
		store := &storage.Memory{}
		ctx, cancel := context.WithCancel(testContext(t))
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			u, _ := h.Upload(r.URL.Path)
			if u.Length != 900 && ctx.Err() == nil {
				tustest.Stall()(w, r, h)
				return
			}
			h.Serve(w, r)
		}})
		opts := unequal()
		opts.Hooks.OnProgress = func(_ *tus.Uploader, p tus.Progress) {
			if p.Acknowledged == 900 {
				cancel()
			}
		}
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(data), opts)
		wantError(t, err, context.Canceled)
		for _, u := range partials(srv.Handler) {
			if u.Length == 900 {
				srv.Forget(u.ID)
			}
		}
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantFinals(t, srv, res, data, false)
	}
}

func TestParallel_TwiceInterruptedIsResumed(t *testing.T) {
	data := randomBytes(unequalSize)
	for name, forget := range map[string]func(h *tustest.Handler){
		"a part is gone": func(h *tustest.Handler) {
			for _, u := range partials(h) {
				if !u.Complete() {
					h.Forget(u.ID)
					return
				}
			}
		},
		"nothing is gone": func(*tustest.Handler) {},
	} {
		srv, store := tustest.NewServer(t, nil), &storage.Memory{}
		interruptedInParts(t, srv, store, data)
		forget(srv.Handler)
		canceledAt(t, srv, &tus.Options{Store: store, Retry: retryOften()}, data, unequal(), tustest.Fault{Method: "PATCH", Skip: 2})
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		wantNothingKept(t, store)
	}
}

func TestRecord_PartsWithGapsAreNeverUsed(t *testing.T) {
	data := randomBytes(unequalSize)
	for name, damage := range map[string]func(*storage.Record){
		"hole":        func(r *storage.Record) { r.Parts = append(r.Parts[:1], r.Parts[2:]...) },
		"wrong order": func(r *storage.Record) { r.Parts[0], r.Parts[1] = r.Parts[1], r.Parts[0] },
		"other part": func(r *storage.Record) {
			r.Parts[0].UploadURL, r.Parts[1].UploadURL = r.Parts[1].UploadURL, r.Parts[0].UploadURL
		},
	} {
		srv, store := finalLast(t), &storage.Memory{}
		interruptedInParts(t, srv, store, data)
		for rec, err := range store.All(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			rec.Seal = ""
			damage(&rec)
			if _, err := store.Put(context.Background(), rec); err != nil {
				continue // the store refuses it
			}
		}
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
	}
}

// A part got the URL of another part, and the upload is paused before it has its own. It
// is not complete.
func TestParallel_PausedPartWithoutURLIsSent(t *testing.T) {
	data := randomBytes(4000)
	for kind, srv := range concatServers(t) {
		u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(data), inParts(4))
		if err != nil {
			t.Fatal(err)
		}
		srv.Inject(tustest.Fault{Method: "POST", Skip: 3, Action: tustest.SetHeader("Location", "/files/00000001")},
			tustest.Fault{Method: "POST", Skip: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				u.Pause()
				tustest.Stall()(w, r, h)
			}})
		_, err = u.Run(testContext(t))
		wantError(t, err, tus.ErrPaused)
		res, err := u.Run(testContext(t))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
	}
}

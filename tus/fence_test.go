package tus_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// fences collects the fences of requests, by the path of their URL.
type fences struct {
	mu   sync.Mutex
	seen map[string][]int64 // 0 for a request without one
}

func (f *fences) hooks() tus.Hooks {
	return tus.Hooks{BeforeRequest: func(r *http.Request) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.seen == nil {
			f.seen = map[string][]int64{}
		}
		n, _ := strconv.ParseInt(r.Header.Get("Upload-Fence"), 10, 64)
		f.seen[r.Method+" "+r.URL.Path] = append(f.seen[r.Method+" "+r.URL.Path], n)
		return nil
	}}
}

// all returns the fences of the requests to upload URLs, in order of time.
func (f *fences) all() (all []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for target, seen := range f.seen {
		if !strings.HasPrefix(target, "OPTIONS ") && !strings.HasPrefix(target, "POST ") {
			all = append(all, seen...)
		}
	}
	return all
}

func TestFence_NextHolderHasHigherOne(t *testing.T) {
	for name, opts := range map[string]*tus.UploadOptions{"chunks": chunked(), "parts": unequal()} {
		bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
			store, data := &storage.Memory{}, randomBytes(unequalSize)
			var first, second fences
			holder := newClient(&tus.Options{Store: store, FenceHeader: "upload-fence", Hooks: first.hooks()})
			ctx, cancel := context.WithCancel(context.Background())
			h.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				time.Sleep(25 * time.Second) // the lease is renewed
				cancel()
				tustest.Stall()(w, r, h)
			}})
			_, err := holder.Upload(ctx, tus.Bytes(data), opts)
			wantError(t, err, context.Canceled)
			next := newClient(&tus.Options{Store: store, FenceHeader: "Upload-Fence", Hooks: second.hooks()})
			res, err := next.Upload(context.Background(), tus.Bytes(data), opts)
			if err != nil || res.Stats.ResumedFrom == 0 {
				t.Fatalf("%s: resumed from %d: %v", name, res.Stats.ResumedFrom, err)
			}
			before, after := first.all(), second.all()
			for _, n := range append(before, after...) {
				if n == 0 {
					t.Errorf("%s: a request to an upload URL has no fence", name)
				}
			}
			for _, b := range before {
				for _, a := range after {
					if a <= b {
						t.Fatalf("%s: fence %d after %d", name, a, b)
					}
				}
			}
			synctest.Wait()
		})
	}
}

// Several stored uploads are asked for, each with the fence of its own record.
func TestFence_IsThatOfEachCandidate(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	var uploaders []*tus.Uploader
	for _, offset := range []int64{5000, 2000} {
		opts := chunked()
		opts.StopAt = offset
		uploaders = append(uploaders, created(t, client, tus.Bytes(data), opts))
	}
	for _, u := range uploaders {
		_, err := u.Run(testContext(t))
		wantError(t, err, tus.ErrPaused)
	}
	for _, rec := range records(t, store) { // one has far more revisions
		for range 10 {
			if rec.UploadURL != uploaders[1].URL() {
				break
			}
			var err error
			if rec, err = store.Put(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	var seen fences
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, FenceHeader: "Upload-Fence", Hooks: seen.hooks()}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.URL != uploaders[0].URL() {
		t.Fatalf("resumed %s, %v", res.URL, err)
	}
	for target, all := range seen.seen {
		low, high := all[0], all[0]
		for _, n := range all {
			low, high = min(low, n), max(high, n)
		}
		if other := strings.HasSuffix(uploaders[1].URL(), target[len("HEAD "):]); low == 0 || other != (low > 10) || !other && high > 10 {
			t.Errorf("%s: fences %v", target, all)
		}
	}
}

func TestFence_IsNotSentWithoutRecord(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(5000)
	var seen fences
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}, FenceHeader: "Upload-Fence", Hooks: seen.hooks()})
	res, err := client.Upload(testContext(t), tus.Reader(strings.NewReader(string(data))), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Info(testContext(t), res.URL); err != nil {
		t.Fatal(err)
	}
	for target, all := range seen.seen {
		for _, n := range all {
			if n != 0 {
				t.Errorf("%s: fence %d", target, n)
			}
		}
	}
}

func TestFenceHeader_InvalidNameIsRefused(t *testing.T) {
	for _, name := range []string{"a b", "Upload-Offset", "Authorization", "host"} {
		_, err := tus.NewClient("http://example.org/files/", &tus.Options{FenceHeader: name, Store: &storage.Memory{}})
		if !errors.Is(err, tus.ErrInvalidInput) || !strings.Contains(err.Error(), "Options.FenceHeader") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, opts := range []tus.Options{{FenceHeader: "Upload-Fence"}, {FenceHeader: "X-ID", RequestIDHeader: "x-id", Store: &storage.Memory{}}} {
		if _, err := tus.NewClient("http://example.org/files/", &opts); !errors.Is(err, tus.ErrInvalidInput) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}

// A response that names the fence helps.
func TestFence_IsNotRedacted(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Respond(422, "12345678 is over")})
	opts := tus.Options{Store: &storage.Memory{}, FenceHeader: "Upload-Fence"}
	opts.Hooks.BeforeRequest = func(r *http.Request) error {
		r.Header.Set("Upload-Fence", "12345678")
		return nil
	}
	_, err := newClient(t, srv.Endpoint(), &opts).Upload(testContext(t), tus.Bytes(randomBytes(5000)), &tus.UploadOptions{CreationLimit: -1})
	if err == nil || !strings.Contains(err.Error(), "12345678 is over") {
		t.Errorf("error is %v", err)
	}
}

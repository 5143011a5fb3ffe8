package tus_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

const mib = 1 << 20

// patchSizes returns the sizes of the bodies of PATCH that the server received.
func patchSizes(h *tustest.Handler) (sizes []int64) {
	for _, r := range h.Requests() {
		if r.Method == "PATCH" {
			sizes = append(sizes, r.Body)
		}
	}
	return sizes
}

// breakInProxy is a proxy that buffers requests: it ends one after n bytes, of which the
// server has seen nothing, by closing the connection or with a status.
func breakInProxy(n int64, status int) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
		io.CopyN(io.Discard, r.Body, n)
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
	}
}

func TestChunks_FirstRequestIsBounded(t *testing.T) {
	data := randomBytes(20 * mib)
	for name, test := range map[string]struct {
		opts tus.UploadOptions
		want []int64
	}{
		"default":    {tus.UploadOptions{}, []int64{16 * mib, 4 * mib}},
		"chunk size": {tus.UploadOptions{ChunkSize: 18 * mib}, []int64{18 * mib, 2 * mib}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), &test.opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if got := patchSizes(srv.Handler); !slices.Equal(got, test.want) {
				t.Errorf("requests have %d bytes, want %d", got, test.want)
			}
		})
	}
}

// At 160 KiB a second a minute has 9.4 MiB.
func TestChunks_LaterRequestsTakeAboutMinute(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			r.Body = trickle{r.Body, 200 * time.Millisecond}
			h.Serve(w, r)
		}})
		data := randomBytes(32 * mib)
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(data), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, res.URL, data)
		sizes := patchSizes(h)
		if len(sizes) != 3 || sizes[0] != 16*mib || sizes[1] < 9*mib || sizes[1] > 10*mib {
			t.Errorf("requests have %d bytes", sizes)
		}
	})
}

// A limit of 16 MiB would cost a round trip of 100 ms each four seconds.
func TestChunks_RoundTripsOfSmallerRequestsCostLittle(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		for _, method := range []string{"OPTIONS", "POST", "HEAD"} {
			h.Inject(tustest.Fault{Method: method, Times: -1, Action: tustest.Delay(100 * time.Millisecond)})
		}
		requests := 0
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			r.Body = trickle{r.Body, time.Second / 128}
			if requests++; requests == 2 {
				breakInProxy(8*mib, 0)(w, r, h)
			}
			h.Serve(w, r)
		}})
		data := randomBytes(48 * mib)
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(data), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, res.URL, data)
		if limit := res.Stats.RequestLimit; limit < 19*mib || limit > 21*mib {
			t.Errorf("RequestLimit is %d", limit)
		}
	})
}

// trickle reads 32 KiB at a time, after a pause.
type trickle struct {
	io.ReadCloser
	pause time.Duration
}

func (b trickle) Read(p []byte) (int, error) {
	time.Sleep(b.pause)
	return b.ReadCloser.Read(p[:min(len(p), 32<<10)])
}

func TestChunks_BufferingProxyMakesRequestsSmaller(t *testing.T) {
	data := randomBytes(20 * mib)
	for name, test := range map[string]struct {
		broken []tustest.Action // one after the other
		opts   tus.UploadOptions
		want   []int64 // after the broken ones
	}{
		"closed":        {[]tustest.Action{breakInProxy(4*mib, 0)}, tus.UploadOptions{}, []int64{8 * mib, 8 * mib, 4 * mib}},
		"504 of proxy":  {[]tustest.Action{breakInProxy(16*mib, 504)}, tus.UploadOptions{}, []int64{8 * mib, 8 * mib, 4 * mib}},
		"408 of proxy":  {[]tustest.Action{breakInProxy(16*mib, 408)}, tus.UploadOptions{}, []int64{8 * mib, 8 * mib, 4 * mib}},
		"again":         {[]tustest.Action{breakInProxy(4*mib, 0), breakInProxy(4*mib, 0)}, tus.UploadOptions{}, []int64{4 * mib, 4 * mib, 4 * mib, 4 * mib, 4 * mib}},
		"of the caller": {[]tustest.Action{breakInProxy(4*mib, 0)}, tus.UploadOptions{ChunkSize: 18 * mib}, []int64{18 * mib, 2 * mib}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			for _, action := range test.broken {
				srv.Inject(tustest.Fault{Method: "PATCH", Action: action})
			}
			var log bytes.Buffer
			client := newClient(t, srv.Endpoint(), &tus.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			res, err := client.Upload(testContext(t), tus.Bytes(data), &test.opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if got := patchSizes(srv.Handler)[len(test.broken):]; !slices.Equal(got, test.want) {
				t.Errorf("requests have %d bytes, want %d", got, test.want)
			}
			limited := test.opts.ChunkSize == 0
			if logged := strings.Contains(log.String(), "smaller requests"); logged != limited {
				t.Errorf("log is %s", &log)
			}
			if limit := res.Stats.RequestLimit; limited && limit != test.want[0] || !limited && limit != 0 {
				t.Errorf("RequestLimit is %d", limit)
			}
		})
	}
}

// The next upload of the client begins with the limit. A server that keeps what arrived
// before an interruption lifts it.
func TestChunks_LimitIsSharedAndLifted(t *testing.T) {
	data := randomBytes(20 * mib)
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	upload := func(want ...int64) {
		t.Helper()
		before := srv.Count("PATCH")
		res, err := client.Upload(testContext(t), tus.Bytes(data), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if got := patchSizes(srv.Handler)[before:]; !slices.Equal(got, want) {
			t.Errorf("requests have %d bytes, want %d", got, want)
		}
	}
	srv.Inject(tustest.Fault{Method: "PATCH", Action: breakInProxy(4*mib, 0)})
	upload(4*mib, 8*mib, 8*mib, 4*mib)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(3 * mib)})
	upload(3*mib, 16*mib, 1*mib)
	upload(16*mib, 4*mib)
}

// leavingStore is a store whose process is killed: it stores nothing more.
type leavingStore struct {
	*storage.Memory
	killed chan struct{}
}

func (s leavingStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	select {
	case <-s.killed:
		return storage.Record{}, context.Canceled
	default:
		return s.Memory.Put(ctx, rec)
	}
}

// afterCrash returns what a later process finds in the store: the leases are over.
func afterCrash(t *testing.T, from *storage.Memory) *storage.Memory {
	var after storage.Memory
	for rec, err := range from.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		rec.Revision, rec.Lease = 0, nil
		if _, err := after.Put(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	return &after
}

func TestChunks_NextSessionBeginsSmaller(t *testing.T) {
	data := randomBytes(20 * mib)
	path := tempFile(t, data)
	for name, test := range map[string]struct {
		parallel int
		kill     bool
	}{"killed": {1, true}, "canceled": {1, false}, "parallel, killed": {2, true}} {
		t.Run(name, func(t *testing.T) {
			parallel, kill := test.parallel, test.kill
			srv := tustest.NewServer(t, nil)
			opts := &tus.UploadOptions{Parallel: parallel}
			ctx, cancel := context.WithCancel(testContext(t))
			store := leavingStore{&storage.Memory{}, make(chan struct{})}
			srv.Inject(tustest.Fault{Method: "PATCH", Action: func(_ http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
				io.CopyN(io.Discard, r.Body, 4*mib)
				for noted := false; kill && !noted; {
					time.Sleep(10 * time.Millisecond)
					for rec := range store.All(r.Context()) {
						noted = rec.Progress != nil && rec.Progress.InFlight > 0
					}
				}
				if kill {
					close(store.killed)
				}
				cancel()
				panic(http.ErrAbortHandler)
			}})
			if parallel > 1 {
				srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Stall()}) // of the other part
			}
			if _, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.File(path), opts); err == nil {
				t.Fatal("the upload was not interrupted")
			}
			// The next process is killed after it has acquired the lease.
			second := leavingStore{afterCrash(t, store.Memory), make(chan struct{})}
			ctx, cancel = context.WithCancel(testContext(t))
			srv.Inject(tustest.Fault{Method: "HEAD", Action: func(http.ResponseWriter, *http.Request, *tustest.Handler) {
				close(second.killed)
				cancel()
				panic(http.ErrAbortHandler)
			}})
			if _, err := newClient(t, srv.Endpoint(), &tus.Options{Store: second}).Upload(ctx, tus.File(path), opts); err == nil {
				t.Fatal("the upload was not interrupted")
			}
			before := srv.Count("PATCH")
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: afterCrash(t, second.Memory)}).Upload(testContext(t), tus.File(path), opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			for _, size := range patchSizes(srv.Handler)[before:] {
				if size > 8*mib {
					t.Errorf("a request has %d bytes", size)
				}
			}
			if limit := res.Stats.RequestLimit; limit == 0 || limit > 8*mib {
				t.Errorf("RequestLimit is %d", res.Stats.RequestLimit)
			}
		})
	}
}

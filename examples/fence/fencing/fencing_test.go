package fencing_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/examples/fence/fencing"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

// request returns a request of an upload with a fence, or without one for 0.
func request(t *testing.T, method, target string, fence int64, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	if fence > 0 {
		r.Header.Set(header, strconv.FormatInt(fence, 10))
	}
	return r
}

// counted counts the requests that pass, and responds 204, or 404 and 403 for paths that say
// so.
func counted(count *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case strings.Contains(r.URL.Path, "gone"):
			w.WriteHeader(http.StatusNotFound)
		case strings.Contains(r.URL.Path, "forbidden"):
			w.WriteHeader(http.StatusForbidden)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

// send returns the response of a handler to a request without a body.
func send(t *testing.T, h http.Handler, method, path string, fence int64) *http.Response {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(t, method, "http://tus.test"+path, fence, http.NoBody).WithContext(ctx))
	return w.Result()
}

func TestFence_PassesOnlyHolder(t *testing.T) {
	type step struct {
		method, path string
		fence        int64
		want         int
	}
	const u = "/files/1"
	for name, steps := range map[string][]step{
		"lower is refused":            {{"HEAD", u, 5, 204}, {"PATCH", u, 4, 409}, {"HEAD", u, 4, 409}, {"DELETE", u, 4, 409}, {"PATCH", u, 5, 204}},
		"higher becomes the holder":   {{"PATCH", u, 5, 204}, {"HEAD", u, 9, 204}, {"PATCH", u, 5, 409}, {"PATCH", u, 9, 204}},
		"uploads are independent":     {{"HEAD", u, 5, 204}, {"PATCH", "/files/2", 4, 204}},
		"none before the first fence": {{"PATCH", u, 0, 204}, {"PATCH", u, 5, 204}, {"PATCH", u, 0, 428}, {"DELETE", u, 0, 428}},
		"HEAD without a fence passes": {{"PATCH", u, 5, 204}, {"HEAD", u, 0, 204}, {"OPTIONS", u, 0, 204}, {"GET", u, 0, 204}},
		"creation has no fence":       {{"POST", u, 5, 204}, {"POST", u, 4, 204}, {"POST", u, 0, 204}},
		"refusal does not raise it":   {{"HEAD", u, 5, 204}, {"HEAD", u, 4, 409}, {"HEAD", u, 5, 204}},
		"deleted is forgotten":        {{"DELETE", u, 5, 204}, {"PATCH", u, 4, 204}},
		"gone is forgotten":           {{"PATCH", "/files/gone", 5, 404}, {"PATCH", "/files/gone", 4, 404}},
		"forbidden is forgotten":      {{"HEAD", "/files/forbidden", 5, 403}, {"HEAD", "/files/forbidden", 4, 403}},
	} {
		t.Run(name, func(t *testing.T) {
			var passed, want atomic.Int64
			fence := fencing.New(counted(&passed), fencing.Options{})
			for i, s := range steps {
				resp := send(t, fence, s.method, s.path, s.fence)
				if resp.StatusCode != s.want {
					t.Errorf("step %d: status %d, want %d", i, resp.StatusCode, s.want)
				}
				refused := s.want == 409 || s.want == 428
				if text, _ := io.ReadAll(resp.Body); refused && (resp.Header.Get("Tus-Resumable") != "1.0.0" || len(text) == 0) {
					t.Errorf("step %d: refusal has header %v and text %q", i, resp.Header, text)
				}
				if !refused {
					want.Add(1)
				}
			}
			if passed.Load() != want.Load() {
				t.Errorf("%d requests passed, want %d", passed.Load(), want.Load())
			}
		})
	}
}

func TestFence_OverriddenMethodIsFenced(t *testing.T) {
	var passed atomic.Int64
	fence := fencing.New(counted(&passed), fencing.Options{})
	send(t, fence, http.MethodHead, "/files/1", 5)
	w, r := httptest.NewRecorder(), request(t, http.MethodPost, "http://tus.test/files/1", 4, http.NoBody)
	r.Header.Set("X-HTTP-Method-Override", http.MethodPatch)
	fence.ServeHTTP(w, r)
	if w.Code != http.StatusConflict || passed.Load() != 1 {
		t.Errorf("status %d, %d requests passed", w.Code, passed.Load())
	}
}

func TestFence_InvalidFenceIsRefused(t *testing.T) {
	for _, values := range [][]string{{""}, {"0"}, {"-1"}, {"1.5"}, {"x"}, {"9223372036854775808"}, {"1", "2"}} {
		var passed atomic.Int64
		w, r := httptest.NewRecorder(), request(t, http.MethodHead, "http://tus.test/files/1", 0, http.NoBody)
		r.Header[header] = values
		fencing.New(counted(&passed), fencing.Options{}).ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || passed.Load() != 0 {
			t.Errorf("%q: status %d, %d requests passed", values, w.Code, passed.Load())
		}
	}
}

func TestFence_KeyFindsUploadInQuery(t *testing.T) {
	var passed atomic.Int64
	fence := fencing.New(counted(&passed), fencing.Options{Header: "x-revision", Key: func(r *http.Request) string { return r.URL.Query().Get("id") }})
	for _, s := range []struct {
		target, fence string
		want          int
	}{{"/files?id=1", "5", 204}, {"/files?id=2", "4", 204}, {"/files?token=x&id=1", "4", 409}} {
		w, r := httptest.NewRecorder(), request(t, http.MethodHead, "http://tus.test"+s.target, 0, http.NoBody)
		r.Header.Set("X-Revision", s.fence)
		if fence.ServeHTTP(w, r); w.Code != s.want {
			t.Errorf("%s: status %d, want %d", s.target, w.Code, s.want)
		}
	}
}

func TestFence_IdleUploadIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var passed atomic.Int64
		fence := fencing.New(counted(&passed), fencing.Options{Idle: time.Hour})
		status := func(path string, n int64) int { return send(t, fence, http.MethodHead, path, n).StatusCode }
		status("/files/1", 5)
		time.Sleep(59 * time.Minute)
		status("/files/2", 1) // sweeps
		if got := status("/files/1", 4); got != http.StatusConflict {
			t.Errorf("status before the time is %d", got)
		}
		time.Sleep(61 * time.Minute)
		status("/files/3", 1)
		if got := status("/files/1", 4); got != http.StatusNoContent {
			t.Errorf("status after the time is %d", got)
		}
	})
}

// The client confirms its lease as soon as a fence refuses it.
func TestFence_RefusalEndsEarlierHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener, store, dir := newPipeListener(), &storage.Memory{}, t.TempDir()
		fence := fencing.New(newTusd(t, dir, false), fencing.Options{})
		serve(t, listener, fence)
		transport := &http.Transport{DialContext: listener.Dial}
		defer transport.CloseIdleConnections()
		var stolen time.Time
		requests := 0
		client, err := tus.NewClient("http://tus.test/files/", &tus.Options{
			Store: store, FenceHeader: header, HTTPClient: &http.Client{Transport: transport},
			Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
				requests++
				if r.Header.Get("Upload-Offset") != "3000" || !stolen.IsZero() {
					return nil
				}
				stolen, requests = time.Now(), 0
				for rec, err := range store.All(r.Context()) {
					if err != nil {
						return err
					}
					rec.Lease = &storage.Lease{Holder: "other", Process: "other", Until: time.Now().Add(time.Minute)}
					if rec, err = store.Put(r.Context(), rec); err != nil {
						return err
					}
					send(t, fence, http.MethodHead, r.URL.Path, rec.Revision)
				}
				return nil
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Upload(t.Context(), tus.Bytes(randomBytes(10_000)), &tus.UploadOptions{ChunkSize: 1000, CreationLimit: -1})
		if !errors.Is(err, tus.ErrLeaseLost) {
			t.Errorf("error is %v", err)
		}
		if stolen.IsZero() || time.Since(stolen) > time.Second || requests > 1 {
			t.Errorf("ended after %v and %d more requests", time.Since(stolen), requests)
		}
		time.Sleep(time.Minute) // tusd delays the end of contexts
	})
}

// holding is a server that stores the body of a PATCH, and returns from it when it is
// released.
type holding struct {
	began    chan struct{} // the first bytes of a PATCH were received
	ended    chan error    // its body ended with this error
	release  chan struct{}
	inFlight atomic.Int64
	overlaps atomic.Int64 // requests during a PATCH
}

func newHolding() *holding {
	return &holding{began: make(chan struct{}, 10), ended: make(chan error, 10), release: make(chan struct{})}
}

func (h *holding) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.inFlight.Add(1) > 1 {
		h.overlaps.Add(1)
	}
	defer h.inFlight.Add(-1)
	if r.Method == http.MethodPatch {
		_, err := io.ReadFull(r.Body, make([]byte, 5))
		if err == nil {
			h.began <- struct{}{}
			_, err = io.Copy(io.Discard, r.Body)
		}
		// As tusd does; without the fence, net/http would wait for the rest of the body.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Hour))
		h.ended <- err
		<-h.release
	}
	w.Header().Set("Upload-Offset", "5")
	w.WriteHeader(http.StatusNoContent)
}

// result is the response to a request, or its error.
type result struct {
	status int
	text   string
	err    error
}

// start sends a request and returns its result later.
func start(client *http.Client, r *http.Request) <-chan result {
	done := make(chan result, 1)
	go func() {
		resp, err := client.Do(r)
		if err != nil {
			done <- result{err: err}
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		done <- result{resp.StatusCode, string(text), nil}
	}()
	return done
}

// withHolding runs f in a bubble for each guard and protocol, with a client of a guarded
// server.
func withHolding(t *testing.T, opts fencing.Options, f func(t *testing.T, h *holding, client *http.Client)) {
	t.Helper()
	for _, guard := range guards[1:] {
		t.Run(guard, func(t *testing.T) {
			var h *holding
			newServer := func() http.Handler { h = newHolding(); return h }
			withServer(t, guard, newServer, opts, func(t *testing.T, client *http.Client) { f(t, h, client) })
		})
	}
}

// withServer runs f in a bubble for each protocol, with a client of a guarded server.
func withServer(t *testing.T, guard string, newServer func() http.Handler, opts fencing.Options, f func(t *testing.T, client *http.Client)) {
	t.Helper()
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(protocol, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := newPipeListener()
				serve(t, listener, guarded(t, guard, newServer(), opts))
				transport := &http.Transport{DialContext: listener.Dial, Protocols: new(http.Protocols)}
				transport.Protocols.SetHTTP1(protocol == "HTTP/1.1")
				transport.Protocols.SetUnencryptedHTTP2(protocol == "HTTP/2")
				defer transport.CloseIdleConnections()
				f(t, &http.Client{Transport: transport})
				time.Sleep(time.Second) // for bodies that nobody reads
			})
		})
	}
}

const uploadURL = "http://tus.test/files/1"

// silentBody is a body of five bytes that does not end before the context does.
func silentBody(ctx context.Context) io.Reader {
	reading, writing := io.Pipe()
	context.AfterFunc(ctx, func() { writing.CloseWithError(ctx.Err()) })
	return io.MultiReader(strings.NewReader("hello"), reading)
}

func TestFence_NextRequestWaitsForServer(t *testing.T) {
	for _, earlier := range []int64{0, 3, 4} { // without a fence, of the holder before, of the same one
		withHolding(t, fencing.Options{}, func(t *testing.T, h *holding, client *http.Client) {
			began, patch := time.Now(), request(t, http.MethodPatch, uploadURL, earlier, silentBody(t.Context()))
			patch.ContentLength = 1000
			first := start(client, patch)
			<-h.began
			second := start(client, request(t, http.MethodHead, uploadURL, 4, nil))
			<-h.ended // the client still sends
			time.Sleep(time.Second)
			select {
			case got := <-second:
				t.Errorf("the next request did not wait: %+v", got)
			default:
			}
			close(h.release)
			if got := <-second; got.status != http.StatusNoContent {
				t.Errorf("the next request: %+v", got)
			}
			if got := <-first; got.status != http.StatusConflict || !strings.Contains(got.text, "fence") || time.Since(began) > time.Minute {
				t.Errorf("the earlier request: %+v after %v", got, time.Since(began))
			}
			if n := h.overlaps.Load(); n > 0 {
				t.Errorf("%d requests overlap", n)
			}
		})
	}
}

func TestFence_WaitIsBounded(t *testing.T) {
	withHolding(t, fencing.Options{Wait: 5 * time.Second}, func(t *testing.T, h *holding, client *http.Client) {
		first := start(client, request(t, http.MethodPatch, uploadURL, 3, silentBody(t.Context())))
		<-h.began
		began := time.Now()
		if got := <-start(client, request(t, http.MethodHead, uploadURL, 4, nil)); got.status != http.StatusLocked || time.Since(began) != 5*time.Second {
			t.Errorf("the next request: %+v after %v", got, time.Since(began))
		}
		if got := <-start(client, request(t, http.MethodHead, uploadURL, 3, nil)); got.status != http.StatusConflict {
			t.Errorf("a lower fence after it: %+v", got)
		}
		close(h.release)
		<-first
		if got := <-start(client, request(t, http.MethodHead, uploadURL, 4, nil)); got.status != http.StatusNoContent {
			t.Errorf("a retry after the end: %+v", got)
		}
	})
}

func TestFence_HEADWithoutFenceEndsNothing(t *testing.T) {
	withHolding(t, fencing.Options{}, func(t *testing.T, h *holding, client *http.Client) {
		reading, writing := io.Pipe()
		first := start(client, request(t, http.MethodPatch, uploadURL, 3, io.MultiReader(strings.NewReader("hello"), reading)))
		<-h.began
		if got := <-start(client, request(t, http.MethodHead, uploadURL, 0, nil)); got.status != http.StatusNoContent {
			t.Errorf("HEAD: %+v", got)
		}
		close(h.release)
		_, _ = io.WriteString(writing, "world")
		writing.Close()
		if got := <-first; got.status != http.StatusNoContent {
			t.Errorf("PATCH: %+v", got)
		}
		if err := <-h.ended; err != nil {
			t.Errorf("body: %v", err)
		}
	})
}

// Clients that send no fence are not affected.
func TestFence_RequestsWithoutFenceEndNothing(t *testing.T) {
	withHolding(t, fencing.Options{}, func(t *testing.T, h *holding, client *http.Client) {
		close(h.release)
		var patches []<-chan result
		reading, writing := io.Pipe()
		for _, body := range []io.Reader{io.MultiReader(strings.NewReader("hello"), reading), strings.NewReader("hello")} {
			patches = append(patches, start(client, request(t, http.MethodPatch, uploadURL, 0, body)))
			<-h.began
		}
		synctest.Wait()
		writing.Close()
		for _, done := range patches {
			if got := <-done; got.status != http.StatusNoContent {
				t.Errorf("%+v", got)
			}
		}
	})
}

// What the connection has received of an ended PATCH is not stored.
func TestFence_ReceivedBytesAreDropped(t *testing.T) {
	var received, ended chan struct{}
	var rest []byte
	newServer := func() http.Handler {
		received, ended = make(chan struct{}), make(chan struct{})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPatch {
				_, _ = io.ReadFull(r.Body, make([]byte, 5))
				close(received)
				<-ended
				rest, _ = io.ReadAll(r.Body)
			}
		})
	}
	withServer(t, "handler", newServer, fencing.Options{}, func(t *testing.T, client *http.Client) {
		first := start(client, request(t, http.MethodPatch, uploadURL, 3, bytes.NewReader(make([]byte, 3000))))
		<-received
		second := start(client, request(t, http.MethodHead, uploadURL, 4, nil))
		synctest.Wait()
		close(ended)
		<-second
		if got := <-first; len(rest) > 0 || got.status != http.StatusConflict {
			t.Errorf("%d bytes follow: %+v", len(rest), got)
		}
	})
}

func TestFence_HEADInFlightIsNotEnded(t *testing.T) {
	var release chan struct{}
	newServer := func() http.Handler {
		release = make(chan struct{})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-release
			if err := r.Context().Err(); err != nil {
				t.Error(err)
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	withServer(t, "handler", newServer, fencing.Options{}, func(t *testing.T, client *http.Client) {
		first := start(client, request(t, http.MethodHead, uploadURL, 3, nil))
		synctest.Wait()
		second := start(client, request(t, http.MethodHead, uploadURL, 3, nil))
		synctest.Wait()
		close(release)
		for _, done := range []<-chan result{first, second} {
			if got := <-done; got.status != http.StatusNoContent {
				t.Errorf("%+v", got)
			}
		}
	})
}

// Many requests with rising and falling fences reach the server one at a time.
func TestFence_ConcurrentRequestsNeverOverlap(t *testing.T) {
	withHolding(t, fencing.Options{}, func(t *testing.T, h *holding, client *http.Client) {
		close(h.release)
		h.ended = make(chan error, 1000)
		var sending sync.WaitGroup
		var passed atomic.Int64
		for i := range 60 {
			sending.Go(func() {
				method := []string{http.MethodPatch, http.MethodHead}[i%2]
				r := request(t, method, uploadURL, int64(1+i*7%20), nil)
				if method == http.MethodPatch {
					r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, 4)), &slowly{n: 20}))
					r.ContentLength = -1
				}
				switch got := <-start(client, r); got.status {
				case http.StatusNoContent:
					passed.Add(1)
				case http.StatusConflict, 0:
				default:
					t.Errorf("%+v", got)
				}
			})
		}
		sending.Wait()
		if h.overlaps.Load() > 0 || passed.Load() == 0 {
			t.Errorf("%d requests overlap, %d passed", h.overlaps.Load(), passed.Load())
		}
	})
}

// slowly is a reader of n bytes, one a millisecond.
type slowly struct{ n int }

func (s *slowly) Read(p []byte) (int, error) {
	if s.n == 0 {
		return 0, io.EOF
	}
	time.Sleep(time.Millisecond)
	s.n--
	return 1, nil
}

func TestEndAll_EndsBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener, h := newPipeListener(), newHolding()
		fence := fencing.New(h, fencing.Options{})
		server := serve(t, listener, fence)
		server.RegisterOnShutdown(fence.EndAll)
		transport := &http.Transport{DialContext: listener.Dial}
		defer transport.CloseIdleConnections()
		first := start(&http.Client{Transport: transport}, request(t, http.MethodPatch, uploadURL, 3, silentBody(t.Context())))
		<-h.began
		close(h.release)
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if got := <-first; got.status != http.StatusConflict {
			t.Errorf("%+v", got)
		}
	})
}

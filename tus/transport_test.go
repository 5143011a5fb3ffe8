package tus_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// largeFile writes a file that is larger than all socket buffers.
func largeFile(t testing.TB) (path string, data []byte) {
	t.Helper()
	data = randomBytes(16 << 20)
	return tempFile(t, data), data
}

// stalling stores the first n bytes of a PATCH and then stalls. The channel is closed after
// the first read of the body.
func stalling(n int64) (tustest.Action, <-chan struct{}) {
	reached := make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		r.Body = &interruptedBody{ReadCloser: r.Body, then: func() { close(reached) }}
		faults.StallAfter(n)(w, r, h)
	}, reached
}

func TestSendfile_PauseAndCancelEndIt(t *testing.T) {
	path, data := largeFile(t)
	stops := map[string]struct {
		stop func(*tus.Uploader, context.CancelFunc)
		want error
	}{
		"pause":  {func(u *tus.Uploader, _ context.CancelFunc) { u.Pause() }, tus.ErrPaused},
		"cancel": {func(_ *tus.Uploader, cancel context.CancelFunc) { cancel() }, context.Canceled},
	}
	for name, test := range stops {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			action, reached := stalling(1 << 20)
			srv.Inject(tustest.Fault{Method: "PATCH", Action: action})
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()}).NewUploader(tus.File(path), nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := u.Run(ctx)
				done <- err
			}()
			<-reached
			test.stop(u, cancel)
			wantError(t, <-done, test.want)
			res, err := u.Run(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
		})
	}
}

func TestSendfile_StallIsCut(t *testing.T) {
	t.Parallel() // mostly waits
	for name, limit := range map[string]tus.Limiter{"no limit": nil, "rate limit": tus.NewRateLimit(1 << 40)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, data := largeFile(t)
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "PATCH", Action: faults.StallAfter(1 << 20)})
			var seen recorder
			client := newClient(t, srv.Endpoint(), &tus.Options{RateLimit: limit, StallTimeout: 3 * time.Second, Hooks: seen.hooks()})
			res, err := client.UploadFile(testContext(t), path, nil)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if len(seen.retries) == 0 {
				t.Fatal("no request was cut")
			}
			wantError(t, seen.retries[0].Err, tus.ErrStalled)
			if res.Stats.Uploaded != int64(len(data)) {
				t.Errorf("stats are %+v", res.Stats)
			}
		})
	}
}

func TestStall_BehindFullBuffersIsCut(t *testing.T) {
	t.Parallel() // mostly waits
	// All bytes fit into the receive buffer of the server, so they are sent.
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Stall()})
	var seen recorder
	data := randomBytes(100_000)
	res, err := newClient(t, srv.Endpoint(), &tus.Options{ResponseTimeout: 200 * time.Millisecond, Hooks: seen.hooks()}).Upload(testContext(t), tus.Bytes(data), whole())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	wantError(t, seen.retries[0].Err, tus.ErrStalled)
}

func TestPatch_EarlyResponseIsUsed(t *testing.T) {
	// tusd responds to a wrong offset or a refused creation without reading the body. A
	// reset of the connection may drop the response, but if it arrives it is used.
	path, data := largeFile(t)
	for name, test := range map[string]struct {
		action tustest.Action
		want   func(*tus.Result, error) bool
	}{
		"refused for good": {tustest.Respond(403, "no"), func(_ *tus.Result, err error) bool { return errors.Is(err, tus.ErrUnauthorized) }},
		"wrong offset":     {tustest.Respond(409, "conflict"), func(_ *tus.Result, err error) bool { return err == nil }},
		"cut instead":      {tustest.CutBefore(), func(_ *tus.Result, err error) bool { return err == nil }},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			times := 1
			if name == "refused for good" {
				times = -1
			}
			srv.Inject(tustest.Fault{Method: "PATCH", Times: times, Action: test.action})
			res, err := newClient(t, srv.Endpoint(), nil).UploadFile(testContext(t), path, nil)
			if !test.want(res, err) {
				t.Fatalf("result is %+v, %v", res, err)
			}
			if err == nil {
				wantStored(t, srv.Handler, res.URL, data)
			}
		})
	}
}

func TestUploadOverHTTP2(t *testing.T) {
	h, endpoint, options := http2Server(t)
	data := randomBytes(3_000_000)
	for name, faults := range map[string][]tustest.Fault{
		"no fault":      nil,
		"reset":         {{Method: "PATCH", Action: tustest.CutAfter(500_000)}},
		"early 409":     {{Method: "PATCH", Action: tustest.Respond(409, "")}},
		"response lost": {{Method: "PATCH", Action: tustest.LoseResponse()}},
		"short write":   {{Method: "PATCH", Action: faults.AcceptOnly(1000)}},
		"early refusal": {{Method: "PATCH", Action: tustest.Respond(403, "")}},
	} {
		t.Run(name, func(t *testing.T) {
			h.Inject(faults...)
			res, err := newClient(t, endpoint, options).
				Upload(testContext(t), tus.Bytes(data), whole())
			if name == "early refusal" {
				wantError(t, err, tus.ErrUnauthorized)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, h, res.URL, data)
		})
	}
}

// signing is a transport that hashes a body before it sends it.
type signing struct{ http.RoundTripper }

func (s signing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		defer body.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, body); err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Header.Set("X-Content-SHA256", hex.EncodeToString(sum.Sum(nil)))
	}
	return s.RoundTripper.RoundTrip(req)
}

func TestTransport_MayReadCopyOfBody(t *testing.T) {
	data := randomBytes(10_000)
	path := tempFile(t, data)
	for name, source := range map[string]func() tus.Source{
		"file":   func() tus.Source { return tus.File(path) },
		"memory": func() tus.Source { return tus.Bytes(data) },
		"stream": func() tus.Source { return tus.Reader(bytes.NewReader(data)) },
	} {
		srv := tustest.NewServer(t, nil)
		transport := signing{tus.NewTransport()}
		client := newClient(t, srv.Endpoint(), &tus.Options{HTTPClient: &http.Client{Transport: transport}, Checksums: checksum.Builtin()})
		t.Cleanup(transport.RoundTripper.(*http.Transport).CloseIdleConnections)
		res, err := client.Upload(testContext(t), source(), &tus.UploadOptions{ChunkSize: 3000})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		for _, r := range srv.Requests() {
			if r.Method == http.MethodPatch && r.Header.Get("X-Content-SHA256") == "" {
				t.Errorf("%s: a PATCH was not signed", name)
			}
		}
	}
}

// closing is a transport that closes the body of the first PATCH while it may still read
// it, as HTTP/2 does, and fails.
type closing struct {
	http.RoundTripper
	returnReadError bool // fail with the error of the Read
	broke           atomic.Bool
}

func (c *closing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPatch || c.broke.Swap(true) {
		return c.RoundTripper.RoundTrip(req)
	}
	if _, err := io.CopyN(io.Discard, req.Body, 1000); err != nil {
		return nil, err
	}
	req.Body.Close()
	_, err := req.Body.Read(make([]byte, 1000))
	if c.returnReadError {
		return nil, err
	}
	return nil, syscall.ECONNRESET
}

func TestTransport_ClosedBodyIsNoSourceError(t *testing.T) {
	data := randomBytes(10_000)
	path := tempFile(t, data)
	for _, returnReadError := range []bool{false, true} {
		srv := tustest.NewServer(t, nil)
		transport := &closing{RoundTripper: tus.NewTransport(), returnReadError: returnReadError}
		t.Cleanup(transport.RoundTripper.(*http.Transport).CloseIdleConnections)
		client := newClient(t, srv.Endpoint(), &tus.Options{HTTPClient: &http.Client{Transport: transport}})
		res, err := client.Upload(testContext(t), tus.File(path), &tus.UploadOptions{ChunkSize: 3000})
		if err != nil {
			t.Fatalf("returnReadError %t: %v", returnReadError, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if res.Stats.Retries != 1 {
			t.Errorf("returnReadError %t: %d retries", returnReadError, res.Stats.Retries)
		}
	}
}

// TestStats_CountBytesInKernelBuffers compares the bytes that Stats counts for an early
// refused request with those that reached the server, most of them in its buffers.
func TestStats_CountBytesInKernelBuffers(t *testing.T) {
	path, data := largeFile(t)
	srv := tustest.NewServer(t, nil)
	cut, arrived := make(chan struct{}), make(chan int64, 1)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		first, _ := io.CopyN(io.Discard, r.Body, 1<<20)
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusConflict)
		http.NewResponseController(w).Flush()
		<-cut
		rest, _ := io.Copy(io.Discard, r.Body)
		arrived <- first + rest
		panic(http.ErrAbortHandler)
	}})
	var u *tus.Uploader
	var sent, reached int64
	client := newClient(t, srv.Endpoint(), &tus.Options{StallTimeout: 300 * time.Millisecond, Hooks: tus.Hooks{OnRetry: func(*tus.Uploader, tus.Retry) {
		sent = u.Stats().Sent
		close(cut)
		reached = <-arrived
	}}})
	u, err := client.NewUploader(tus.File(path), whole())
	if err != nil {
		t.Fatal(err)
	}
	res, err := u.Run(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	const dropped = 256<<10 + 1 // by net/http, before it responds
	if sent < reached || sent > reached+dropped || reached < 1<<20 {
		t.Errorf("Stats count %d bytes, %d reached the server", sent, reached)
	}
}

// sendfile gets a file in slices, with a deadline of a second for each. A server that reads
// slowly lets the deadline pass within a slice. The next slice must start at the right
// offset, also in a part.
func TestSendfile_SlowServerKeepsOffset(t *testing.T) {
	t.Parallel() // mostly waits
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(1500 * time.Millisecond)})
	data := randomBytes(64 << 20)
	path := tempFile(t, data)
	res, err := newClient(t, srv.Endpoint(), nil).UploadFile(testContext(t), path, &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 32 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if res.Stats.Resent != 0 {
		t.Errorf("stats are %+v", res.Stats)
	}
}

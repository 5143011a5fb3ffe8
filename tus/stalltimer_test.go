package tus_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestStall_SlowHookIsNone(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		data := randomBytes(3000)
		res, err := newClient(&tus.Options{Hooks: tus.Hooks{
			BeforeRequest: func(*http.Request) error { time.Sleep(5 * time.Minute); return nil }, // asks a human
		}}).Upload(t.Context(), tus.Bytes(data), whole())
		if err != nil || res.Stats.Retries != 0 {
			t.Fatalf("after %d retries: %v", res.Stats.Retries, err)
		}
		wantStored(t, h, res.URL, data)
	})
}

// informing answers every ten seconds that it is still at work, and then lets the
// server do it.
func informing(times int) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		for range times {
			select {
			case <-time.After(10 * time.Second):
			case <-r.Context().Done():
				return
			}
			w.WriteHeader(http.StatusProcessing)
		}
		h.Serve(w, r)
	}
}

func TestStall_InterimResponsesAreProgress(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "POST", Action: informing(60)})
		data := randomBytes(3000)
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(data), whole())
		if err != nil || res.Stats.Retries != 0 {
			t.Fatalf("after %d retries: %v", res.Stats.Retries, err)
		}
		wantStored(t, h, res.URL, data)
	})
}

func TestStall_EndlessInterimResponsesAreCut(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "POST", Action: informing(1 << 20)})
		begin, data := time.Now(), randomBytes(3000)
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(data), whole())
		if err != nil || res.Stats.Retries != 1 {
			t.Fatalf("after %d retries: %v", res.Stats.Retries, err)
		}
		wantStored(t, h, res.URL, data)
		if took := time.Since(begin); took > time.Hour {
			t.Errorf("it took %v", took)
		}
	})
}

// slowParts is an upload of parts that takes minutes each.
func slowParts(h *tustest.Handler) ([]byte, *tus.UploadOptions) {
	h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		r.Body = slowBody{r.Body}
		h.Serve(w, r)
	}})
	return randomBytes(4 << 18), &tus.UploadOptions{Parallel: 4, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1 << 18, 2 << 18, 3 << 18}}}
}

func TestStall_WaitForConnectionOfPartIsNone(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		data, opts := slowParts(h)
		client := newClient(&tus.Options{HTTPClient: &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}})
		begin := time.Now()
		res, err := client.Upload(t.Context(), tus.Bytes(data), opts)
		if err != nil || res.Stats.Retries != 0 {
			t.Fatalf("after %d retries: %v", res.Stats.Retries, err)
		}
		wantStored(t, h, res.URL, data)
		if took := time.Since(begin); took < 4*time.Minute { // else no part had to wait for long
			t.Errorf("it took %v", took)
		}
	})
}

func TestStall_HangingDialIsCut(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		client := newClient(&tus.Options{HTTPClient: &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}, Retry: tus.RetryPolicy{MaxRetries: -1}})
		if _, err := client.Upload(t.Context(), tus.Bytes(randomBytes(10)), whole()); err != nil {
			t.Fatal(err)
		}
		h.Inject(tustest.Fault{Method: "POST", Action: tustest.Stall()})
		begin := time.Now()
		errs := make(chan error)
		for range 2 { // one holds the only connection
			go func() {
				_, err := client.Upload(t.Context(), tus.Bytes(randomBytes(10)), whole())
				errs <- err
			}()
		}
		failed := 0
		for range 2 {
			if err := <-errs; err != nil {
				wantError(t, err, tus.ErrStalled)
				failed++
			}
		}
		if took := time.Since(begin); failed != 1 || took > time.Minute {
			t.Errorf("%d of 2 failed after %v", failed, took)
		}
	})
}

// TestStall_HangingSecondDialIsCut has a network that swallows what
// would open a second connection, while there is a lot going on on the first.
func TestStall_HangingSecondDialIsCut(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		data, _ := slowParts(h)
		transport, swallow := &http.Transport{MaxConnsPerHost: 2}, make(chan struct{})
		client := newClient(&tus.Options{HTTPClient: &http.Client{Transport: transport}, Retry: tus.RetryPolicy{MaxRetries: -1}})
		dial, dials := transport.DialContext, 0
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials++; dials == 1 {
				return dial(ctx, network, address)
			}
			httptrace.ContextClientTrace(ctx).ConnectStart(network, address) // as a net.Dialer does
			<-swallow
			return nil, errors.New("swallowed")
		}
		begin := time.Now()
		slow := make(chan error)
		go func() {
			_, err := client.Upload(t.Context(), tus.Bytes(data), whole())
			slow <- err
		}()
		time.Sleep(time.Second) // the first has its connection
		_, err := client.Upload(t.Context(), tus.Bytes(data), whole())
		wantError(t, err, tus.ErrStalled)
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("it took %v", took)
		}
		close(swallow)
		if err := <-slow; err != nil {
			t.Error(err)
		}
	})
}

// The hooks of one upload take turns, so that other parts, which report progress, wait
// for the hook of one. (Not in a bubble, where a wait for a lock stops the clock.)
func TestStall_SlowHookOfOtherPartIsNone(t *testing.T) {
	t.Parallel() // it mostly waits
	srv := tustest.NewServer(t, nil)
	data := randomBytes(16 << 20)
	var patches atomic.Int32
	client := newClient(t, srv.Endpoint(), &tus.Options{
		StallTimeout: 1500 * time.Millisecond,
		Retry:        tus.RetryPolicy{MaxRetries: -1},
		RateLimit:    steady{},
		Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
			if r.Method == http.MethodPatch && patches.Add(1) == 4 { // the other parts have begun
				time.Sleep(4 * time.Second) // it renews the token
			}
			return nil
		}},
	})
	opts := &tus.UploadOptions{Parallel: 4, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{4 << 20, 8 << 20, 12 << 20}}, CreationLimit: -1}
	res, err := client.Upload(testContext(t), tus.Bytes(data), opts)
	if err != nil || res.Stats.Retries != 0 {
		t.Fatalf("after %d retries: %v", res.Stats.Retries, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// steady is a limiter that spreads the bytes over some seconds.
type steady struct{}

func (steady) Burst() int { return 64 << 10 }

func (steady) WaitN(ctx context.Context, _ int) error {
	return waitFor(ctx, 50*time.Millisecond)
}

// One http.Client with MaxConnsPerHost serves two Clients, such as one per tenant:
// the wait for a connection of the other one's is no stall either.
func TestStall_WaitForConnectionOfClientIsNone(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		data, _ := slowParts(h)
		shared := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
		options := &tus.Options{HTTPClient: shared}
		one, two := newClient(options), newClient(options)
		slow := make(chan error)
		go func() {
			_, err := one.Upload(t.Context(), tus.Bytes(data[:64<<10]), whole())
			slow <- err
		}()
		time.Sleep(time.Second) // it has the connection, for minutes
		res, err := two.Upload(t.Context(), tus.Bytes(randomBytes(10)), whole())
		if err != nil || res.Stats.Retries != 0 {
			t.Errorf("after %d retries: %v", res.Stats.Retries, err)
		}
		if err := <-slow; err != nil {
			t.Error(err)
		}
	})
}

// A server tells how far it is while bytes come in, as those with 104 (Upload
// Resumption Supported) do, and then takes a minute to put the file away, of which it
// informs every ten seconds. That is not a server "that sends nothing else".
func TestStall_InterimResponsesAfterDataAreProgress(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			var got bytes.Buffer
			for { // 128 pieces
				n, err := io.CopyN(&got, r.Body, 8<<10)
				if n > 0 {
					time.Sleep(time.Second)
					w.WriteHeader(104)
				}
				if err != nil {
					break
				}
			}
			for range 6 {
				time.Sleep(10 * time.Second)
				w.WriteHeader(http.StatusProcessing)
			}
			r.Body = io.NopCloser(&got)
			h.Serve(w, r)
		}})
		data := randomBytes(1 << 20)
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(data), whole())
		if err != nil || res.Stats.Retries != 0 {
			t.Errorf("after %d retries: %v", res.Stats.Retries, err)
		}
		wantStored(t, h, res.URL, data)
	})
}

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
			BeforeRequest: func(*http.Request) error { time.Sleep(5 * time.Minute); return nil }, // such as a prompt
		}}).Upload(t.Context(), tus.Bytes(data), whole())
		if err != nil || res.Stats.Retries != 0 {
			t.Fatalf("after %d retries: %v", res.Stats.Retries, err)
		}
		wantStored(t, h, res.URL, data)
	})
}

// informing sends an interim response every ten seconds, and then serves the request.
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

// slowParts returns an upload in parts that take minutes each.
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
		if took := time.Since(begin); took < 4*time.Minute { // otherwise no part waited long
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
		for range 2 { // one has the only connection
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

// TestStall_HangingSecondDialIsCut has a network that drops the packets of a second
// connection, while the first one transfers data.
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
			return nil, errors.New("dropped")
		}
		begin := time.Now()
		slow := make(chan error)
		go func() {
			_, err := client.Upload(t.Context(), tus.Bytes(data), whole())
			slow <- err
		}()
		time.Sleep(time.Second) // the first upload has its connection
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

// The hooks of an upload run one at a time, so other parts wait for the hook of one. (Not
// in a bubble, where a wait for a lock stops the clock.)
func TestStall_SlowHookOfOtherPartIsNone(t *testing.T) {
	t.Parallel() // mostly waits
	srv := tustest.NewServer(t, nil)
	data := randomBytes(16 << 20)
	var patches atomic.Int32
	client := newClient(t, srv.Endpoint(), &tus.Options{
		StallTimeout: 1500 * time.Millisecond,
		Retry:        tus.RetryPolicy{MaxRetries: -1},
		RateLimit:    steady{},
		Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
			if r.Method == http.MethodPatch && patches.Add(1) == 4 { // the other parts have started
				time.Sleep(4 * time.Second) // as to renew a token
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

// steady is a limiter that delays each burst.
type steady struct{}

func (steady) Burst() int { return 64 << 10 }

func (steady) WaitN(ctx context.Context, _ int) error {
	return waitFor(ctx, 50*time.Millisecond)
}

// Two Clients share an http.Client with MaxConnsPerHost, such as one per tenant. The wait
// for a connection of the other Client is no stall.
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
		time.Sleep(time.Second) // it has the connection for minutes
		res, err := two.Upload(t.Context(), tus.Bytes(randomBytes(10)), whole())
		if err != nil || res.Stats.Retries != 0 {
			t.Errorf("after %d retries: %v", res.Stats.Retries, err)
		}
		if err := <-slow; err != nil {
			t.Error(err)
		}
	})
}

// A server sends interim responses while it reads, as with 104 (Upload Resumption
// Supported), and then every ten seconds while it takes a minute to store the file. These
// interim responses come after data, so they count as progress.
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

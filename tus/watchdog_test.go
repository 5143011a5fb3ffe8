package tus_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestHookMayTakeItsTime(t *testing.T) {
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

func TestInterimAnswersAreMovement(t *testing.T) {
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

func TestServerThatOnlyEverInformsIsCut(t *testing.T) {
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
	return randomBytes(4 << 18), &tus.UploadOptions{Parallel: 4, PartBoundaries: []int64{1 << 18, 2 << 18, 3 << 18}}
}

func TestWaitForAConnectionOfAnotherPartIsNoStall(t *testing.T) {
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

func TestConnectionThatIsNeverMadeIsCutInACrowdToo(t *testing.T) {
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

// TestConnectionThatIsBeingMadeIsNotWaitedForInACrowd has a network that swallows what
// would open a second connection, while there is a lot going on on the first.
func TestConnectionThatIsBeingMadeIsNotWaitedForInACrowd(t *testing.T) {
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

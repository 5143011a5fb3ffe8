package tus_test

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// silent reads the whole body and never responds.
func silent(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// drip responds correctly, with an endless body of one byte every five seconds.
func drip(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	n, _ := io.Copy(io.Discard, r.Body)
	w.Header().Set("Upload-Offset", fmt.Sprint(n))
	w.WriteHeader(http.StatusOK)
	for r.Context().Err() == nil {
		io.WriteString(w, ".")
		http.NewResponseController(w).Flush()
		select {
		case <-time.After(5 * time.Second):
		case <-r.Context().Done():
		}
	}
}

func TestStall_SilentConnectionIsCut(t *testing.T) {
	tests := map[string]struct {
		fault tustest.Fault
		opts  *tus.UploadOptions
		sent  bool // the whole request was sent before the stall
	}{
		"OPTIONS, no response":       {fault: tustest.Fault{Method: "OPTIONS", Action: tustest.Stall()}},
		"POST, no response":          {fault: tustest.Fault{Method: "POST", Action: tustest.Stall()}, opts: whole()},
		"body of POST not read":      {fault: tustest.Fault{Method: "POST", Action: tustest.Stall()}},
		"body of POST partly read":   {fault: tustest.Fault{Method: "POST", Action: faults.StallAfter(70_000)}},
		"POST dropped, no response":  {fault: tustest.Fault{Method: "POST", Action: silent}, sent: true},
		"body of PATCH not read":     {fault: tustest.Fault{Method: "PATCH", Action: tustest.Stall()}, opts: whole()},
		"body of PATCH partly read":  {fault: tustest.Fault{Method: "PATCH", Action: faults.StallAfter(70_000)}, opts: whole()},
		"PATCH stored, no response":  {fault: tustest.Fault{Method: "PATCH", Action: faults.StallAfter(1 << 30)}, opts: whole(), sent: true},
		"PATCH dropped, no response": {fault: tustest.Fault{Method: "PATCH", Action: silent}, opts: whole(), sent: true},
	}
	for name, test := range tests {
		for _, timeout := range []time.Duration{0, 7 * time.Second} {
			t.Run(fmt.Sprintf("%s/%v", name, timeout), func(t *testing.T) {
				bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
					h.Inject(test.fault)
					var seen recorder
					data := randomBytes(300_000)
					begin := time.Now()
					options := &tus.Options{StallTimeout: timeout, ResponseTimeout: 3 * timeout, Hooks: seen.hooks()}
					res, err := newClient(options).Upload(t.Context(), tus.Bytes(data), test.opts)
					if err != nil {
						t.Fatal(err)
					}
					wantStored(t, h, res.URL, data)
					want, response := cmp.Or(timeout, 30*time.Second), cmp.Or(3*timeout, 5*time.Minute)
					if test.sent {
						want = response
					}
					if got := time.Since(begin); got != want {
						t.Errorf("it took %v, want %v", got, want)
					}
					if test.fault.Method == "OPTIONS" { // a probe is not retried
						return
					}
					if len(seen.retries) != 1 {
						t.Fatalf("retries are %+v", seen.retries)
					}
					wantError(t, seen.retries[0].Err, tus.ErrStalled)
				})
			})
		}
	}
}

func TestStall_HeadAndDeleteAreRetried(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		client := newClient(nil)
		res, err := client.Upload(t.Context(), tus.Bytes(randomBytes(3000)), chunked())
		if err != nil {
			t.Fatal(err)
		}
		h.Inject(tustest.Fault{Method: "HEAD", Action: tustest.Stall()}, tustest.Fault{Method: "DELETE", Action: tustest.Stall()})
		begin := time.Now()
		if _, err := client.Info(t.Context(), res.URL); err != nil || time.Since(begin) != 30*time.Second {
			t.Errorf("Info took %v: %v", time.Since(begin), err)
		}
		begin = time.Now()
		if err := client.Terminate(t.Context(), res.URL); err != nil || time.Since(begin) != 30*time.Second {
			t.Errorf("Terminate took %v: %v", time.Since(begin), err)
		}
	})
}

func TestResponse_HangingBodyIsIgnored(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: drip})
		begin := time.Now()
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(randomBytes(3000)), whole())
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Since(begin); got > 31*time.Second {
			t.Errorf("it took %v", got)
		}
		if n := len(res.LastPatch.Body); n == 0 || n > 7 || res.Stats.Retries != 0 {
			t.Errorf("body has %d bytes after %d retries", n, res.Stats.Retries)
		}
	})
}

func TestStall_SlowLinkIsNone(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			r.Body = slowBody{r.Body}
			h.Serve(w, r)
		}})
		data := randomBytes(1 << 20)
		begin := time.Now()
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(data), whole())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, res.URL, data)
		if res.Stats.Retries != 0 || time.Since(begin) < 5*time.Minute {
			t.Errorf("%d retries in %v", res.Stats.Retries, time.Since(begin))
		}
	})
}

// slowBody pauses before each Read, for less than the stall timeout.
type slowBody struct{ io.ReadCloser }

func (b slowBody) Read(p []byte) (int, error) {
	<-time.After(25 * time.Second)
	return b.ReadCloser.Read(p)
}

func TestStall_NegativeTimeoutIsNoLimit(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Delay(24 * time.Hour)})
		res, err := newClient(&tus.Options{StallTimeout: -1}).Upload(t.Context(), tus.Bytes(randomBytes(3000)), whole())
		if err != nil || res.Stats.Retries != 0 {
			t.Fatalf("%v after %d retries", err, res.Stats.Retries)
		}
	})
}

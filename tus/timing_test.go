package tus_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// chunked returns options for an upload in chunks of 1000 bytes. A source of more than one
// chunk is sent without OPTIONS.
func chunked() *tus.UploadOptions { return &tus.UploadOptions{ChunkSize: 1000} }

// whole returns options for an upload of one POST and one PATCH.
func whole() *tus.UploadOptions {
	return &tus.UploadOptions{CreationLimit: -1}
}

func TestRetry_DefaultDelays(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.Respond(503, "")})
		var seen recorder
		client := newClient(&tus.Options{Retry: tus.RetryPolicy{MaxRetries: 12}, Hooks: seen.hooks()})
		begin := time.Now()
		if _, err := client.Upload(t.Context(), tus.Bytes(randomBytes(3000)), chunked()); err == nil {
			t.Fatal("upload succeeded")
		}
		elapsed := time.Since(begin)

		if len(seen.retries) != 12 {
			t.Fatalf("%d retries, want 12", len(seen.retries))
		}
		var sum time.Duration
		jitter := false
		for i, e := range seen.retries {
			sum += e.Delay
			if i == 0 {
				if e.Delay != 0 {
					t.Errorf("first retry comes after %v", e.Delay)
				}
				continue
			}
			nominal := min(500*time.Millisecond<<(i-1), time.Minute)
			if e.Delay < nominal/2 || e.Delay > nominal*3/2 {
				t.Errorf("wait before retry %d is %v, want about %v", i+1, e.Delay, nominal)
			}
			jitter = jitter || e.Delay != nominal
		}
		if !jitter {
			t.Error("waits have no random part")
		}
		if elapsed != sum {
			t.Errorf("waited %v, OnRetry got %v in all", elapsed, sum)
		}
	})
}

func TestRetry_DefaultIsEight(t *testing.T) {
	for method, opts := range map[string]*tus.UploadOptions{"POST": chunked(), "PATCH": chunked(), "HEAD": nil} {
		bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
			h.Inject(tustest.Fault{Method: method, Times: -1, Action: tustest.Respond(500, "")})
			var seen recorder
			url := ""
			if method == "HEAD" {
				url = "http://tus.test/files/1"
			}
			u, err := prepare(newClient(&tus.Options{Hooks: seen.hooks()}), url, tus.Bytes(randomBytes(3000)), opts)
			if err != nil {
				t.Fatal(err)
			}
			res, err := u.Run(t.Context())
			var e *tus.Error
			if !errors.As(err, &e) || e.StatusCode != 500 || e.Method != method {
				t.Fatalf("%s: error is %v", method, err)
			}
			if h.Count(method) != 9 || res.Stats.Retries != 8 {
				t.Errorf("%d %s requests, %d retries", h.Count(method), method, res.Stats.Retries)
			}
			for i, r := range seen.retries {
				if r.Attempt != i+1 || !errors.As(r.Err, &e) || e.StatusCode != 500 {
					t.Errorf("%s: retry %d is %+v", method, i+1, r)
				}
			}
		})
	}
}

func TestForever_RetriesUntilTheServerIsBack(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Times: 200, Action: tustest.Respond(503, "")})
		data := randomBytes(3000)
		res, err := newClient(&tus.Options{Retry: tus.RetryPolicy{MaxRetries: tus.Forever}}).Upload(t.Context(), tus.Bytes(data), chunked())
		if err != nil || res.Stats.Retries != 200 {
			t.Fatalf("%d retries: %v", res.Stats.Retries, err)
		}
		wantStored(t, h, res.URL, data)
	})
}

func TestForever_ServerThatLosesBytesEndsTheUpload(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			h.Serve(w, r)
			h.Truncate(r.URL.Path, 0)
		}})
		_, err := newClient(&tus.Options{Retry: tus.RetryPolicy{MaxRetries: tus.Forever}}).Upload(t.Context(), tus.Bytes(randomBytes(5000)), chunked())
		wantError(t, err, tus.ErrProtocol)
	})
}

func TestRetry_NegativeMaxRetriesIsNone(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Respond(503, "")})
	client := newClient(t, srv.Endpoint(), &tus.Options{Retry: tus.RetryPolicy{MaxRetries: -1}})
	_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked())
	if err == nil || !tus.IsRetryable(err) {
		t.Fatalf("error is %v", err)
	}
	wantMethods(t, srv.Handler, "POST", "PATCH")
}

func TestRetry_ProgressRenewsBudgetAndDelays(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		failures := map[string]int{}
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			at := r.Header.Get("Upload-Offset")
			if failures[at]++; failures[at] <= 8 {
				faults.RespondAfter(503, "")(w, r, h)
				return
			}
			h.Serve(w, r)
		}})
		var seen recorder
		data := randomBytes(3000)
		res, err := newClient(&tus.Options{Hooks: seen.hooks()}).Upload(t.Context(), tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, res.URL, data)
		if len(seen.retries) != 24 {
			t.Fatalf("%d retries, want 24", len(seen.retries))
		}
		for i, e := range seen.retries {
			if e.Attempt != i%8+1 || (e.Delay == 0) != (e.Attempt == 1) {
				t.Errorf("retry %d is attempt %d after %v", i, e.Attempt, e.Delay)
			}
		}
	})
}

func TestRetry_OneByteRenewsBudget(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.CutAfter(1)})
	data := randomBytes(30)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), whole())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if res.Stats.Requests["HEAD"] != 30 {
		t.Errorf("%d recoveries", res.Stats.Requests["HEAD"])
	}
}

func TestRetry_ShouldRetryOverridesDefault(t *testing.T) {
	t.Run("a permanent failure is retried", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "PATCH", Times: 3, Action: tustest.Respond(403, "not yet")})
		var attempts []int
		client := newClient(t, srv.Endpoint(), &tus.Options{Retry: tus.RetryPolicy{ShouldRetry: func(err error, attempt int) bool {
			attempts = append(attempts, attempt)
			return errors.Is(err, tus.ErrUnauthorized)
		}}})
		data := randomBytes(3000)
		res, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if !slices.Equal(attempts, []int{1, 2, 3}) {
			t.Errorf("attempts are %v", attempts)
		}
	})
	t.Run("a temporary failure ends the upload", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Respond(503, "")})
		client := newClient(t, srv.Endpoint(), &tus.Options{Retry: tus.RetryPolicy{ShouldRetry: func(error, int) bool { return false }}})
		res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked())
		var e *tus.Error
		if !errors.As(err, &e) || e.StatusCode != 503 || res.Stats.Retries != 0 {
			t.Errorf("error is %v after %d retries", err, res.Stats.Retries)
		}
	})
	t.Run("not called after the end of the context", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		ctx, cancel := context.WithCancel(testContext(t))
		srv.Inject(tustest.Fault{Method: "PATCH", Action: func(_ http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
			cancel()
			io.Copy(io.Discard, r.Body) // shows the end of the request
			<-r.Context().Done()
		}})
		client := newClient(t, srv.Endpoint(), &tus.Options{Retry: tus.RetryPolicy{ShouldRetry: func(err error, _ int) bool {
			t.Errorf("ShouldRetry was called for %v", err)
			return true
		}}})
		_, err := client.Upload(ctx, tus.Bytes(randomBytes(3000)), chunked())
		wantError(t, err, context.Canceled)
	})
}

func TestRetryAfter_IsHonored(t *testing.T) {
	in := func(d time.Duration) func() string {
		return func() string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	}
	word := func(s string) func() string { return func() string { return s } }
	tests := map[string]struct {
		value func() string
		limit time.Duration
		want  time.Duration
	}{
		"seconds":              {word("7"), 0, 7 * time.Second},
		"date":                 {in(90 * time.Second), 0, 90 * time.Second},
		"capped by default":    {word("86400"), 0, 5 * time.Minute},
		"capped by the caller": {word("3600"), 10 * time.Second, 10 * time.Second},
		"date, capped":         {in(24 * time.Hour), 10 * time.Second, 10 * time.Second},
		"larger than any time": {word("99999999999999999"), 0, 5 * time.Minute},
		"overflow":             {word("99999999999999999999999"), 0, 0},
		"date in the past":     {in(-time.Hour), 0, 0},
		"negative":             {word("-5"), 0, 0},
		"fraction":             {word("1.5"), 0, 0},
		"garbage":              {word("soon"), 0, 0},
	}
	for name, test := range tests {
		for _, status := range []int{423, 429, 503} {
			for _, method := range []string{"POST", "PATCH"} {
				t.Run(fmt.Sprintf("%s/%s %d", name, method, status), func(t *testing.T) {
					bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
						h.Inject(tustest.Fault{Method: method, Action: faults.RespondAfter(status, "", "Retry-After", test.value())})
						var seen recorder
						client := newClient(&tus.Options{Retry: tus.RetryPolicy{MaxRetryAfter: test.limit}, Hooks: seen.hooks()})
						begin := time.Now()
						if _, err := client.Upload(t.Context(), tus.Bytes(randomBytes(3000)), chunked()); err != nil {
							t.Fatal(err)
						}
						if len(seen.retries) != 1 || seen.retries[0].Delay != test.want || time.Since(begin) != test.want {
							t.Errorf("retries are %+v, and it took %v; want a wait of %v", seen.retries, time.Since(begin), test.want)
						}
					})
				})
			}
		}
	}
}

func TestRetryAfter_NeverShortensDelay(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "POST", Times: 2, Action: tustest.Respond(503, "", "Retry-After", "1")})
		var seen recorder
		client := newClient(&tus.Options{Hooks: seen.hooks(), Retry: tus.RetryPolicy{
			Delay: func(attempt int) time.Duration { return time.Duration(attempt-1) * time.Hour },
		}})
		if _, err := client.Upload(t.Context(), tus.Bytes(randomBytes(10)), whole()); err != nil {
			t.Fatal(err)
		}
		if seen.retries[0].Delay != time.Second || seen.retries[1].Delay != time.Hour {
			t.Errorf("retries are %+v", seen.retries)
		}
	})
}

func TestRetryPolicy_DelayOfTheCaller(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		policy := tus.RetryPolicy{MaxRetries: 3, Delay: func(attempt int) time.Duration { return time.Duration(attempt-2) * time.Second }}
		h.Inject(
			tustest.Fault{Method: "PATCH", Times: 3, Action: tustest.Respond(503, "")},
			tustest.Fault{Method: "PATCH", From: 1000, Times: -1, Action: tustest.Respond(502, "")},
		)
		var seen recorder
		_, err := newClient(&tus.Options{Retry: policy, Hooks: seen.hooks()}).Upload(t.Context(), tus.Bytes(randomBytes(3000)), chunked())
		var e *tus.Error
		if !errors.As(err, &e) || e.StatusCode != 502 || e.Offset != 1000 {
			t.Fatalf("error is %v", err)
		}
		var delays []time.Duration
		for _, r := range seen.retries {
			delays = append(delays, r.Delay)
		}
		// Three failures at offset 0 are retried, and the count restarts at offset 1000. A
		// negative delay is none.
		if want := []time.Duration{0, 0, time.Second, 0, 0, time.Second}; !slices.Equal(delays, want) {
			t.Errorf("delays are %v, want %v", delays, want)
		}
	})
}

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

// slowLimiter delays every burst by more than the stall timeout.
type slowLimiter struct{ waited []int }

func (l *slowLimiter) Burst() int { return 100_000 }

func (l *slowLimiter) WaitN(ctx context.Context, n int) error {
	l.waited = append(l.waited, n)
	return waitFor(ctx, 2*time.Minute)
}

func waitFor(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestStall_WaitForRateLimitIsNone(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		limiter := &slowLimiter{}
		data := randomBytes(250_000)
		res, err := newClient(&tus.Options{RateLimit: limiter}).Upload(t.Context(), tus.Bytes(data), whole())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, res.URL, data)
		sum := 0
		for _, n := range limiter.waited {
			sum += n
			if n < 1 || n > limiter.Burst() {
				t.Errorf("WaitN of %d bytes, the burst is %d", n, limiter.Burst())
			}
		}
		if sum < len(data) || res.Stats.Retries != 0 {
			t.Errorf("WaitN of %d bytes in all, %d retries", sum, res.Stats.Retries)
		}
	})
}

func TestRateLimit_WaitOfUploadEndsWithContext(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		_, err := newClient(&tus.Options{RateLimit: &slowLimiter{}}).Upload(ctx, tus.Bytes(randomBytes(10)), whole())
		wantError(t, err, context.DeadlineExceeded)
		if got := time.Since(begin); got != time.Minute {
			t.Errorf("it took %v", got)
		}
	})
}

// punctualLimiter passes a byte per second. Like the limiter of golang.org/x/time, it
// fails at once if the wait exceeds the deadline of the context.
type punctualLimiter struct{ refused int }

func (*punctualLimiter) Burst() int { return 100 }

func (l *punctualLimiter) WaitN(ctx context.Context, n int) error {
	wait := time.Duration(n) * time.Second
	if end, ok := ctx.Deadline(); ok && time.Until(end) < wait {
		l.refused++
		return errors.New("would exceed context deadline")
	}
	return waitFor(ctx, wait)
}

func TestRateLimit_ForeseenDeadlinePausesUpload(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		begin, limiter, data := time.Now(), &punctualLimiter{}, randomBytes(500)
		u, err := newClient(&tus.Options{RateLimit: limiter}).NewUploader(tus.Bytes(data), &tus.UploadOptions{ChunkSize: 70})
		if err != nil {
			t.Fatal(err)
		}
		res, err := u.Run(ctx)
		wantError(t, err, context.DeadlineExceeded)
		if u.State() != tus.StatePaused || res.Stats.Retries != 0 || res.Offset != 280 || time.Since(begin) != 5*time.Minute {
			t.Errorf("%v at %d after %v and %d retries", u.State(), res.Offset, time.Since(begin), res.Stats.Retries)
		}
		if res, err = u.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, res.URL, data)
	})
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

// places returns faults that make an upload wait, by what it waits for.
func places() map[string][]tustest.Fault {
	return map[string][]tustest.Fault{
		"OPTIONS":          {{Method: "OPTIONS", Action: tustest.Stall()}},
		"POST":             {{Method: "POST", Action: tustest.Stall()}},
		"PATCH":            {{Method: "PATCH", Action: faults.StallAfter(500)}},
		"response":         {{Method: "PATCH", Action: silent}},
		"body of response": {{Method: "PATCH", Action: drip}},
		"HEAD":             {{Method: "PATCH", Action: tustest.CutBefore()}, {Method: "HEAD", Action: tustest.Stall()}},
		"wait for POST":    {{Method: "POST", Action: faults.RespondAfter(503, "", "Retry-After", "60")}},
		"wait for HEAD":    {{Method: "PATCH", Action: faults.RespondAfter(503, "", "Retry-After", "60")}},
	}
}

// optionsFor returns options for an upload that reaches the place: OPTIONS is sent only
// for a source that fits one request.
func optionsFor(place string) *tus.UploadOptions {
	if place == "OPTIONS" {
		return nil
	}
	return chunked()
}

func TestContext_EndPausesUpload(t *testing.T) {
	because := errors.New("the user left")
	ends := map[string]struct {
		want error
		make func(context.Context) (context.Context, context.CancelFunc)
	}{
		"cancel": {context.Canceled, func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			timer := time.AfterFunc(2*time.Second, func() { cancel(because) })
			return ctx, func() { timer.Stop(); cancel(nil) }
		}},
		"deadline": {context.DeadlineExceeded, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, 2*time.Second, because)
		}},
	}
	for place, faults := range places() {
		for name, end := range ends {
			t.Run(name+" in "+place, func(t *testing.T) {
				bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
					h.Inject(faults...)
					data := randomBytes(3000)
					u, err := newClient(nil).NewUploader(tus.Bytes(data), optionsFor(place))
					if err != nil {
						t.Fatal(err)
					}
					ctx, cancel := end.make(t.Context())
					defer cancel()
					begin := time.Now()
					res, err := u.Run(ctx)
					if got := time.Since(begin); got != 2*time.Second {
						t.Errorf("Run returned after %v", got)
					}
					wantError(t, err, end.want)
					wantError(t, err, because)
					if u.State() != tus.StatePaused || res == nil || res.URL != u.URL() {
						t.Errorf("state is %v, result %+v", u.State(), res)
					}
					res, err = u.Run(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					wantStored(t, h, res.URL, data)
					if u.State() != tus.StateComplete {
						t.Errorf("state is %v", u.State())
					}
				})
			})
		}
	}
}

func TestPause_FromOtherGoroutine(t *testing.T) {
	for place, faults := range places() {
		t.Run(place, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				h.Inject(faults...)
				data := randomBytes(3000)
				u, err := newClient(nil).NewUploader(tus.Bytes(data), optionsFor(place))
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() {
					_, err := u.Run(t.Context())
					done <- err
				}()
				synctest.Wait()
				begin := time.Now()
				u.Pause()
				wantError(t, <-done, tus.ErrPaused)
				if u.State() != tus.StatePaused || time.Since(begin) != 0 {
					t.Errorf("state is %v after %v", u.State(), time.Since(begin))
				}
				res, err := u.Run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, h, res.URL, data)
			})
		})
	}
}

func TestSource_BlockedReadDoesNotDelayEnd(t *testing.T) {
	data := randomBytes(3000)
	for name, closes := range map[string]bool{"Close ends the Read": true, "Close does not": false} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			release, reading := make(chan struct{}), make(chan struct{})
			wake := sync.OnceFunc(func() { close(release) })
			defer wake()
			begun := sync.OnceFunc(func() { close(reading) })
			source := blockingSource{Source: tus.Bytes(data), read: func() { begun(); <-release }}
			if closes {
				source.close = wake
			}
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := newClient(t, srv.Endpoint(), nil).Upload(ctx, source, whole())
				done <- err
			}()
			<-reading
			cancel()
			wantError(t, <-done, context.Canceled)
		})
	}
}

// blockingSource is a source whose readers hang until wake is closed.
type blockingSource struct {
	tus.Source
	read, close func()
}

func (s blockingSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	r, err := s.Source.Open(ctx, offset)
	return blockingReader{r, s}, err
}

type blockingReader struct {
	io.ReadCloser
	source blockingSource
}

func (r blockingReader) Read(p []byte) (int, error) {
	r.source.read()
	return r.ReadCloser.Read(p)
}

func (r blockingReader) Close() error {
	if r.source.close != nil {
		r.source.close()
	}
	return r.ReadCloser.Close()
}

func TestContext_EndedBeforeSendsNothing(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"Upload":           func() error { _, err := client.Upload(ctx, tus.Bytes(randomBytes(10)), nil); return err },
		"Upload in chunks": func() error { _, err := client.Upload(ctx, tus.Bytes(randomBytes(3000)), chunked()); return err },
		"Resume":           func() error { _, err := client.Resume(ctx, srv.Endpoint()+"1", tus.Bytes(nil), nil); return err },
		"Capabilities":     func() error { _, err := client.Capabilities(ctx); return err },
		"Info":             func() error { _, err := client.Info(ctx, srv.Endpoint()+"1"); return err },
		"Terminate":        func() error { return client.Terminate(ctx, srv.Endpoint()+"1") },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	wantMethods(t, srv.Handler)
}

func TestContext_EndsRetriesOfInfo(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "HEAD", Times: -1, Action: tustest.Respond(503, "", "Retry-After", "60")})
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := newClient(nil).Info(ctx, "http://tus.test/files/1")
		wantError(t, err, context.DeadlineExceeded)
		if got := time.Since(begin); got != 90*time.Second || h.Count("HEAD") != 2 {
			t.Errorf("it took %v and %d requests", got, h.Count("HEAD"))
		}
	})
}

func TestProbe_WaitEndsWithContext(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "OPTIONS", Action: tustest.Delay(20 * time.Second)})
		client := newClient(nil)
		first := make(chan error, 1)
		go func() {
			_, err := client.Capabilities(t.Context())
			first <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client.Capabilities(ctx)
		wantError(t, err, context.DeadlineExceeded)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if _, err := client.Capabilities(t.Context()); err != nil || h.Count("OPTIONS") != 1 {
			t.Errorf("%d requests: %v", h.Count("OPTIONS"), err)
		}
	})
}

func TestStats_ElapsedEndsWithUpload(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Delay(10 * time.Second)})
		u, err := newClient(nil).NewUploader(tus.Bytes(randomBytes(3000)), whole())
		if err != nil {
			t.Fatal(err)
		}
		if s := u.Stats(); s.Elapsed != 0 || s.TotalRequests() != 0 {
			t.Errorf("before the start: %+v", s)
		}
		done := make(chan error, 1)
		go func() {
			_, err := u.Run(t.Context())
			done <- err
		}()
		<-time.After(4 * time.Second)
		if got := u.Stats().Elapsed; got != 4*time.Second {
			t.Errorf("elapsed during the upload: %v", got)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour) // does not count
		if s := u.Stats(); s.Elapsed != 10*time.Second || s.Uploaded != 3000 || s.TotalRequests() != 2 {
			t.Errorf("at the end: %+v", s)
		}
	})
}

// After a broken connection, the server may still read data that it received.
func TestRetry_WaitsForServerToStoreData(t *testing.T) {
	for _, c := range []struct{ took, want time.Duration }{
		{0, 0},
		{40 * time.Millisecond, 40 * time.Millisecond},
		{5 * time.Second, 100 * time.Millisecond},
	} {
		for name, end := range map[string]tustest.Action{"broken": tustest.CutAfter(400), "503": tustest.Respond(503, "")} {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				want := c.want
				if name == "503" {
					want = 0
				}
				h.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
					time.Sleep(c.took)
					end(w, r, h)
				}})
				var seen recorder
				data := randomBytes(3000)
				if _, err := newClient(&tus.Options{Hooks: seen.hooks()}).Upload(t.Context(), tus.Bytes(data), chunked()); err != nil {
					t.Fatal(err)
				}
				if len(seen.retries) != 1 || seen.retries[0].Delay != want {
					t.Errorf("%s after %v: retries are %+v, want one after %v", name, c.took, seen.retries, want)
				}
			})
		}
	}
}

package tus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

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

// 421 means that the connection is for another host (RFC 9110 section 15.5.20).
func TestMisdirectedRequest_IsRetriedOnce(t *testing.T) {
	data := randomBytes(3000)
	for _, method := range []string{"POST", "PATCH"} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: method, Action: faults.RespondAfter(421, "")})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil || res.Stats.Retries != 0 {
			t.Fatalf("%s: %+v, %v", method, res.Stats, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
}

package tus_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// pass waits for n bytes in pieces of at most the burst, and returns the time it took.
func pass(t *testing.T, l *tus.RateLimit, n int) (took time.Duration) {
	t.Helper()
	begin := time.Now()
	for n > 0 {
		piece := min(n, l.Burst())
		if err := l.WaitN(t.Context(), piece); err != nil {
			t.Fatal(err)
		}
		n -= piece
	}
	return time.Since(begin)
}

func wantAbout(t *testing.T, took, want time.Duration) {
	t.Helper()
	if took < want-500*time.Millisecond || took > want+500*time.Millisecond {
		t.Errorf("took %v, want about %v", took, want)
	}
}

func TestRateLimit_KeepsRate(t *testing.T) {
	for rate, seconds := range map[int64]int{3: 20, 1000: 10, 1 << 20: 10, 1 << 40: 2} {
		synctest.Test(t, func(t *testing.T) {
			took := pass(t, tus.NewRateLimit(rate), int(rate)*seconds)
			if want := time.Duration(seconds) * time.Second; took < want-500*time.Millisecond || took > want {
				t.Errorf("%d bytes per second: took %v, want %v", rate, took, want)
			}
		})
	}
}

func TestRateLimit_IdleTimeIsNoBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tus.NewRateLimit(1000)
		pass(t, l, 100)
		time.Sleep(time.Hour)
		wantAbout(t, pass(t, l, 5000), 5*time.Second)
	})
}

func TestRateLimit_IsSharedByWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tus.NewRateLimit(1000)
		begin := time.Now()
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { pass(t, l, 2000) })
		}
		all.Wait()
		wantAbout(t, time.Since(begin), 10*time.Second)
	})
}

func TestRateLimit_SetWakesWaiters(t *testing.T) {
	for name, c := range map[string]struct {
		before, after int64
		want          time.Duration // for 10000 bytes, after a second
	}{
		"faster":     {1000, 3000, 3 * time.Second},
		"slower":     {1000, 500, 18 * time.Second},
		"the same":   {1000, 1000, 9 * time.Second},
		"off":        {1000, 0, 0},
		"below zero": {1000, -1, 0},
		"from 1":     {1, 5000, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := tus.NewRateLimit(c.before)
				begin := time.Now()
				done := make(chan time.Duration)
				go func() {
					pass(t, l, 10_000)
					done <- time.Since(begin)
				}()
				time.Sleep(time.Second)
				l.Set(c.after)
				wantAbout(t, <-done, time.Second+c.want)
			})
		})
	}
}

// TestRateLimit_SetOffAndOn fails with a limiter of golang.org/x/time/rate.
func TestRateLimit_SetOffAndOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l tus.RateLimit
		if took := pass(t, &l, math.MaxInt32); took != 0 {
			t.Errorf("zero value took %v", took)
		}
		l.Set(1000)
		wantAbout(t, pass(t, &l, 5000), 5*time.Second)
		l.Set(0)
		if took := pass(t, &l, math.MaxInt32); took != 0 {
			t.Errorf("no limit took %v", took)
		}
		l.Set(1000)
		wantAbout(t, pass(t, &l, 5000), 5*time.Second)
	})
}

func TestRateLimit_WaitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tus.NewRateLimit(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.WaitN(ctx, math.MaxInt32); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		wantError(t, l.WaitN(ctx, 1), context.DeadlineExceeded)
		wantAbout(t, time.Since(begin), time.Second)
		wantError(t, l.WaitN(ctx, 1), context.DeadlineExceeded)
	})
}

// TestRateLimit_ChangesDuringUpload starts with a very low limit and removes it.
func TestRateLimit_ChangesDuringUpload(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		limit, data := tus.NewRateLimit(0), randomBytes(100_000)
		limit.Set(1)
		client := newClient(&tus.Options{RateLimit: limit})
		begin := time.Now()
		time.AfterFunc(time.Minute, func() { limit.Set(0) })
		res, err := client.Upload(t.Context(), tus.Bytes(data), whole())
		if err != nil {
			t.Fatal(err)
		}
		wantAbout(t, time.Since(begin), time.Minute)
		wantStored(t, h, res.URL, data)
	})
}

// TestRateLimit_OfUploadAndClientApply: the lower of two limits applies, in each kind of
// upload.
func TestRateLimit_OfUploadAndClientApply(t *testing.T) {
	const size = 20_000
	for name, opts := range map[string]tus.UploadOptions{
		"whole": *whole(), "creation": {}, "chunks": {ChunkSize: 3000},
		"parallel": {Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{8000}}},
	} {
		for _, stream := range []bool{false, true} {
			for _, c := range []struct{ client, own int64 }{{1000, 1 << 20}, {1 << 20, 1000}, {0, 1000}, {1000, 0}} {
				bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
					opts := opts
					opts.RateLimit = tus.NewRateLimit(c.own)
					data := randomBytes(size)
					source := tus.Bytes(data)
					if stream {
						if opts.Parallel > 0 {
							return
						}
						source = bombSource{bomb: &bomb{}, Source: source, change: func(i *tus.SourceInfo) { i.SizeUnknown, i.Sequential = true, true }}
					}
					begin := time.Now()
					res, err := newClient(&tus.Options{RateLimit: tus.NewRateLimit(c.client)}).Upload(t.Context(), source, &opts)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if took := time.Since(begin); took < 19*time.Second || took > 21*time.Second {
						t.Errorf("%s, stream %v, %+v: took %v", name, stream, c, took)
					}
					wantStored(t, h, res.URL, data)
				})
			}
		}
	}
}

func TestRateLimit_OfUploadThatCannotWorkIsRefused(t *testing.T) {
	client := newClient(t, "http://tus.test/files/", nil)
	for name, limit := range map[string]tus.Limiter{
		"UploadOptions.RateLimit is a nil *tus.RateLimit": (*tus.RateLimit)(nil),
		"UploadOptions.RateLimit has a burst of -1 bytes": burst(-1),
	} {
		_, err := client.NewUploader(tus.Bytes(nil), &tus.UploadOptions{RateLimit: limit})
		wantError(t, err, tus.ErrInvalidInput)
		if !strings.Contains(err.Error(), name) {
			t.Errorf("error is %v, want one with %q", err, name)
		}
	}
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

// strictLimiter counts bytes, and fails if a wait exceeds its burst.
type strictLimiter struct{ n atomic.Int64 }

func (l *strictLimiter) Burst() int { return 100_000 }

func (l *strictLimiter) WaitN(_ context.Context, n int) error {
	if n > l.Burst() {
		return errors.New("more than the burst")
	}
	l.n.Add(int64(n))
	return nil
}

func TestRateLimit_HoldsForFileAndMemory(t *testing.T) {
	path, data := largeFile(t)
	for name, source := range map[string]tus.Source{"file by the kernel": tus.File(path), "memory": tus.Bytes(data)} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			limiter := &strictLimiter{}
			res, err := newClient(t, srv.Endpoint(), &tus.Options{RateLimit: limiter}).Upload(testContext(t), source, nil)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if n := limiter.n.Load(); n < int64(len(data)) {
				t.Errorf("limiter passed %d bytes of %d", n, len(data))
			}
		})
	}
}

func TestRateLimit_ErrorEndsRequest(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{RateLimit: brokenLimiter{}, Retry: tus.RetryPolicy{MaxRetries: 2}})
	_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), whole())
	wantError(t, err, errUnplugged)
	if bytesReceived(srv) != 0 {
		t.Errorf("%d bytes were sent", bytesReceived(srv))
	}
}

type brokenLimiter struct{}

func (brokenLimiter) Burst() int                       { return 1000 }
func (brokenLimiter) WaitN(context.Context, int) error { return errUnplugged }

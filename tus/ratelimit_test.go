package tus_test

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
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

// TestRateLimit_DoesNotHideStall sends a file by sendfile over a stalled connection.
func TestRateLimit_DoesNotHideStall(t *testing.T) {
	t.Parallel() // mostly waits
	path, data := largeFile(t)
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: faults.StallAfter(1 << 20)})
	var seen recorder
	client := newClient(t, srv.Endpoint(), &tus.Options{RateLimit: tus.NewRateLimit(1 << 40), StallTimeout: 3 * time.Second, Hooks: seen.hooks()})
	res, err := client.UploadFile(testContext(t), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if len(seen.retries) == 0 {
		t.Fatal("no request was cut")
	}
	wantError(t, seen.retries[0].Err, tus.ErrStalled)
}

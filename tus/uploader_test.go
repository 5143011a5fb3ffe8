package tus_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// newUploader returns an Uploader of data on srv.
func newUploader(t testing.TB, srv *tustest.Server, data []byte, opts *tus.UploadOptions, hooks tus.Hooks) *tus.Uploader {
	t.Helper()
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Hooks: hooks}).NewUploader(tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func newResumer(t testing.TB, srv *tustest.Server, url string, data []byte, hooks tus.Hooks) *tus.Uploader {
	t.Helper()
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Hooks: hooks}).NewResumer(url, tus.Bytes(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// run calls Run in a goroutine. The function returned waits for it.
func run(t testing.TB, u *tus.Uploader) (wait func() error) {
	done := make(chan error, 1)
	ctx := testContext(t)
	go func() {
		_, err := u.Run(ctx)
		done <- err
	}()
	return func() error { return <-done }
}

func TestRun_SecondGoroutineIsBusy(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Stall()})
		data := randomBytes(3000)
		u, err := newClient(nil).NewUploader(tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wait := run(t, u)
		synctest.Wait()
		res, err := u.Run(t.Context())
		wantError(t, err, tus.ErrBusy)
		if res == nil || res.URL != u.URL() {
			t.Errorf("result is %+v", res)
		}
		wantError(t, u.Step(t.Context()), tus.ErrBusy)
		if u.State() != tus.StateSending {
			t.Errorf("state is %v", u.State())
		}
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, u.URL(), data)
	})
}

func TestRun_ManyGoroutines(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(10)
	for range 50 {
		u := newUploader(t, srv, data, whole(), tus.Hooks{})
		var drivers sync.WaitGroup
		for range 3 {
			drivers.Go(func() {
				if res, err := u.Run(t.Context()); res == nil || err != nil && !errors.Is(err, tus.ErrBusy) {
					t.Errorf("result is %v, %v", res, err)
				}
			})
		}
		drivers.Wait()
		wantStored(t, srv.Handler, u.URL(), data)
	}
	if n := srv.Count("POST"); n != 50 {
		t.Errorf("%d uploads were created", n)
	}
}

func TestUploader_GettersFromAnyGoroutine(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 10, Times: 3, Action: tustest.CutAfter(300)})
	data := randomBytes(100_000)
	u := newUploader(t, srv, data, chunked(), tus.Hooks{})
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 8 {
		readers.Go(func() {
			var last int64
			for {
				select {
				case <-done:
					return
				case <-time.After(100 * time.Microsecond): // busy loops would starve the upload
				}
				acknowledged := u.Stats().Uploaded
				if acknowledged < last {
					t.Errorf("acknowledged bytes fell from %d to %d", last, acknowledged)
				}
				last = acknowledged
				if offset := u.Offset(); offset > 0 && u.URL() == "" {
					t.Errorf("offset %d without a URL in state %v", offset, u.State())
				}
			}
		})
	}
	_, err := u.Run(testContext(t))
	close(done)
	readers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, u.URL(), data)
}

func TestResult_IsNeverNil(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Times: -1, Action: tustest.Respond(403, "")})
	client := newClient(t, srv.Endpoint(), nil)
	ctx := testContext(t)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	data := tus.Bytes(randomBytes(10))
	calls := map[string]func() (*tus.Result, error){
		"UploadFile, missing":     func() (*tus.Result, error) { return client.UploadFile(ctx, "/nonexistent", nil) },
		"UploadFile, bad options": func() (*tus.Result, error) { return client.UploadFile(ctx, "x", &tus.UploadOptions{ChunkSize: -1}) },
		"Upload, no source":       func() (*tus.Result, error) { return client.Upload(ctx, nil, nil) },
		"Upload, refused":         func() (*tus.Result, error) { return client.Upload(ctx, data, nil) },
		"Upload, context ended":   func() (*tus.Result, error) { return client.Upload(ended, data, nil) },
		"Resume, no URL":          func() (*tus.Result, error) { return client.Resume(ctx, "", data, nil) },
		"Resume, bad URL":         func() (*tus.Result, error) { return client.Resume(ctx, "::", data, nil) },
		"Resume, refused":         func() (*tus.Result, error) { return client.Resume(ctx, srv.Endpoint()+"1", data, nil) },
	}
	for name, call := range calls {
		if res, err := call(); res == nil || err == nil {
			t.Errorf("%s: result %v, error %v", name, res, err)
		}
	}
}

func TestPanic_OfHookLeavesUploaderUsable(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(3000)
	opts := chunked()
	panicked := false
	opts.Hooks.OnStateChange = func(u *tus.Uploader, _, to tus.State, _ error) {
		switch {
		case to == tus.StateCreating && !panicked:
			u.Pause()
		case to == tus.StatePaused && !panicked:
			panicked = true
			panic("a hook")
		}
	}
	u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = u.Step(testContext(t))
	}()
	if _, err := u.Run(testContext(t)); err != nil || !panicked {
		t.Errorf("after a panic (%v): %v", panicked, err)
	}
	wantStored(t, srv.Handler, u.URL(), data)
}

func TestStats_ElapsedEndsWithUpload(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Delay(10 * time.Second)})
		u, err := newClient(nil).NewUploader(tus.Bytes(randomBytes(3000)), whole())
		if err != nil {
			t.Fatal(err)
		}
		if s := u.Stats(); s.Elapsed != 0 || requestsOf(s) != 0 {
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
		if s := u.Stats(); s.Elapsed != 10*time.Second || s.Uploaded != 3000 || requestsOf(s) != 2 {
			t.Errorf("at the end: %+v", s)
		}
	})
}

func TestRun_AfterFailureReturnsItAgain(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.Respond(423, "no")})
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: tus.RetryPolicy{MaxRetries: -1}}).NewUploader(tus.Bytes(randomBytes(10)), nil)
	if err != nil {
		t.Fatal(err)
	}
	for run := range 3 {
		_, err := u.Run(testContext(t))
		if statusOf(err) != 423 || tus.IsRetryable(err) != (run == 0) { // a later Run cannot succeed
			t.Errorf("run %d: retryable is %v: %v", run, tus.IsRetryable(err), err)
		}
	}
	if err := u.Abort(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Run(testContext(t)); err == nil || statusOf(err) == 423 {
		t.Errorf("after Abort: %v", err)
	}
}

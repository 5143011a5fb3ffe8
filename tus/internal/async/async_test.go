package async_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

var errCause = errors.New("shutting down")

func TestCall_AbandonsHangingFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		release, late := make(chan struct{}), make(chan string, 1)
		time.AfterFunc(time.Minute, func() { cancel(errCause) })
		begin := time.Now()
		value, err := async.Call(ctx, func() (string, error) {
			<-release
			return "late", nil
		}, func(value string) { late <- value })
		if value != "" || !errors.Is(err, context.Canceled) || !errors.Is(err, errCause) {
			t.Errorf("got %q, %v", value, err)
		}
		if took := time.Since(begin); took != time.Minute+async.Grace {
			t.Errorf("took %v", took)
		}
		close(release)
		if got := <-late; got != "late" {
			t.Errorf("late value is %q", got)
		}
	})
}

func TestCall_PanicOfLateIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		release := make(chan struct{})
		_, err := async.Call(ctx, func() (int, error) {
			<-release
			return 1, nil
		}, func(int) { panic("a bug") })
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		close(release)
		synctest.Wait()
	})
}

func TestCall_RepeatsPanicOfFunction(t *testing.T) {
	for name, f := range map[string]func() (int, error){
		"panic":  func() (int, error) { panic("a bug") },
		"Goexit": func() (int, error) { runtime.Goexit(); return 0, nil },
	} {
		ended := make(chan any, 1)
		go func() {
			defer func() { ended <- recover() }()
			_, err := async.Call(context.Background(), f, nil)
			ended <- err
		}()
		if got := <-ended; name == "panic" && got != "a bug" || name == "Goexit" && got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSleep_EndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCause)
		defer cancel()
		begin := time.Now()
		err := async.Sleep(ctx, time.Hour)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errCause) || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if err := async.Sleep(ctx, 0); err == nil {
			t.Error("no error although the context has ended")
		}
	})
}

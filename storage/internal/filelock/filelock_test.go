package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func openTwice(t *testing.T) (a, b *os.File) {
	path := filepath.Join(t.TempDir(), "file")
	for _, f := range []**os.File{&a, &b} {
		opened, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { opened.Close() })
		*f = opened
	}
	return a, b
}

func wantLock(t *testing.T, f *os.File, want bool) {
	t.Helper()
	if ok, err := tryLock(f); ok != want || err != nil {
		t.Errorf("trying to lock: %v, %v, want %v", ok, err, want)
	}
}

func TestLock_ExcludesOthers(t *testing.T) {
	a, b := openTwice(t)
	wantLock(t, a, true)
	wantLock(t, b, false)
	if err := Unlock(a); err != nil {
		t.Fatal(err)
	}
	wantLock(t, b, true)
	wantLock(t, a, false)
	if err := Unlock(b); err != nil {
		t.Fatal(err)
	}
}

func TestLock_ClosingFileUnlocks(t *testing.T) {
	a, b := openTwice(t)
	wantLock(t, a, true)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	wantLock(t, b, true)
}

func TestLock_ClosedFileFails(t *testing.T) {
	a, _ := openTwice(t)
	a.Close()
	if err := Lock(t.Context(), a); err == nil {
		t.Error("locked a closed file")
	}
	if err := Unlock(a); err == nil {
		t.Error("unlocked a closed file")
	}
}

func TestLock_WaitsForUnlock(t *testing.T) {
	a, b := openTwice(t)
	wantLock(t, a, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Lock(ctx, b); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	locked := make(chan error)
	go func() { locked <- Lock(t.Context(), b) }()
	if err := Unlock(a); err != nil {
		t.Fatal(err)
	}
	if err := <-locked; err != nil {
		t.Error(err)
	}
	wantLock(t, a, false)
}

func TestQueue_ExcludesOthers(t *testing.T) {
	a, b := openTwice(t)
	q := NewQueue()
	if err := q.Lock(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	wantLock(t, b, false)
	locked := make(chan error)
	go func() { locked <- NewQueue().Lock(t.Context(), b) }()
	if err := Unlock(a); err != nil {
		t.Fatal(err)
	}
	if err := <-locked; err != nil {
		t.Error(err)
	}
	wantLock(t, a, false)
}

// A call whose context is done leaves no lock.
func TestQueue_CanceledCallsReleaseLock(t *testing.T) {
	a, b := openTwice(t)
	wantLock(t, a, true)
	q := NewQueue()
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		waiting, err := os.Open(a.Name())
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Lock(ctx, waiting); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want context.DeadlineExceeded", err)
		}
		cancel()
	}
	if err := Unlock(a); err != nil {
		t.Fatal(err)
	}
	q.waiting <- struct{}{} // when the system call has returned
	<-q.waiting
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := q.Lock(ctx, b); err != nil {
		t.Error(err)
	}
}

// A call after one whose context is done waits for about as many turns of others as any.
func TestQueue_CanceledCallDoesNotStarveNext(t *testing.T) {
	first, _ := openTwice(t)
	open := func() *os.File {
		f, err := os.Open(first.Name())
		if err != nil {
			t.Error(err)
		}
		return f
	}
	var turns atomic.Int64
	var others sync.WaitGroup
	done, stop := context.WithCancel(t.Context())
	for range 4 {
		others.Go(func() {
			for done.Err() == nil {
				f := open()
				if err := waitLock(f); err != nil {
					t.Error(err)
				}
				turns.Add(1)
				time.Sleep(time.Millisecond)
				f.Close()
			}
		})
	}
	for turns.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	q := NewQueue()
	for range 10 {
		canceled, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		f := open()
		if err := q.Lock(canceled, f); err == nil {
			f.Close()
		}
		cancel()
		f = open()
		if err := q.Lock(t.Context(), f); err != nil {
			t.Error(err)
		}
		f.Close()
	}
	stop()
	others.Wait()
	if n := turns.Load(); n > 300 {
		t.Errorf("the lock was acquired %d times by others, and 10 times by the queue", n)
	}
}

func TestQueue_ErrorClosesFile(t *testing.T) {
	a, b := openTwice(t)
	a.Close()
	var path *os.PathError
	if err := NewQueue().Lock(t.Context(), a); !errors.As(err, &path) || path.Path != a.Name() {
		t.Errorf("error %v, want one with the path", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other, _ := openTwice(t)
	if err := NewQueue().Lock(ctx, other); err != nil {
		t.Errorf("a free lock was not acquired: %v", err)
	}
	wantLock(t, b, true)
	waiting, err := os.Open(b.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := NewQueue().Lock(ctx, waiting); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if err := waiting.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file is open: %v", err)
	}
}

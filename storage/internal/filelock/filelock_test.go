package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
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

func wantLock(t *testing.T, try func(*os.File) (bool, error), f *os.File, want bool) {
	t.Helper()
	if ok, err := try(f); ok != want || err != nil {
		t.Errorf("trying to lock: %v, %v, want %v", ok, err, want)
	}
}

func TestTryLock_ExcludesOthers(t *testing.T) {
	for name, way := range map[string]struct {
		try    func(*os.File) (bool, error)
		unlock func(*os.File) error
	}{
		"system":   {func(f *os.File) (bool, error) { return New(f).TryLock() }, func(f *os.File) error { return New(f).Unlock() }},
		"fallback": {tryLockFile, unlockFile},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := openTwice(t)
			wantLock(t, way.try, a, true)
			wantLock(t, way.try, b, false)
			if err := way.unlock(a); err != nil {
				t.Fatal(err)
			}
			wantLock(t, way.try, b, true)
			wantLock(t, way.try, a, false)
			if err := way.unlock(b); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestLock_ClosingFileUnlocks(t *testing.T) {
	a, b := openTwice(t)
	wantLock(t, tryLock, a, true)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	wantLock(t, tryLock, b, true)
}

func TestFallback_StaleLockIsReplaced(t *testing.T) {
	a, b := openTwice(t)
	wantLock(t, tryLockFile, a, true)
	old := time.Now().Add(-2 * staleAfter)
	if err := os.Chtimes(lockFilePath(a), old, old); err != nil {
		t.Fatal(err)
	}
	wantLock(t, tryLockFile, b, true)
	wantLock(t, tryLockFile, a, false)
}

func TestLock_ClosedFileFails(t *testing.T) {
	a, _ := openTwice(t)
	a.Close()
	if ok, err := New(a).TryLock(); ok || err == nil {
		t.Errorf("locked a closed file: %v, %v", ok, err)
	}
	if err := New(a).Unlock(); err == nil {
		t.Error("unlocked a closed file")
	}
}

func TestLock_WaitsForUnlock(t *testing.T) {
	a, b := openTwice(t)
	wantLock(t, tryLock, a, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := New(b).Lock(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	locked := make(chan error)
	go func() { locked <- New(b).Lock(t.Context()) }()
	if err := New(a).Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-locked; err != nil {
		t.Error(err)
	}
	wantLock(t, tryLock, a, false)
}

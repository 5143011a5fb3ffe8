//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filestore_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/filestore"
)

// pipe replaces a file or directory by a named pipe. Opening a pipe blocks until the
// other end is open, so a test hangs if the store opens it.
func pipe(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStore_PipeAsRecordIsCorrupt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	bad := put(t, s, record("key"))
	path := recordFile(t, dir)
	pipe(t, path)
	wantUnreadable(t, s, put(t, s, record("key")), bad, path, storage.ErrCorrupt)
}

func TestStore_PipeAsHintIsIgnored(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	rec := put(t, s, record("key"))
	pipe(t, filepath.Join(dir, "id", rec.ID))
	rec = put(t, s, rec)
	if err := s.Delete(t.Context(), rec.ID, rec.Revision); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Find(t.Context(), "key"); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v after Delete", found, err)
	}

	// The hint of a new record replaces the pipe.
	rec = record("key")
	pipe(t, filepath.Join(dir, "id", rec.ID))
	put(t, s, rec)
	if info, err := os.Lstat(filepath.Join(dir, "id", rec.ID)); err != nil || !info.Mode().IsRegular() {
		t.Errorf("hint is %v, %v, want a regular file", info, err)
	}
}

func TestStore_PipeAsShardFails(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	rec := put(t, s, record("key"))
	shard := filepath.Dir(recordFile(t, dir))
	pipe(t, shard)
	wantError := func(what string, err error) {
		t.Helper()
		var storageErr *storage.Error
		if !errors.As(err, &storageErr) || storageErr.Path != shard || storageErr.ID != "" {
			t.Errorf("%s: error %v, want one that names %s", what, err, shard)
		}
	}
	_, err := s.Find(t.Context(), "key")
	wantError("Find", err)
	for _, err := range s.All(t.Context()) {
		wantError("All", err)
	}
	wantError("Delete", s.Delete(t.Context(), rec.ID, rec.Revision))
	_, err = storage.DeleteExpired(t.Context(), s, rec.Updated)
	wantError("DeleteExpired", err)
	if _, err := s.Put(t.Context(), record("key")); err == nil {
		t.Error("Put into the pipe succeeded")
	}
	// The lock was released.
	put(t, open(t, dir, &filestore.Options{LockTimeout: -1}), record("another key"))
}

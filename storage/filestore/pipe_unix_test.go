//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filestore_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
)

// Opening a pipe waits for somebody to write to it.
func TestPipeInPlaceOfARecordIsCorrupt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	bad := put(t, s, record("key"))
	path := recordFile(t, dir)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	wantUnreadable(t, s, put(t, s, record("key")), bad, path, storage.ErrCorrupt)
}

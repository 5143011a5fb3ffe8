//go:build unix

package tus_test

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
)

// A write through a shared mapping does not change the modification time if the page is
// dirty already.
func TestFile_MappedWriteIsAnError(t *testing.T) {
	for kind, source := range fileKinds() {
		for way, opts := range uploadWays() {
			t.Run(kind+"/"+way, func(t *testing.T) {
				path := fileAt(t, filepath.Join(t.TempDir(), "file"), randomBytes(changingSize))
				f, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				mapped, err := syscall.Mmap(int(f.Fd()), 0, changingSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
				if err != nil {
					t.Skip(err)
				}
				defer syscall.Munmap(mapped)
				for i := 0; i < len(mapped); i += os.Getpagesize() {
					mapped[i]++
					mapped[i]--
				}
				srv, result, err := uploadChanging(t, way, source(t, path), opts, func() error {
					copy(mapped, bytes.Repeat([]byte("x"), changingSize))
					return nil
				})
				wantError(t, err, tus.ErrSourceChanged)
				if up, ok := srv.Upload(result.URL); ok && up.Complete() {
					t.Error("server has a complete upload")
				}
			})
		}
	}
}

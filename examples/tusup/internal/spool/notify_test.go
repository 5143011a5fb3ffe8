package spool_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/link"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/spool"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// newNotifiedSite returns a site that only notifications can be quick for.
func newNotifiedSite(t *testing.T) (*site, chan struct{}) {
	s := newSite(t)
	s.config.ScanOnly, s.config.Scan, s.config.Heartbeat = false, time.Hour, 20*time.Millisecond
	ready := make(chan struct{})
	s.config.Hooks.OnReady = func() { close(ready) }
	return s, ready
}

func (s *site) storedFiles() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.stored)
}

func TestRun_RenameFromTemporaryIsUploadedAtOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no identity on Windows: they settle")
	}
	s, ready := newNotifiedSite(t)
	s.config.Settle = time.Hour
	s.runReal(func() {
		<-ready
		s.write("other", "settles")
		s.write("a.part", "content")
		eventually(t, "the temporary name is seen", func() bool {
			s.write("a.part", "content") // each write is a notification
			time.Sleep(20 * time.Millisecond)
			_ = os.Rename(filepath.Join(s.dir, "a.part"), filepath.Join(s.dir, "a"))
			time.Sleep(200 * time.Millisecond)
			return s.storedFiles() > 0
		})
		s.wantStored("content")
	})
}

func TestRun_NewDirectoryIsWatched(t *testing.T) {
	s, ready := newNotifiedSite(t)
	s.config.Settle = 20 * time.Millisecond
	s.runReal(func() {
		<-ready
		time.Sleep(200 * time.Millisecond) // until the first scan has ended
		s.write("new/early", "early")
		eventually(t, "the first file", func() bool { return s.storedFiles() == 1 })
		s.write("new/late", "late")
		eventually(t, "the second file", func() bool { return s.storedFiles() == 2 })
	})
}

func TestRun_WriteRestartsSettling(t *testing.T) {
	s, ready := newNotifiedSite(t)
	s.config.Settle = time.Second
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	s.runReal(func() {
		<-ready
		s.write("a", "........")
		for i := range 30 { // like a program that reserves the space and sets the time first
			f, err := os.OpenFile(filepath.Join(s.dir, "a"), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.WriteAt([]byte{'x'}, int64(i%8))
			f.Close()
			if err != nil {
				t.Fatal(err)
			}
			s.age("a", old)
			time.Sleep(50 * time.Millisecond)
		}
		s.wantStored()
		eventually(t, "the file", func() bool { return s.storedFiles() > 0 })
		s.wantStored("xxxxxxxx")
	})
}

func TestRun_RemovedFileLeavesQueue(t *testing.T) {
	s, ready := newNotifiedSite(t)
	s.config.Settle = time.Hour
	s.runReal(func() {
		<-ready
		path := s.write("a", "content")
		eventually(t, "the file is seen", func() bool { return s.settling() == 1 })
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the file is forgotten", func() bool { return s.settling() == 0 })
	})
}

// TestRun_TwoProcessesShareFiles runs two spools on one directory and one store.
func TestRun_TwoProcessesShareFiles(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	const files = 40
	first, _ := newNotifiedSite(t)
	first.config.Settle = 10 * time.Millisecond
	first.config.MoveTo = filepath.Join(filepath.Dir(first.dir), "done")
	second := newSite(t)
	hooks := second.config.Hooks
	second.dir, second.config = first.dir, first.config
	second.config.Hooks = hooks
	for _, s := range []*site{first, second} {
		client, err := tus.NewClient(srv.Endpoint(), &tus.Options{Store: store, RememberCompleted: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		s.config.Upload = func(ctx context.Context, f spool.File, _ *link.Link) (*tus.Result, error) {
			return client.Upload(ctx, tus.File(f.In(s.dir)), &tus.UploadOptions{Held: tus.HeldFail, CreationLimit: -1})
		}
	}
	first.runReal(func() {
		second.runReal(func() {
			for _, name := range numberedNames(files) {
				if err := os.Rename(first.write(name+".part", name), filepath.Join(first.dir, name)); err != nil {
					t.Error(err)
				}
				time.Sleep(5 * time.Millisecond)
			}
			eventually(t, "all files are moved", func() bool {
				entries, err := os.ReadDir(first.config.MoveTo)
				return err == nil && len(entries) == files
			})
		})
	})
	stored := map[string]int{}
	for _, up := range srv.Uploads() {
		if up.Complete() {
			stored[string(bytes.Clone(up.Data))]++
		}
	}
	for _, name := range numberedNames(files) {
		if stored[name] != 1 {
			t.Errorf("%s is stored %d times", name, stored[name])
		}
	}
	wantFiles(t, first.dir)
	for _, e := range append(first.ends, second.ends...) {
		if e.Kind == spool.SetAside || e.Kind == spool.Retried || e.Err != nil && e.Kind != spool.Held && e.Kind != spool.Vanished {
			t.Errorf("an attempt ended as %s: %v", e.Kind, e.Err)
		}
	}
}

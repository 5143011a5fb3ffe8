package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/spool"
	"github.com/seed-175555ba/tus-go/tus"
)

func TestRun_KeptFileIsUploadedOnce(t *testing.T) {
	s := newSite(t)
	s.config.Concurrency = 1
	s.write("a", "first")
	s.write("sub/deep/b", "second")
	s.age("a", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	s.run(func() {
		time.Sleep(24 * time.Hour)
		s.wantStored("first", "second")
	})
	wantFiles(t, s.dir, "a=first", "sub/deep/b=second")
}

func TestRun_FileWaitsUntilItSettles(t *testing.T) {
	s := newSite(t)
	s.config.Scan = 2 * time.Second
	s.run(func() {
		content := ""
		for range 10 { // each scan finds another size
			content += "more,"
			s.write("growing", content)
			time.Sleep(3 * time.Second)
		}
		s.wantStored()
		time.Sleep(5 * time.Second)
		s.wantStored(content)
	})
}

func TestRun_SettleIgnoresModificationTime(t *testing.T) {
	s := newSite(t)
	s.config.Concurrency = 1
	for _, name := range []string{"past", "future"} {
		s.write(name, name)
	}
	s.age("past", time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC))
	s.age("future", time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))
	s.run(func() {
		time.Sleep(4 * time.Second)
		s.wantStored()
		time.Sleep(2 * time.Second)
		s.wantStored("past", "future")
	})
}

func TestRun_TemporaryNamesAreNotUploaded(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"a.part", "b.tmp", "c.crdownload", "D.PART", ".hidden", ".dir/e", "dir.tmp/f", ".failed/g"} {
		s.write(name, name)
	}
	s.write("parts", "complete")
	s.run(func() {
		time.Sleep(time.Hour)
		s.wantStored("complete")
	})
}

func TestRun_OrderOfFiles(t *testing.T) {
	for order, want := range map[spool.Order][]string{
		spool.OldestFirst:   {"333", "1", "22"},
		spool.SmallestFirst: {"1", "22", "333"},
		spool.ByName:        {"22", "333", "1"},
	} {
		s := newSite(t)
		s.config.Order, s.config.Concurrency = order, 1
		s.write("a", "22")
		s.write("b", "333")
		s.write("c", "1")
		for i, name := range []string{"b", "c", "a"} {
			s.age(name, time.Date(2020, 1, 1+i, 0, 0, 0, 0, time.UTC))
		}
		s.run(func() {
			time.Sleep(time.Minute)
			s.wantStored(want...)
		})
	}
}

func TestRun_ConcurrencyIsBounded(t *testing.T) {
	s := newSite(t)
	s.config.Concurrency = 3
	for _, name := range numberedNames(50) {
		s.write(name, name)
	}
	s.run(func() { time.Sleep(time.Minute) })
	if len(s.stored) != 50 || s.most != 3 {
		t.Errorf("stored %d files, %d at once", len(s.stored), s.most)
	}
}

func TestRun_ChangedFileIsUploadedAgain(t *testing.T) {
	s := newSite(t)
	s.write("a", "old")
	s.run(func() {
		time.Sleep(time.Minute)
		s.write("a", "newer")
		time.Sleep(time.Minute)
		s.wantStored("old", "newer")
	})
}

func TestRun_ChangeDuringUploadIsNoFailure(t *testing.T) {
	s := newSite(t)
	s.config.GiveUp = 1
	s.config.Delete = true
	s.write("a", "old")
	changed := false
	s.respond = func(spool.File) error {
		if changed {
			return nil
		}
		changed = true
		s.write("a", "newer")
		return tus.ErrSourceChanged
	}
	s.run(func() { time.Sleep(time.Minute) })
	s.wantStored("newer")
	wantFiles(t, s.dir)
	if got := s.kinds("a"); !slices.Equal(got, []spool.Kind{spool.Changed, spool.Uploaded}) {
		t.Errorf("attempts ended with %q", got)
	}
}

func TestRun_ChangedFileIsNotDeleted(t *testing.T) {
	s := newSite(t)
	s.config.Delete = true
	s.write("a", "old")
	first := true
	s.during = func(spool.File) {
		if first { // after the last byte was read
			first = false
			s.write("a", "newer")
		}
	}
	s.run(func() {
		time.Sleep(8 * time.Second)
		wantFiles(t, s.dir, "a=newer")
		time.Sleep(time.Minute)
		wantFiles(t, s.dir)
	})
	s.wantStored("old", "newer")
}

func TestRun_VanishedFileIsNoFailure(t *testing.T) {
	for name, err := range map[string]error{"failed": os.ErrNotExist, "complete": nil} {
		s := newSite(t)
		s.config.Delete = err == nil
		s.write("a", "content")
		s.respond = func(f spool.File) error {
			if err := os.Remove(f.In(s.dir)); err != nil {
				t.Error(err)
			}
			return err
		}
		s.run(func() { time.Sleep(time.Hour) })
		if s.count() != 1 || len(s.ends) != 1 || s.ends[0].Kind == spool.Uploaded && s.ends[0].Err != nil {
			t.Errorf("%s: %d attempts, ends %+v", name, s.count(), s.ends)
		}
		wantFiles(t, s.dir)
	}
}

func TestRun_HeldFileWaits(t *testing.T) {
	s := newSite(t)
	s.config.GiveUp = 1
	s.write("a", "content")
	held := true
	s.respond = func(spool.File) error {
		if held {
			return &tus.HeldError{}
		}
		return nil
	}
	s.run(func() {
		time.Sleep(time.Hour)
		s.locked(func() { held = false })
		time.Sleep(20 * time.Second)
		s.wantStored("content")
	})
	if n := s.count(); n < 100 || n > 300 {
		t.Errorf("%d attempts in an hour", n)
	}
}

func TestRun_LinksAreFollowedOnRequest(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links require a privilege on Windows")
	}
	for _, follow := range []bool{false, true} {
		s := newSite(t)
		s.config.Follow, s.config.Delete = follow, true
		outside := filepath.Join(t.TempDir(), "target")
		if err := os.WriteFile(outside, []byte("content"), 0o644); err != nil {
			t.Fatal(err)
		}
		for name, target := range map[string]string{"file": outside, "loop": s.dir, "broken": "nowhere"} {
			if err := os.Symlink(target, filepath.Join(s.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		s.run(func() { time.Sleep(time.Hour) })
		if follow {
			s.wantStored("content")
		} else {
			s.wantStored()
		}
		if n := s.logged("symbolic links are not uploaded"); n != 1 {
			t.Errorf("follow %v: links were logged %d times", follow, n)
		}
		if _, err := os.Lstat(filepath.Join(s.dir, "file")); os.IsNotExist(err) != follow {
			t.Errorf("follow %v: the link: %v", follow, err)
		}
		if _, err := os.Stat(outside); err != nil {
			t.Errorf("follow %v: the file outside of the spool: %v", follow, err)
		}
	}
}

func TestRun_LinkInPlaceOfDirectoryIsNotFollowed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links require a privilege on Windows")
	}
	for _, wait := range []time.Duration{time.Second, time.Minute} { // before and after the upload
		s := newSite(t)
		s.config.Delete, s.config.Follow = true, true
		outside := t.TempDir()
		for _, name := range []string{"a", "b"} {
			if err := os.WriteFile(filepath.Join(outside, name), []byte("not of the spool"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s.write("sub/a", "content")
		s.run(func() {
			time.Sleep(wait)
			sub := filepath.Join(s.dir, "sub")
			if err := errors.Join(os.RemoveAll(sub), os.Symlink(outside, sub)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		})
		wantFiles(t, outside, "a=not of the spool", "b=not of the spool")
		if slices.Contains(s.stored, "not of the spool") {
			t.Errorf("stored %q", s.stored)
		}
	}
}

func TestRun_TargetIsExcludedByAnyName(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links require a privilege on Windows")
	}
	s := newSite(t)
	other := filepath.Join(filepath.Dir(s.dir), "other") // as a mount, or a name in other case
	s.config.MoveTo = filepath.Join(other, "done")
	if err := errors.Join(os.Symlink(s.dir, other), os.Mkdir(s.config.MoveTo, 0o755)); err != nil {
		t.Fatal(err)
	}
	s.write("a", "content")
	s.run(func() { time.Sleep(time.Hour) })
	s.wantStored("content")
	wantFiles(t, s.dir, "done/a=content")
}

func TestRun_FileChangedInQueueSettlesFirst(t *testing.T) {
	s := newSite(t)
	s.config.Concurrency, s.config.Order = 1, spool.ByName
	s.config.Scan = time.Hour
	s.write("a", "first")
	s.write("b", "old")
	s.during = func(f spool.File) {
		if f.Name == "a" {
			s.write("b", "newer")
		}
	}
	s.run(func() {
		time.Sleep(8 * time.Second)
		s.wantStored("first")
		time.Sleep(time.Minute)
		s.wantStored("first", "newer")
	})
	if got := s.kinds("b"); !slices.Equal(got, []spool.Kind{spool.Uploaded}) {
		t.Errorf("attempts ended with %q", got)
	}
}

func TestRun_DirectoryReturnsAfterItsRemoval(t *testing.T) {
	s := newSite(t)
	s.write("a", "before")
	s.run(func() {
		time.Sleep(time.Minute)
		if err := os.RemoveAll(s.dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		s.write("b", "after")
		time.Sleep(time.Minute)
		s.wantStored("before", "after")
	})
	if n := s.logged("no such file"); n > 1 {
		t.Errorf("the missing directory was logged %d times", n)
	}
}

func TestRun_ScanForgetsRemovedFile(t *testing.T) {
	s := newSite(t)
	s.config.Settle = 24 * time.Hour
	path := s.write("a", "content")
	s.run(func() {
		time.Sleep(2 * time.Minute)
		before := s.settling()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if after := s.settling(); before != 1 || after != 0 {
			t.Errorf("%d files settled before the removal, %d after it", before, after)
		}
	})
}

func TestRun_StatusCountsFiles(t *testing.T) {
	s := newSite(t)
	s.respond = func(f spool.File) error {
		if f.Name == "b" {
			return networkError()
		}
		return nil
	}
	s.write("a", "stored")
	s.write("b", "waits")
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	s.age("a", old)
	s.age("b", old.Add(time.Hour))
	s.run(func() { time.Sleep(time.Hour) })
	if s.status.Waiting+s.status.InFlight != 1 || !s.status.Oldest.Equal(old.Add(time.Hour)) || s.status.Down == "" {
		t.Errorf("status is %+v", s.status)
	}
}

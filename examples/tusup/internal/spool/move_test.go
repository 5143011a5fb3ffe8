package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// writer writes a file of a directory.
type writer func(name, content string) File

// newMover returns a mover of a new directory, another directory, and a function that
// writes a file of the first.
func newMover(t *testing.T) (m *mover, target string, write writer) {
	t.Helper()
	dir := t.TempDir()
	m = &mover{scan: &scanner{dir: filepath.Join(dir, "spool")}, link: os.Link, rename: os.Rename}
	write = func(name, content string) File {
		t.Helper()
		writeFile(t, filepath.Join(m.scan.dir, name), content)
		return m.scan.look(name).file
	}
	return m, filepath.Join(dir, "done"), write
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
}

// wantContents fails unless a directory has exactly these files, as NAME=CONTENT.
func wantContents(t *testing.T, dir string, want ...string) {
	t.Helper()
	var got []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			data, _ := os.ReadFile(path)
			name, _ := filepath.Rel(dir, path)
			got = append(got, filepath.ToSlash(name)+"="+string(data))
		}
		return nil
	})
	if !slices.Equal(got, want) {
		t.Errorf("%s has %q, want %q", filepath.Base(dir), got, want)
	}
}

// fileSystems returns how files can be moved: by a link, by a rename, and by a copy.
func fileSystems() map[string]func(m *mover) {
	fails := func(errno syscall.Errno) func(string, string) error {
		return func(from, to string) error {
			if filepath.Dir(from) == filepath.Dir(to) {
				return os.Rename(from, to) // of the temporary file
			}
			return &os.LinkError{Op: "rename", Old: from, New: to, Err: errno}
		}
	}
	return map[string]func(*mover){
		"link":   func(*mover) {},
		"rename": func(m *mover) { m.link = fails(syscall.EPERM) },
		"copy": func(m *mover) {
			m.link = func(string, string) error { return syscall.EXDEV }
			m.rename = fails(syscall.EXDEV)
		},
	}
}

// eachFileSystem runs a test for each way to move a file.
func eachFileSystem(t *testing.T, test func(t *testing.T, m *mover, target string, write writer)) {
	for name, use := range fileSystems() {
		t.Run(name, func(t *testing.T) {
			m, target, write := newMover(t)
			use(m)
			test(t, m, target, write)
		})
	}
}

func TestMove_NeverOverwrites(t *testing.T) {
	eachFileSystem(t, func(t *testing.T, m *mover, target string, write writer) {
		for i := range 3 {
			path, err := m.move(t.Context(), write("sub/a.tar.gz", fmt.Sprint("version ", i)), target)
			if err != nil || filepath.Dir(path) != filepath.Join(target, "sub") {
				t.Fatalf("moved to %s, %v", path, err)
			}
		}
		wantContents(t, target, "sub/a.tar.1.gz=version 1", "sub/a.tar.2.gz=version 2", "sub/a.tar.gz=version 0")
		wantContents(t, m.scan.dir)
	})
}

func TestMove_KeepsModeAndTime(t *testing.T) {
	eachFileSystem(t, func(t *testing.T, m *mover, target string, write writer) {
		write("a", "content")
		old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		if err := os.Chtimes(filepath.Join(m.scan.dir, "a"), old, old); err != nil {
			t.Fatal(err)
		}
		before, err := os.Stat(filepath.Join(m.scan.dir, "a"))
		if err != nil {
			t.Fatal(err)
		}
		path, err := m.move(t.Context(), m.scan.look("a").file, target)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || !info.ModTime().Equal(old) || info.Mode() != before.Mode() {
			t.Errorf("moved file has %v, %v", info, err)
		}
	})
}

func TestMove_AfterCrashIsCompleted(t *testing.T) {
	for name, use := range fileSystems() {
		t.Run(name, func(t *testing.T) {
			m, target, write := newMover(t)
			use(m)
			f := write("a", "content")
			if err := os.MkdirAll(target, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := m.place(t.Context(), f, filepath.Join(target, "a")); err != nil { // and no removal
				t.Fatal(err)
			}
			if name == "rename" {
				return // is atomic
			}
			if path, err := m.move(t.Context(), f, target); err != nil || path != filepath.Join(target, "a") {
				t.Errorf("moved to %s, %v", path, err)
			}
			wantContents(t, target, "a=content")
			wantContents(t, m.scan.dir)
		})
	}
}

func TestMove_OtherVersionStays(t *testing.T) {
	m, target, write := newMover(t)
	f := write("a", "uploaded")
	write("a", "something else")
	if _, err := m.move(t.Context(), f, target); !errors.Is(err, errChanged) {
		t.Errorf("move: %v", err)
	}
	if err := m.remove(f); !errors.Is(err, errChanged) {
		t.Errorf("remove: %v", err)
	}
	wantContents(t, m.scan.dir, "a=something else")
	if err := os.Remove(filepath.Join(m.scan.dir, "a")); err != nil {
		t.Fatal(err)
	}
	if _, err := m.move(t.Context(), f, target); !errors.Is(err, errVanished) {
		t.Errorf("move of a missing file: %v", err)
	}
	wantContents(t, target)
}

func TestMove_UnreadableFileIsNotCalledChanged(t *testing.T) {
	m, target, write := newMover(t)
	write("file", "content")
	m.scan.follow = true
	link := filepath.Join(m.scan.dir, "link")
	if err := os.Symlink("file", link); err != nil {
		t.Skip(err)
	}
	f := m.scan.look("link").file
	if err := errors.Join(os.Remove(link), os.Symlink("link", link)); err != nil { // a loop
		t.Fatal(err)
	}
	_, err := m.move(t.Context(), f, target)
	if err == nil || errors.Is(err, errChanged) || errors.Is(err, errVanished) {
		t.Errorf("move: %v", err)
	}
}

func TestMove_ReplacementDuringMoveStays(t *testing.T) {
	eachFileSystem(t, func(t *testing.T, m *mover, target string, write writer) {
		f := write("a", "uploaded")
		link := m.link
		m.link = func(from, to string) error { // just before the file is linked or copied
			m.link = link
			write("a", "something else")
			return link(from, to)
		}
		if _, err := m.move(t.Context(), f, target); !errors.Is(err, errChanged) {
			t.Errorf("move: %v", err)
		}
		wantContents(t, m.scan.dir, "a=something else")
		wantContents(t, target)
	})
}

func TestMove_FullDiskLeavesFile(t *testing.T) {
	m, target, write := newMover(t)
	m.link = func(string, string) error { return syscall.EXDEV }
	m.rename = func(string, string) error { return syscall.ENOSPC }
	if _, err := m.move(t.Context(), write("a", "content"), target); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("move: %v", err)
	}
	wantContents(t, m.scan.dir, "a=content")
	wantContents(t, target)
}

func TestMove_ToItsOwnDirectoryKeepsFile(t *testing.T) {
	eachFileSystem(t, func(t *testing.T, m *mover, target string, write writer) {
		f := write("a", "content")
		if err := os.Symlink(m.scan.dir, target); err != nil {
			t.Skip(err)
		}
		if path, err := m.move(t.Context(), f, target); err == nil {
			t.Errorf("moved to %s", path)
		}
		wantContents(t, m.scan.dir, "a=content")
	})
}

func TestMove_LinkWithItsNameIsNoCopy(t *testing.T) {
	eachFileSystem(t, func(t *testing.T, m *mover, target string, write writer) {
		f := write("a", "content")
		if err := os.MkdirAll(target, 0o755); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(target, "a")
		if err := os.Symlink(filepath.Join(m.scan.dir, "a"), link); err != nil {
			t.Skip(err)
		}
		if path, err := m.move(t.Context(), f, target); err != nil || path != numbered(link, 1) {
			t.Fatalf("moved to %s, %v", path, err)
		}
		if data, err := os.ReadFile(numbered(link, 1)); string(data) != "content" {
			t.Errorf("moved file has %q, %v", data, err)
		}
	})
}

func TestMove_OfLinkAfterCrashIsCompleted(t *testing.T) {
	m, target, write := newMover(t)
	write("sub/file", "content")
	m.scan.follow = true
	if err := os.Symlink("sub/file", filepath.Join(m.scan.dir, "a")); err != nil {
		t.Skip(err)
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		t.Fatal(err)
	}
	f := m.scan.look("a").file
	if err := m.place(t.Context(), f, filepath.Join(target, "a")); err != nil { // and no removal
		t.Fatal(err)
	}
	if path, err := m.move(t.Context(), f, target); err != nil || path != filepath.Join(target, "a") {
		t.Errorf("moved to %s, %v", path, err)
	}
	wantContents(t, target, "a=content")
	wantContents(t, m.scan.dir, "sub/file=content")
}

func TestSetAside_ReasonOverwritesNoFile(t *testing.T) {
	m, target, write := newMover(t)
	d := &disposal{mover: m, failedTo: target}
	writeFile(t, filepath.Join(target, "a.reason.txt"), "a file of the spool")
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	path, err := d.setAside(t.Context(), write("a", "content"), reason{at: at, attempts: 3, err: errors.New("refused")})
	if err != nil || path != filepath.Join(target, "a") {
		t.Fatalf("set aside as %s, %v", path, err)
	}
	wantContents(t, target, "a=content",
		"a.reason.1.txt=file: a\ntime: 2026-11-30T12:00:00Z\nattempts: 3\nerror: refused\n", "a.reason.txt=a file of the spool")
}

func TestTemporaries_InodeOfRemovedFileIsForgotten(t *testing.T) {
	temporary, id := newTemporaries(), someIdentity(t)
	temporary.saw("a.part", id)
	temporary.lost("a.part", false)
	if temporary.gained(File{Name: "b", id: id}) {
		t.Error("another file with the inode of a removed one does not settle")
	}
	temporary.saw("a.part", id)
	temporary.lost("a.part", true)
	if !temporary.gained(File{Name: "a", id: id}) || temporary.gained(File{Name: "b", id: id}) {
		t.Error("exactly one new name is settled")
	}
}

func TestTemporaries_RenameIsForgotten(t *testing.T) {
	id := someIdentity(t)
	synctest.Test(t, func(t *testing.T) {
		temporary := newTemporaries()
		temporary.saw("a.part", id)
		temporary.lost("a.part", true) // to another directory, and removed there
		time.Sleep(2 * time.Second)
		if temporary.gained(File{Name: "b", id: id}) {
			t.Error("a new file with the inode of a removed one does not settle")
		}
	})
}

func TestTemporaries_ManyLostNamesAreForgotten(t *testing.T) {
	id := someIdentity(t)
	temporary := newTemporaries()
	for i := range 2 * maxTemporaries { // without notifications of their ends
		temporary.saw(fmt.Sprint(i, ".part"), id)
	}
	temporary.saw("a.part", id)
	temporary.lost("a.part", true)
	if !temporary.gained(File{Name: "a", id: id}) || len(temporary.named) > maxTemporaries {
		t.Errorf("%d names are remembered", len(temporary.named))
	}
}

func TestWalk_OneAtATime(t *testing.T) {
	m, _, write := newMover(t)
	for _, name := range []string{"a/1", "b/2", "c/3"} {
		write(name, name)
	}
	s := newSpool(Config{Dir: m.scan.dir, ScanOnly: true})
	s.notifier = newNotifier(s.Config)
	s.walk(t.Context(), "a")
	s.walk(t.Context(), "b")
	if !slices.Equal(s.pending, []string{"b"}) {
		t.Errorf("pending are %q", s.pending)
	}
	s.walk(t.Context(), ".") // includes b
	s.walk(t.Context(), "c")
	var walks []bool
	for s.walking {
		select {
		case batch := <-s.found:
			for _, found := range batch {
				s.observe(found, false)
			}
		case end := <-s.ended:
			walks = append(walks, end.all)
			s.walked(t.Context(), end)
		}
	}
	if !slices.Equal(walks, []bool{false, true}) || len(s.queue.entries) != 3 {
		t.Errorf("walks of the whole directory: %v, files %v", walks, s.queue.entries)
	}
}

// someIdentity returns the identity of a file. It skips a test on systems that have none.
func someIdentity(t *testing.T) identity {
	t.Helper()
	info, err := os.Stat(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	id := identityOf(info)
	if id == (identity{}) {
		t.Skip("files have no identity")
	}
	return id
}

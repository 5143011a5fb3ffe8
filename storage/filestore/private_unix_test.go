//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filestore_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/filestore"
)

func TestOpen_AccessibleDirectoryBecomesPrivate(t *testing.T) {
	for _, mode := range []fs.FileMode{0o777, 0o755, 0o750} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		for session := range 2 {
			var warnings []error
			put(t, open(t, dir, &filestore.Options{OnWarning: func(err error) { warnings = append(warnings, err) }}), record("key"))
			info, err := os.Stat(dir)
			if err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("mode %v was %v, %v", mode, info.Mode(), err)
			}
			if want := 1 - session; len(warnings) != want || want > 0 && !strings.Contains(warnings[0].Error(), dir) {
				t.Errorf("session %d: warnings are %v", session, warnings)
			}
		}
	}
}

// Open must not change the mode of a home or temporary directory.
func TestOpen_DirectoryWithOtherFilesKeepsMode(t *testing.T) {
	for mode, warns := range map[fs.FileMode]int{0o755: 0, 0o775: 1, 0o777 | fs.ModeSticky: 1} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "notes.txt"), "of the user")
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		var warnings []error
		put(t, open(t, dir, &filestore.Options{OnWarning: func(err error) { warnings = append(warnings, err) }}), record("key"))
		info, err := os.Stat(dir)
		if err != nil || info.Mode() != mode|fs.ModeDir || len(warnings) != warns {
			t.Errorf("mode %v is %v, %v, warnings are %v", mode, info.Mode(), err, warnings)
		}
	}
}

func TestOpen_AccessibleDirectoryOfOtherUserFails(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change the owner of a directory")
	}
	dir := t.TempDir()
	if err := errors.Join(os.Chown(dir, 12345, 12345), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := filestore.Open(dir, nil); err == nil || !strings.Contains(err.Error(), dir+": belongs to another user and has mode 0755") {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("the directory was used: %v, %v", left, err)
	}
}

// The store does not follow symbolic links that replace its files and directories.
func TestStore_SymlinkInDirectoryFails(t *testing.T) {
	link := func(to string) func(string) error { return func(at string) error { return os.Symlink(to, at) } }
	outside := t.TempDir()
	old := filepath.Join(outside, "old")
	write(t, old, "of another user")
	target := filepath.Join(outside, "target")
	for name, test := range map[string]struct {
		path string
		make func(path string) error
	}{
		"tmp is a link":           {"tmp", link(outside)},
		"tmp is a file":           {"tmp", func(at string) error { return os.WriteFile(at, nil, 0o600) }},
		"id is a link":            {"id", link(outside)},
		"lock is a link":          {"lock", link(old)},
		"lock is a dangling link": {"lock", link(target)},
		"lock is a directory":     {"lock", func(at string) error { return os.Mkdir(at, 0o700) }},
		"lock is a pipe":          {"lock", func(at string) error { return syscall.Mkfifo(at, 0o600) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, test.path)
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			_, err := filestore.Open(dir, nil)
			var storageErr *storage.Error
			if !errors.Is(err, storage.ErrCorrupt) || !errors.As(err, &storageErr) || storageErr.Path != path {
				t.Errorf("Open: %v", err)
			}

			// A link that appears while the store is open is an error as well.
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir, nil)
			if err := errors.Join(os.RemoveAll(path), test.make(path)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Put(t.Context(), record("key")); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("Put: %v", err)
			}
		})
	}
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was created through a link: %v", err)
	}
	if left, err := os.ReadDir(outside); len(left) != 1 || err != nil {
		t.Errorf("files outside: %v, %v", left, err)
	}
}

func TestStore_SymlinkAsShardFails(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	put(t, s, record("key"))
	shard := filepath.Dir(recordFile(t, dir))
	moved := filepath.Join(t.TempDir(), "shard")
	if err := errors.Join(os.Rename(shard, moved), os.Symlink(moved, shard)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), "key"); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("Find: %v", err)
	}
	if _, err := s.Put(t.Context(), record("key")); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("Put: %v", err)
	}
}

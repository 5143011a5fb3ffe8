package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

var (
	// errChanged is returned when a file is no longer the one that was uploaded.
	errChanged = errors.New("file changed")
	// errVanished is returned when a file is gone, possibly moved by another process.
	errVanished = errors.New("file is gone")
)

// mover moves files of a directory.
type mover struct {
	scan *scanner
	// link is os.Link, which fails across file systems and on some that have no links.
	link func(from, to string) error
	// rename is os.Rename, which fails across file systems.
	rename func(from, to string) error
}

// check returns an error unless f is still in the directory: errChanged, errVanished, or why
// that is unknown.
func (m *mover) check(f File) error {
	switch now := m.scan.look(f.Name); {
	case now.kind == gone:
		return errVanished
	case now.kind == unknown:
		return now.err
	case now.kind != regularFile || !now.file.equal(f):
		return errChanged
	}
	return nil
}

// remove deletes f.
func (m *mover) remove(f File) error {
	if err := m.check(f); err != nil {
		return err
	}
	return notVanished(os.Remove(f.In(m.scan.dir)))
}

// move moves f to the directory target and returns its new path. It never overwrites: if
// another file has the name, f gets a numbered one, and if a file with the same content has
// it, f is deleted.
func (m *mover) move(ctx context.Context, f File, target string) (string, error) {
	if err := m.check(f); err != nil {
		return "", err
	}
	from, to := f.In(m.scan.dir), f.In(target)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return "", err
	}
	if err := distinct(filepath.Dir(from), filepath.Dir(to)); err != nil {
		return "", err
	}
	for n := 0; ; n++ {
		path := numbered(to, n)
		err := m.place(ctx, f, path)
		if errors.Is(err, fs.ErrExist) {
			same, err := sameContent(ctx, from, path)
			if err != nil {
				return "", notVanished(err)
			}
			if !same {
				continue
			}
		} else if err != nil {
			return "", notVanished(err)
		}
		// A crash before the removal leaves both. The next move then finds the same content.
		if err := m.remove(f); err != nil && !errors.Is(err, errVanished) {
			return "", err
		}
		return path, nil
	}
}

// distinct returns an error if two paths are of one directory: a file that is moved there
// would be found as its own copy, and deleted.
func distinct(a, b string) error {
	first, err := os.Stat(a)
	if err != nil {
		return notVanished(err)
	}
	second, err := os.Stat(b)
	if err == nil && os.SameFile(first, second) {
		err = fmt.Errorf("%s and %s are the same directory", a, b)
	}
	return err
}

// place makes f available at path. f may remain where it was.
func (m *mover) place(ctx context.Context, f File, path string) error {
	from := f.In(m.scan.dir)
	if f.link {
		return copyLink(from, path)
	}
	err := m.install(from, path)
	switch {
	case err == nil:
		return m.confirm(f, path)
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		return err
	}
	return m.copy(ctx, f, path)
}

// confirm returns errChanged if another version of f got to path, and takes it back.
func (m *mover) confirm(f File, path string) error {
	from := f.In(m.scan.dir)
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if f.equal(File{Name: f.Name, Size: info.Size(), ModTime: info.ModTime(), id: identityOf(info)}) {
		return nil
	}
	if now, err := os.Lstat(from); err == nil && os.SameFile(info, now) { // a link
		return errors.Join(errChanged, os.Remove(path))
	}
	if err := m.install(path, from); err != nil {
		return fmt.Errorf("%s was moved but not uploaded: %w", path, err)
	}
	return errChanged
}

// install links or renames a file to a path that does not exist.
func (m *mover) install(from, to string) error {
	err := m.link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	return m.rename(from, to)
}

// copy copies f to path, through a temporary file that becomes path when it is durable.
func (m *mover) copy(ctx context.Context, f File, path string) error {
	source, err := os.Open(f.In(m.scan.dir))
	if err != nil {
		return err
	}
	defer source.Close()
	temporary, err := os.CreateTemp(filepath.Dir(path), ".tusup-*.part")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	defer temporary.Close()
	if _, err := io.Copy(temporary, contextReader{ctx, source}); err != nil {
		return err
	}
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if err := errors.Join(temporary.Chmod(info.Mode().Perm()), temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	if err := errors.Join(os.Chtimes(temporary.Name(), f.ModTime, f.ModTime), m.check(f)); err != nil {
		return err
	}
	if err := m.install(temporary.Name(), path); err != nil {
		return err
	}
	syncDirectory(filepath.Dir(path))
	return nil
}

// copyLink makes path a symbolic link to the file to which from points.
func copyLink(from, path string) error {
	file, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	return os.Symlink(file, path)
}

// syncDirectory makes a new name durable where the system has a way to do so.
func syncDirectory(path string) {
	if dir, err := os.Open(path); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
}

// numbered returns path for 0, and otherwise path with a number before its extension.
func numbered(path string, n int) string {
	if n == 0 {
		return path
	}
	extension := filepath.Ext(path)
	return fmt.Sprintf("%s.%d%s", strings.TrimSuffix(path, extension), n, extension)
}

// sameContent reports whether two paths have regular files with the same bytes, or are links
// to the same file.
func sameContent(ctx context.Context, a, b string) (bool, error) {
	first, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	second, err := os.Lstat(b)
	switch {
	case err != nil:
		return false, err
	case second.Mode()&fs.ModeSymlink != 0:
		return sameLink(a, b)
	case os.SameFile(first, second):
		return true, nil
	case !second.Mode().IsRegular() || first.Size() != second.Size():
		return false, nil
	}
	left, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer left.Close()
	right, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer right.Close()
	return equalReaders(contextReader{ctx, left}, right)
}

// sameLink reports whether a and the symbolic link b are links to the same file. If a is a
// file, it must not be removed for a link, which may be one to a.
func sameLink(a, b string) (bool, error) {
	link, err := os.Lstat(a)
	if err != nil || link.Mode()&fs.ModeSymlink == 0 {
		return false, err
	}
	file, err := filepath.EvalSymlinks(a)
	if err != nil {
		return false, err
	}
	target, err := os.Readlink(b)
	return target == file, err
}

// equalReaders reports whether two readers return the same bytes.
func equalReaders(a, b io.Reader) (bool, error) {
	const block = 64 << 10
	left, right := make([]byte, block), make([]byte, block)
	for {
		n, err := io.ReadFull(a, left)
		m, otherErr := io.ReadFull(b, right)
		if err := errors.Join(unexpected(err), unexpected(otherErr)); err != nil {
			return false, err
		}
		if !bytes.Equal(left[:n], right[:m]) {
			return false, nil
		}
		if n < block {
			return true, nil
		}
	}
}

// unexpected returns err unless it is the end of a file.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// notVanished returns errVanished for a file that does not exist.
func notVanished(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errVanished, err)
	}
	return err
}

// contextReader returns the error of a context once it ends.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(data []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(data)
}

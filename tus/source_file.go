package tus

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
)

// File returns a Source that reads the regular file at path. A relative path is made
// absolute at once. The file is opened for each request and closed after it, except that
// a file of at most 64 KiB that is sent in the request that creates its upload is read once,
// at the start, and sent as it was then.
//
// The upload fails with an error matching [ErrSourceChanged] if the size or the
// modification time changes. If only the inode or the ctime differs, and once at the
// end of the upload, a sample of the content, at most 1 MiB, is compared with the
// first one. A chmod, a new hard link or an identical copy in its place therefore does
// not fail the upload. A write that leaves the modification time unchanged, such as
// one whose time was set back or some through a shared mapping, is detected only in
// the sample.
func File(path string) Source { return newFileSource(absolutePath(path), nil) }

// OpenedFile returns a Source that reads the regular file f, with the checks of
// [File]. f must stay open during the upload, and is not closed. Its offset is neither
// used nor changed.
func OpenedFile(f *os.File) Source {
	if f == nil {
		return ReaderAt(nil, 0) // Stat returns an error
	}
	return newFileSource(absolutePath(f.Name()), f)
}

func newFileSource(path string, opened *os.File) *fileSource {
	return &fileSource{path: path, opened: opened, changeDetector: changeDetector{name: path}}
}

// fileSource reads a file of the operating system.
type fileSource struct {
	path   string   // absolute, if the working directory is known
	opened *os.File // owned by the caller; nil for File
	changeDetector
	// identity is path with symbolic links resolved by the first Stat.
	identity atomic.Pointer[string]
}

func (s *fileSource) Stat(ctx context.Context) (SourceInfo, error) {
	if err := s.look(ctx, false); err != nil {
		return SourceInfo{}, err
	}
	if s.identity.Load() == nil {
		identity := resolvedPath(s.path)
		s.identity.CompareAndSwap(nil, &identity)
	}
	first := s.first.Load()
	return SourceInfo{Name: filepath.Base(s.path), Identity: *s.identity.Load(), Size: first.size, ModTime: first.modTime}, nil
}

// verifyContent implements contentVerifier.
func (s *fileSource) verifyContent(ctx context.Context) error { return s.look(ctx, true) }

// look compares the file with its first snapshot; deep includes the sample.
func (s *fileSource) look(ctx context.Context, deep bool) error {
	info, err := s.stat()
	if err != nil {
		return err
	}
	return s.changeDetector.look(ctx, info, deep, func() (fs.File, func(), error) {
		if s.opened != nil {
			return s.opened, func() {}, nil
		}
		f, err := os.Open(s.path)
		if err != nil {
			return nil, nil, err
		}
		return f, func() { f.Close() }, nil
	})
}

func (s *fileSource) stat() (fs.FileInfo, error) {
	if s.opened != nil {
		return s.opened.Stat()
	}
	return os.Stat(s.path)
}

// absolutePath returns path as an absolute path, or unchanged if that fails.
func absolutePath(path string) string {
	if whole, err := filepath.Abs(path); err == nil && path != "" {
		return whole
	}
	return path
}

// resolvedPath returns path with symbolic links resolved, so that a link to another
// file in the next session is another source.
func resolvedPath(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	return path
}

func (s *fileSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if s.opened != nil {
		return s.openAgain(ctx, offset)
	}
	// An open would block on a pipe that took the file's name.
	info, err := os.Stat(s.path)
	if err != nil {
		return nil, err
	}
	if err := s.regular(info); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	return s.positioned(ctx, f, offset)
}

// openAgain opens the caller's file by name if that still names the same file, and
// reads through the caller's handle otherwise.
func (s *fileSource) openAgain(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if err := s.look(ctx, false); err != nil {
		return nil, err
	}
	is, err := s.opened.Stat()
	if err != nil {
		return nil, err
	}
	if f := openSame(s.path, is); f != nil {
		if r, err := s.positioned(ctx, f, offset); err == nil {
			return r, nil
		}
	}
	return io.NopCloser(io.NewSectionReader(s.opened, offset, s.first.Load().size-offset)), nil
}

// openSame opens path if it names the file is, and returns nil otherwise.
func openSame(path string, is fs.FileInfo) *os.File {
	if named, err := os.Stat(path); err != nil || !os.SameFile(named, is) { // an open would block on a pipe
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	if opened, err := f.Stat(); err != nil || !os.SameFile(opened, is) {
		f.Close()
		return nil
	}
	return f
}

// positioned checks f and seeks to offset. It closes f if it returns an error.
func (s *fileSource) positioned(ctx context.Context, f *os.File, offset int64) (io.ReadCloser, error) {
	err := s.check(ctx, f, false)
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

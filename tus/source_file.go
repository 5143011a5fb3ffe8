package tus

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
)

// File is the regular file at path. A relative path is made absolute at once. The
// file is opened anew for each request, so no handle stays open between requests.
//
// Each time the file must still have the same size and modification time. Where its
// inode or the time of its last change (ctime) differs, and once at the end of the
// upload, a sample of its content, at most 1 MiB, is compared with the one that the
// first look took: a chmod, a hard link or an equal copy that takes the file's place
// does not end an upload, but a write whose modification time was set back does. A
// write through a shared mapping that moves no time, or one with its time set back, is
// not detected where it lies outside the sample.
func File(path string) Source { return newFileSource(absolutePath(path), nil) }

// OpenedFile is a regular file that the caller has open, with the checks of [File].
// The caller keeps ownership: f must stay open during the upload, and its offset is
// neither used nor changed.
func OpenedFile(f *os.File) Source {
	if f == nil {
		return ReaderAt(nil, 0) // which says so in Stat
	}
	return newFileSource(absolutePath(f.Name()), f)
}

func newFileSource(path string, opened *os.File) *fileSource {
	return &fileSource{path: path, opened: opened, changes: changeDetector{name: path}}
}

// fileSource reads a file of the operating system.
type fileSource struct {
	path    string   // absolute, if the working directory is known
	opened  *os.File // owned by the caller; nil for File
	changes changeDetector
	// identity is path without symbolic links, as it was at the first look.
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
	first := s.changes.first.Load()
	return SourceInfo{Name: filepath.Base(s.path), Identity: *s.identity.Load(), Size: first.size, ModTime: first.modTime}, nil
}

// verifyContent implements contentVerifier.
func (s *fileSource) verifyContent(ctx context.Context) error { return s.look(ctx, true) }

// look compares the file with the first look.
func (s *fileSource) look(ctx context.Context, deep bool) error {
	info, err := s.stat()
	if err != nil {
		return err
	}
	return s.changes.look(ctx, info, deep, func() (fs.File, func(), error) {
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

// absolutePath is path as it was in the working directory of now.
func absolutePath(path string) string {
	if whole, err := filepath.Abs(path); err == nil && path != "" {
		return whole
	}
	return path
}

// resolvedPath is path without symbolic links: one that leads to another file by the
// next session makes another source.
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
	if err := s.changes.regular(info); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	return s.positioned(ctx, f, offset)
}

// openAgain opens the caller's file by its name, which no longer needs to lead to it.
func (s *fileSource) openAgain(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if err := s.look(ctx, false); err != nil {
		return nil, err
	}
	is, err := s.opened.Stat()
	if err != nil {
		return nil, err
	}
	if named, err := os.Stat(s.path); err != nil || !os.SameFile(named, is) {
		return s.section(offset), nil
	}
	f, err := os.Open(s.path)
	if err != nil {
		return s.section(offset), nil
	}
	if again, err := f.Stat(); err == nil && os.SameFile(again, is) {
		if r, err := s.positioned(ctx, f, offset); err == nil {
			return r, nil
		}
		return s.section(offset), nil
	}
	f.Close()
	return s.section(offset), nil
}

// positioned makes sure that f is the right file, and closes it if not.
func (s *fileSource) positioned(ctx context.Context, f *os.File, offset int64) (io.ReadCloser, error) {
	err := s.changes.check(ctx, f, false)
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// section reads through the caller's handle, for a file that can no longer be
// reached by its name.
func (s *fileSource) section(offset int64) io.ReadCloser {
	return io.NopCloser(io.NewSectionReader(s.opened, offset, s.changes.first.Load().size-offset))
}

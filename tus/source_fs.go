package tus

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync/atomic"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// FSFile returns a Source that reads the file name of fsys, such as an [embed.FS] or a
// zip archive. If the file does not implement io.Seeker or io.ReaderAt, the bytes
// before an offset are read and discarded. A file of the operating system, as in
// [os.DirFS], is checked for changes like one of [File]; of others, only the size and
// the modification time are checked.
func FSFile(fsys fs.FS, name string) Source {
	return &fsSource{fsys: fsys, name: name, changeDetector: changeDetector{name: name}}
}

type fsSource struct {
	fsys fs.FS
	name string
	changeDetector
	at atomic.Pointer[string] // path of a file of the operating system, "" of others; nil before it is opened
}

func (s *fsSource) Stat(ctx context.Context) (SourceInfo, error) {
	if err := s.look(ctx, false); err != nil {
		return SourceInfo{}, err
	}
	first := s.first.Load()
	return SourceInfo{Name: path.Base(s.name), Identity: cmp.Or(s.systemPath(), s.name), Size: first.size, ModTime: first.modTime}, nil
}

// verifyContent implements contentVerifier.
func (s *fsSource) verifyContent(ctx context.Context) error { return s.look(ctx, true) }

// look compares the file with its first snapshot; deep includes the sample.
func (s *fsSource) look(ctx context.Context, deep bool) error {
	if s.fsys == nil {
		return fmt.Errorf("%w: file system of FSFile is nil", ErrInvalidInput)
	}
	info, err := fs.Stat(s.fsys, s.name)
	if err != nil {
		return err
	}
	return s.changeDetector.look(ctx, info, deep, func() (fs.File, func(), error) {
		f, err := s.fsys.Open(s.name)
		if err != nil {
			return nil, nil, err
		}
		s.located(f)
		return f, func() { f.Close() }, nil
	})
}

// located sets at from the first open file.
func (s *fsSource) located(f fs.File) {
	if s.at.Load() != nil {
		return
	}
	at := ""
	if file, ok := f.(*os.File); ok {
		at = resolvedPath(absolutePath(file.Name()))
	}
	s.at.CompareAndSwap(nil, &at)
}

// systemPath returns the path of a file of the operating system, and "" for others. A
// name alone does not distinguish files of two file systems.
func (s *fsSource) systemPath() string {
	if at := s.at.Load(); at != nil {
		return *at
	}
	return ""
}

func (s *fsSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if err := s.look(ctx, false); err != nil { // before the open, which may block on a pipe
		return nil, err
	}
	f, err := s.fsys.Open(s.name)
	if err != nil {
		return nil, err
	}
	switch file := f.(type) {
	case io.Seeker:
		if _, err := file.Seek(offset, io.SeekStart); err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	case io.ReaderAt:
		return &sectionOfFile{io.NewSectionReader(file, offset, s.first.Load().size-offset), f}, nil
	}
	return skip(ctx, f, offset)
}

// sectionOfFile reads a file from an offset.
type sectionOfFile struct {
	*io.SectionReader
	io.Closer
}

// skippedFile hides the other methods of a file that was read up to an offset.
type skippedFile struct{ fs.File }

// skip discards the bytes up to offset. It closes f if it returns an error.
func skip(ctx context.Context, f fs.File, offset int64) (_ io.ReadCloser, err error) {
	skipped := false
	defer func() {
		if !skipped {
			f.Close()
		}
	}()
	buffer := make([]byte, 32<<10)
	for left, n := offset, 0; left > 0 && err == nil; left -= int64(n) {
		if ctx.Err() != nil {
			return nil, async.ContextError(ctx)
		}
		n, err = io.ReadFull(f, buffer[:min(left, int64(len(buffer)))])
	}
	switch {
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return nil, fmt.Errorf("%w: file ends before offset %d", ErrSourceChanged, offset)
	case err != nil:
		return nil, err
	}
	skipped = true
	return &skippedFile{f}, nil
}

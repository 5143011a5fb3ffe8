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

// FSFile is the file name of fsys, such as an [embed.FS] or a zip archive.
// A file that implements io.ReaderAt or io.Seeker starts at any offset at
// once; others are read and thrown away up to the offset. A file of the operating
// system, as of [os.DirFS], is checked for changes as that of [File] is; of others,
// size and modification time must stay.
func FSFile(fsys fs.FS, name string) Source {
	return &fsSource{fsys: fsys, name: name, changes: changeDetector{name: name}}
}

type fsSource struct {
	fsys    fs.FS
	name    string
	changes changeDetector
	at      atomic.Pointer[string] // of a file of the operating system; "" of others, nil before the first look
}

func (s *fsSource) Stat(ctx context.Context) (SourceInfo, error) {
	if err := s.look(ctx, false); err != nil {
		return SourceInfo{}, err
	}
	first := s.changes.first.Load()
	return SourceInfo{Name: path.Base(s.name), Identity: cmp.Or(s.systemPath(), s.name), Size: first.size, ModTime: first.modTime}, nil
}

// verifyContent implements contentVerifier.
func (s *fsSource) verifyContent(ctx context.Context) error { return s.look(ctx, true) }

// look makes sure that the file is still what it was.
func (s *fsSource) look(ctx context.Context, deep bool) error {
	if s.fsys == nil {
		return fmt.Errorf("%w: no file system", ErrInvalidInput)
	}
	info, err := fs.Stat(s.fsys, s.name)
	if err != nil {
		return err
	}
	return s.changes.look(ctx, info, deep, func() (fs.File, func(), error) {
		f, err := s.fsys.Open(s.name)
		if err != nil {
			return nil, nil, err
		}
		s.located(f)
		return f, func() { f.Close() }, nil
	})
}

// located takes over where the file is, at the first look.
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

// systemPath is the path of a file of the operating system, "" of others: a name alone
// does not tell two file systems apart.
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
		return &sectionOfFile{io.NewSectionReader(file, offset, s.changes.first.Load().size-offset), f}, nil
	}
	return skip(ctx, f, offset)
}

// sectionOfFile is a file that is read from some place on.
type sectionOfFile struct {
	*io.SectionReader
	io.Closer
}

// skippedFile is a file that can only be read from its start.
type skippedFile struct{ fs.File }

// skip reads up to offset, or until ctx ends.
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
		return nil, fmt.Errorf("%w: it ended before byte %d", ErrSourceChanged, offset)
	case err != nil:
		return nil, err
	}
	skipped = true
	return &skippedFile{f}, nil
}

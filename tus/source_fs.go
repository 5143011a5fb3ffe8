package tus

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// FSFile is the file name of fsys, such as an [embed.FS] or a zip archive.
// A file that implements io.ReaderAt or io.Seeker starts at any offset at
// once; others are read and thrown away up to the offset.
func FSFile(fsys fs.FS, name string) Source { return &fsSource{fsys: fsys, name: name} }

type fsSource struct {
	fsys fs.FS
	name string

	mu       sync.Mutex
	first    firstLook
	readable bool // it could be opened
}

func (s *fsSource) Stat(context.Context) (SourceInfo, error) {
	info, err := s.look()
	if err != nil {
		return SourceInfo{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.readable {
		f, err := s.fsys.Open(s.name)
		if err != nil {
			return SourceInfo{}, err
		}
		defer f.Close()
		if err := trySize(f, s.name, info.Size()); err != nil {
			return SourceInfo{}, err
		}
		s.readable = true
	}
	return SourceInfo{Name: info.Name(), Identity: s.name, Size: info.Size(), ModTime: info.ModTime()}, nil
}

// look makes sure that the file is still what it was. Only the operating
// system's own files can tell that they were replaced.
func (s *fsSource) look() (fs.FileInfo, error) {
	if s.fsys == nil {
		return nil, fmt.Errorf("%w: no file system", ErrInvalidInput)
	}
	info, err := fs.Stat(s.fsys, s.name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.first.check(s.name, info); err != nil {
		return nil, err
	}
	return info, nil
}

func (s *fsSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	info, err := s.look() // before the open, which may block on a pipe
	if err != nil {
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
		return &sectionOfFile{io.NewSectionReader(file, offset, info.Size()-offset), f}, nil
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

// skip reads up to offset. When ctx ends it returns, and a Read that hangs is left
// behind.
func skip(ctx context.Context, f fs.File, offset int64) (io.ReadCloser, error) {
	skipped := background(func() (err error) {
		buffer := make([]byte, 32<<10)
		for left, n := offset, 0; left > 0 && err == nil; left -= int64(n) {
			if err = ctx.Err(); err == nil {
				n, err = io.ReadFull(f, buffer[:min(left, int64(len(buffer)))])
			}
		}
		return err
	})
	select {
	case read := <-skipped:
		err := errPanicked
		defer func() {
			if err != nil {
				f.Close()
			}
		}()
		switch err = read.get(); {
		case ctx.Err() != nil:
			err = contextError(ctx)
		case err == io.EOF, err == io.ErrUnexpectedEOF:
			err = fmt.Errorf("%w: it ended before byte %d", ErrSourceChanged, offset)
		}
		if err != nil {
			return nil, err
		}
		return &skippedFile{f}, nil
	case <-ctx.Done():
		background(func() error {
			<-skipped
			return f.Close()
		})
		return nil, contextError(ctx)
	}
}

package tus

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// FSFile is the file name of fsys, such as an [embed.FS] or a zip archive.
// A file that implements io.ReaderAt or io.Seeker starts at any offset at
// once; others are read and thrown away up to the offset.
func FSFile(fsys fs.FS, name string) Source { return &fsSource{fsys: fsys, name: name} }

type fsSource struct {
	fsys fs.FS
	name string

	mu       sync.Mutex
	first    fs.FileInfo // what the file was when it was first looked at
	size     int64       // of first, which may show what the file is now
	modTime  time.Time   // likewise
	readable bool        // it could be opened
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
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is %s, not a regular file", ErrInvalidInput, s.name, describeMode(info.Mode()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil {
		s.first, s.size, s.modTime = info, info.Size(), info.ModTime()
	}
	switch {
	case os.SameFile(s.first, s.first) && !os.SameFile(s.first, info):
		return nil, fmt.Errorf("%w: %s was replaced by another file", ErrSourceChanged, s.name)
	case info.Size() != s.size:
		return nil, fmt.Errorf("%w: %s had %d bytes, now %d", ErrSourceChanged, s.name, s.size, info.Size())
	case !info.ModTime().Equal(s.modTime):
		return nil, fmt.Errorf("%w: %s was written to", ErrSourceChanged, s.name)
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
	skipped := make(chan filling, 1)
	go func() {
		got := caught(func() (got filling) {
			buffer := make([]byte, 32<<10)
			for left := offset; left > 0 && got.err == nil; left -= int64(got.n) {
				if got.err = ctx.Err(); got.err == nil {
					got.n, got.err = io.ReadFull(f, buffer[:min(left, int64(len(buffer)))])
				}
			}
			return got
		})
		if got.err != nil || got.panicked != nil {
			f.Close()
		}
		skipped <- got
	}()
	select {
	case got := <-skipped:
		switch {
		case got.panicked != nil:
			panic(got.panicked)
		case ctx.Err() != nil:
			if got.err == nil {
				f.Close()
			}
			return nil, contextError(ctx)
		case got.err == io.EOF, got.err == io.ErrUnexpectedEOF:
			return nil, fmt.Errorf("%w: it ended before byte %d", ErrSourceChanged, offset)
		case got.err != nil:
			return nil, got.err
		}
		return &skippedFile{f}, nil
	case <-ctx.Done():
		go func() { // closed by whoever skips, unless that is done
			if got := <-skipped; got.err == nil && got.panicked == nil {
				f.Close()
			}
		}()
		return nil, contextError(ctx)
	}
}

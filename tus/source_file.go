package tus

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// File is the regular file at path. It is opened anew for each request, so no
// handle stays open between requests, and is checked each time to still be
// the same file with the same size and modification time.
func File(path string) Source { return &fileSource{path: path} }

// OpenedFile is a regular file that the caller has open. The caller keeps
// ownership: f must stay open during the upload, and its offset is neither
// used nor changed.
func OpenedFile(f *os.File) Source {
	if f == nil {
		return ReaderAt(nil, 0) // which says so in Stat
	}
	return &fileSource{path: f.Name(), opened: f}
}

// fileSource reads a file of the operating system.
type fileSource struct {
	path   string
	opened *os.File // owned by the caller; nil for File

	mu       sync.Mutex
	first    firstLook
	absolute string // path, as it was at the first look
	// readable says that the file could be opened.
	readable bool
	// spare is open, for whoever opens the file next: a small file is opened once.
	// It is kept only while uploads are at work, which users counts.
	spare *os.File
	users int
}

func (s *fileSource) Stat(context.Context) (SourceInfo, error) {
	info, err := s.stat()
	if err != nil {
		return SourceInfo{}, err
	}
	if err := s.check(info); err != nil {
		return SourceInfo{}, err
	}
	if err := s.tryOpen(info.Size()); err != nil {
		return SourceInfo{}, err
	}
	return SourceInfo{Name: filepath.Base(s.path), Identity: s.absolute, Size: info.Size(), ModTime: info.ModTime()}, nil
}

// tryOpen finds out, once, that a file cannot be read before anything is created
// for it on a server.
func (s *fileSource) tryOpen(size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readable {
		return nil
	}
	if s.opened != nil {
		n, err := s.opened.ReadAt(make([]byte, 1), 0)
		if err == nil || err == io.EOF {
			err = sized(s.path, size, n)
		}
		s.readable = err == nil
		return err
	}
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	if err := trySize(f, s.path, size); err != nil {
		f.Close()
		return err
	}
	s.readable = true
	s.keepLocked(f)
	return nil
}

// trySize makes sure that an empty file is one.
func trySize(f io.Reader, name string, size int64) error {
	if size > 0 {
		return nil
	}
	n, err := f.Read(make([]byte, 1))
	if err != nil && err != io.EOF {
		return err
	}
	return sized(name, size, n)
}

// sized refuses files that tell no size, such as those below /proc: nothing would
// be sent of them. n bytes were read.
func sized(name string, size int64, n int) error {
	if size == 0 && n > 0 {
		return fmt.Errorf("%w: %s has bytes, but its size is 0; send it as a stream", ErrInvalidInput, name)
	}
	return nil
}

// keep makes f the spare handle, or closes it.
func (s *fileSource) keep(f *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keepLocked(f)
}

func (s *fileSource) keepLocked(f *os.File) {
	if s.users == 0 || s.spare != nil || s.opened != nil {
		f.Close()
		return
	}
	s.spare = f
}

// take returns the spare handle, if there is one.
func (s *fileSource) take() *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.spare
	s.spare = nil
	return f
}

// rest closes the spare handle: nothing is open while nothing happens.
func (s *fileSource) rest() {
	if f := s.take(); f != nil {
		f.Close()
	}
}

// use says that an upload is at work on the file, until done is called.
func (s *fileSource) use() (done func()) {
	s.mu.Lock()
	s.users++
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		s.users--
		idle := s.users == 0
		s.mu.Unlock()
		if idle {
			s.rest()
		}
	}
}

func (s *fileSource) stat() (fs.FileInfo, error) {
	if s.opened != nil {
		return s.opened.Stat()
	}
	return os.Stat(s.path)
}

// check compares a look at the file with the first one.
func (s *fileSource) check(info fs.FileInfo) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.absolute == "" {
		s.absolute = wholePath(s.path)
	}
	return s.first.check(s.path, info)
}

func wholePath(path string) string {
	if whole, err := filepath.Abs(path); err == nil && path != "" {
		return whole
	}
	return path
}

// firstLook is what a file was when it was first looked at.
type firstLook struct {
	info    fs.FileInfo // nil before
	size    int64       // of info, which in some file systems shows what the file is now
	modTime time.Time   // likewise
	system  bool        // it is a file of the operating system, which tells files apart
}

// check makes sure that info is of a regular file, and at the first look keeps it. Later
// it compares.
func (l *firstLook) check(name string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		// Opening a named pipe would block, and a folder cannot be read.
		return fmt.Errorf("%w: %s is %s, not a regular file", ErrInvalidInput, name, describeMode(info.Mode()))
	}
	if l.info == nil {
		*l = firstLook{info, info.Size(), info.ModTime(), os.SameFile(info, info)}
		return nil
	}
	switch {
	case l.system && !os.SameFile(l.info, info):
		return fmt.Errorf("%w: %s was replaced by another file", ErrSourceChanged, name)
	case l.size != info.Size():
		return fmt.Errorf("%w: %s had %d bytes, now %d", ErrSourceChanged, name, l.size, info.Size())
	case !l.modTime.Equal(info.ModTime()):
		return fmt.Errorf("%w: %s was written to", ErrSourceChanged, name)
	}
	return nil
}

func (s *fileSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if f := s.take(); f != nil {
		return s.positioned(f, offset)
	}
	if _, err := s.Stat(ctx); err != nil {
		return nil, err
	}
	// An open would block on a pipe that took the file's name.
	if info, err := os.Stat(s.path); s.opened != nil && (err != nil || s.check(info) != nil) {
		return s.section(offset)
	}
	f, err := os.Open(s.path)
	if err != nil {
		if s.opened != nil { // its name is gone, but the handle still reads
			return s.section(offset)
		}
		return nil, err
	}
	r, err := s.positioned(f, offset)
	if err != nil && s.opened != nil {
		return s.section(offset)
	}
	return r, err
}

// positioned makes sure that f is the right file, and closes it if not.
func (s *fileSource) positioned(f *os.File, offset int64) (io.ReadCloser, error) {
	info, err := f.Stat()
	if err == nil {
		err = s.check(info)
	}
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
func (s *fileSource) section(offset int64) (io.ReadCloser, error) {
	s.mu.Lock()
	size := s.first.size
	s.mu.Unlock()
	return io.NopCloser(io.NewSectionReader(s.opened, offset, size-offset)), nil
}

func describeMode(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}

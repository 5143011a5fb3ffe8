package tus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Source is the data of one upload. The constructors [File], [OpenedFile],
// [FSFile], [ReaderAt], [ReadSeeker] and [Bytes] cover the usual kinds; any
// other type with these two methods works as well.
//
// A Source must deliver the same bytes each time it is opened. If it notices
// that it cannot any more, its methods return an error that matches
// [ErrSourceChanged].
type Source interface {
	// Stat tells what is known of the data without reading it. It is called
	// before the first request, and again before the last bytes of each request
	// leave, to notice a change. The first call is the place to find out that
	// the data cannot be opened: an upload may be created before it is, as an open
	// reader may be dear, or not live as long as a server takes to answer.
	Stat(ctx context.Context) (SourceInfo, error)

	// Open returns a reader of the bytes from offset on. Each reader is
	// independent of the others unless SourceInfo.Sequential is set, and is
	// closed by its user, perhaps while a Read is under way. Where the size is
	// known, it must end there with io.EOF. If the reader is an [*os.File]
	// positioned at offset, the bytes go from the file to the socket without a copy
	// in memory.
	Open(ctx context.Context, offset int64) (io.ReadCloser, error)
}

// SourceInfo is what a [Source] tells about its data.
type SourceInfo struct {
	// Name is a short name without folders, for people. It may be empty.
	Name string
	// Size is the length in bytes. It has no meaning if SizeUnknown is set.
	Size int64
	// SizeUnknown says that the length shows only when the data ends.
	SizeUnknown bool
	// Sequential says that opening a reader ends the one opened before, so that
	// the source cannot be sent in parallel parts.
	Sequential bool
	// ModTime and Version change when the content does; each may be zero. Version
	// is opaque, such as an ETag.
	ModTime time.Time
	Version string
}

// changed compares a later look at the source.
func (a SourceInfo) changed(now SourceInfo) error {
	if a.Size == now.Size && a.SizeUnknown == now.SizeUnknown && a.ModTime.Equal(now.ModTime) && a.Version == now.Version {
		return nil
	}
	return fmt.Errorf("%w: it had %d bytes of %v, now %d of %v", ErrSourceChanged, a.Size, a.ModTime, now.Size, now.ModTime)
}

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

	mu    sync.Mutex
	first fs.FileInfo // what the file was when it was first looked at
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
	return SourceInfo{Name: filepath.Base(s.path), Size: info.Size(), ModTime: info.ModTime()}, nil
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
	if !info.Mode().IsRegular() {
		// Opening a named pipe would block, and a folder cannot be read.
		return fmt.Errorf("%w: %s is %s, not a regular file", ErrInvalidInput, s.path, describeMode(info.Mode()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil {
		s.first = info
		return nil
	}
	switch first := s.first; {
	case !os.SameFile(first, info):
		return fmt.Errorf("%w: %s was replaced by another file", ErrSourceChanged, s.path)
	case first.Size() != info.Size():
		return fmt.Errorf("%w: %s had %d bytes, now %d", ErrSourceChanged, s.path, first.Size(), info.Size())
	case !first.ModTime().Equal(info.ModTime()):
		return fmt.Errorf("%w: %s was written to", ErrSourceChanged, s.path)
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
	size := s.first.Size()
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

// FSFile is the file name of fsys, such as an [embed.FS] or a zip archive.
// A file that implements io.ReaderAt or io.Seeker starts at any offset at
// once; others are read and thrown away up to the offset.
func FSFile(fsys fs.FS, name string) Source { return &fsSource{fsys: fsys, name: name} }

type fsSource struct {
	fsys fs.FS
	name string

	mu       sync.Mutex
	first    fs.FileInfo // what the file was when it was first looked at
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
	return SourceInfo{Name: info.Name(), Size: info.Size(), ModTime: info.ModTime()}, nil
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
		s.first = info
	}
	if os.SameFile(s.first, s.first) && !os.SameFile(s.first, info) {
		return nil, fmt.Errorf("%w: %s was replaced by another file", ErrSourceChanged, s.name)
	}
	return info, nil
}

func (s *fsSource) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	if _, err := s.look(); err != nil { // before the open, which may block on a pipe
		return nil, err
	}
	f, err := s.fsys.Open(s.name)
	if err != nil {
		return nil, err
	}
	if seeker, ok := f.(io.Seeker); ok {
		_, err = seeker.Seek(offset, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, f, offset)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ReaderAt is the first size bytes of r. Parallel parts read from it at the same
// time, which [io.ReaderAt] allows.
func ReaderAt(r io.ReaderAt, size int64) Source { return readerAtSource{r, size} }

// Bytes is data held in memory. It must not be changed during the upload.
func Bytes(data []byte) Source { return readerAtSource{bytes.NewReader(data), int64(len(data))} }

type readerAtSource struct {
	r    io.ReaderAt
	size int64
}

func (s readerAtSource) Stat(context.Context) (SourceInfo, error) {
	if s.r == nil || s.size < 0 {
		return SourceInfo{}, fmt.Errorf("%w: source of %d bytes of %T", ErrInvalidInput, s.size, s.r)
	}
	return SourceInfo{Size: s.size}, nil
}

func (s readerAtSource) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.r, offset, s.size-offset)), nil
}

// ReadSeeker is the first size bytes of r, sent as a single stream. Nothing
// else may use r during the upload.
func ReadSeeker(r io.ReadSeeker, size int64) Source {
	s := &seekSource{r: r, size: size, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

type seekSource struct {
	size int64
	turn chan struct{} // holds a token while nobody uses the fields below

	r       io.ReadSeeker
	current *seekReader // the only reader that may still use r
}

func (s *seekSource) Stat(context.Context) (SourceInfo, error) {
	if s.r == nil || s.size < 0 {
		return SourceInfo{}, fmt.Errorf("%w: source of %d bytes of %T", ErrInvalidInput, s.size, s.r)
	}
	return SourceInfo{Size: s.size, Sequential: true}, nil
}

// Open waits for a Read of an earlier request that may still be under way.
func (s *seekSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, contextError(ctx)
	}
	if _, err := s.r.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	s.current = &seekReader{source: s, left: s.size - offset}
	return s.current, nil
}

var errSuperseded = errors.New("tus: reader was superseded by a later one")

// seekReader reads from a shared ReadSeeker until the next one is opened: a
// transport may go on reading a body for a moment after its request ended,
// and must not move the position under the request that follows.
type seekReader struct {
	source *seekSource
	left   int64
}

func (r *seekReader) Read(p []byte) (int, error) {
	<-r.source.turn
	defer func() { r.source.turn <- struct{}{} }()
	if r.source.current != r {
		return 0, errSuperseded
	}
	if r.left <= 0 {
		return 0, io.EOF
	}
	n, err := r.source.r.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}

func (r *seekReader) Close() error { return nil }

package tus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// ReaderAt returns a Source that reads the first size bytes of r. Parallel parts call
// r.ReadAt concurrently.
func ReaderAt(r io.ReaderAt, size int64) Source { return readerAtSource{r: r, size: size} }

// Bytes returns a Source that reads data, which must not change during the upload.
func Bytes(data []byte) Source { return namedBytes("", data) }

func namedBytes(name string, data []byte) Source {
	return readerAtSource{r: bytes.NewReader(data), size: int64(len(data)), name: name}
}

type readerAtSource struct {
	r    io.ReaderAt
	size int64
	name string
}

func (s readerAtSource) Stat(context.Context) (SourceInfo, error) {
	if s.r == nil || s.size < 0 {
		return SourceInfo{}, fmt.Errorf("%w: source has size %d and reader %T", ErrInvalidInput, s.size, s.r)
	}
	return SourceInfo{Name: s.name, Size: s.size}, nil
}

func (s readerAtSource) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.r, offset, s.size-offset)), nil
}

// ReadSeeker returns a Source that reads the first size bytes of r. It is not sent in
// parallel parts. Nothing else may use r during the upload, and a custom transport must
// not read a copy of the body (GetBody) before the body itself. A Read that is in flight
// when the context ends is abandoned, and moves r when it returns. To resume, use the
// same Source, which waits for that Read, not a second one with the same r.
func ReadSeeker(r io.ReadSeeker, size int64) Source {
	s := &seekSource{r: r, size: size, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

type seekSource struct {
	size int64
	turn chan struct{} // holds a token while the fields below are not in use

	r       io.ReadSeeker
	current *seekReader // the only reader that may still use r
}

func (s *seekSource) Stat(context.Context) (SourceInfo, error) {
	if s.r == nil || s.size < 0 {
		return SourceInfo{}, fmt.Errorf("%w: source has size %d and reader %T", ErrInvalidInput, s.size, s.r)
	}
	return SourceInfo{Size: s.size, Sequential: true}, nil
}

// Open waits for a Read of an earlier request that is in flight.
func (s *seekSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, async.ContextError(ctx)
	}
	if _, err := s.r.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	s.current = &seekReader{source: s, left: s.size - offset}
	return s.current, nil
}

var errSuperseded = errors.New("tus: reader was superseded by a later one")

// seekReader reads from a shared ReadSeeker until the next seekReader is opened. A
// transport may read a body after its request ended, and must not move the position of
// the next request.
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

// defaultStreamChunk is the size of each of the two buffers of a stream, or their
// initial size if a larger ChunkSize is set.
const defaultStreamChunk = 8 << 20

// Reader returns a Source that reads a stream of unknown size, such as a pipe. It is not
// sent in parallel parts. r is read once, from its current position to its end, by one
// goroutine at a time, and not closed. A Read that blocks when the context ends is
// interrupted if r has a SetReadDeadline method, as connections and pipes do; otherwise
// it is abandoned.
//
// A stream that fits one chunk (8 MiB unless [UploadOptions.ChunkSize] is set) is sent like
// any other source. A longer one requires a server that supports a deferred length (protocol
// section Creation, Upload-Defer-Length), or [UploadOptions.BufferLimit]; otherwise the
// error matches [ErrUnsupported].
//
// Two chunks are held in memory: the one being sent, and the next. If the server loses
// acknowledged bytes before these, the error matches [ErrNotRecoverable]. If r fails, its
// error is returned and the upload stays on the server. A later session cannot resume it
// from a store, as r is read only once.
func Reader(r io.Reader) Source {
	return &readerSource{r: r, info: SourceInfo{SizeUnknown: true, SinglePass: true}}
}

// ReaderN returns a Source that reads a stream of size bytes, such as the body of an HTTP
// request with a Content-Length. Unlike a [Reader], it does not require a deferred length
// of the server. Otherwise it is read and resumed like a Reader: in chunks of 8 MiB unless
// [UploadOptions.ChunkSize] is set, two of which are held in memory.
//
// A reader with fewer or more bytes is an error matching [ErrSourceMismatch], and
// [io.ErrUnexpectedEOF] if it ends early. The upload then stays incomplete on the server,
// and can be resumed by its URL. To detect further bytes, r is read to its end before the
// last chunk is sent. For a part of a longer stream, pass io.LimitReader(r, size).
func ReaderN(r io.Reader, size int64) Source {
	return &readerSource{r: r, info: SourceInfo{Size: size, SinglePass: true}}
}

type readerSource struct {
	r    io.Reader
	info SourceInfo
	used bool
}

func (s *readerSource) Stat(context.Context) (SourceInfo, error) {
	if s.r == nil {
		return SourceInfo{}, fmt.Errorf("%w: reader is nil", ErrInvalidInput)
	}
	return s.info, nil
}

func (s *readerSource) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	if s.used || offset != 0 {
		return nil, fmt.Errorf("%w: stream was already read", ErrNotRecoverable)
	}
	s.used = true
	if d, ok := s.r.(deadliner); ok {
		return deadlineReader{s.r, d}, nil
	}
	return io.NopCloser(s.r), nil
}

// deadliner is a reader whose Read can be interrupted.
type deadliner interface{ SetReadDeadline(time.Time) error }

type deadlineReader struct {
	io.Reader
	deadliner
}

func (deadlineReader) Close() error { return nil }

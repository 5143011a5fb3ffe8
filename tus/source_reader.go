package tus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

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

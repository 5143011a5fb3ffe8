package tus

import (
	"context"
	"fmt"
	"io"
	"time"
)

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
func Reader(r io.Reader) Source { return &readerSource{r: r} }

type readerSource struct {
	r    io.Reader
	used bool
}

func (s *readerSource) Stat(context.Context) (SourceInfo, error) {
	if s.r == nil {
		return SourceInfo{}, fmt.Errorf("%w: reader is nil", ErrInvalidInput)
	}
	return SourceInfo{SizeUnknown: true, Sequential: true}, nil
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

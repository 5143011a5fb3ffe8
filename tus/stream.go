package tus

import (
	"context"
	"fmt"
	"io"
	"time"
)

// defaultStreamChunk is the size of the two buffers of a stream where no chunk
// size is set, and what they begin with where a larger one is.
const defaultStreamChunk = 8 << 20

// Reader is a stream of unknown size, such as a pipe, sent as a single upload. r is read
// once, from where it is to its end, by one goroutine at a time, and not closed. A Read
// that blocks when the context ends is left behind until it returns, unless r has a
// SetReadDeadline method as connections and pipes do.
//
// A stream that fits one chunk (8 MiB unless [UploadOptions.ChunkSize] is set) is sent like
// any other source. A longer one needs a server that lets the length be deferred (protocol
// section Creation, Upload-Defer-Length), or [UploadOptions.BufferLimit]; otherwise the
// error matches [ErrUnsupported].
//
// Two chunks are held in memory: the one being sent, and the next. If the server loses
// acknowledged bytes before these, the error matches [ErrNotRecoverable]. If r fails, its
// error is returned and the upload stays on the server as it is. No later session finds it
// in a store, as r is read only once.
func Reader(r io.Reader) Source { return &readerSource{r: r} }

type readerSource struct {
	r    io.Reader
	used bool
}

func (s *readerSource) Stat(context.Context) (SourceInfo, error) {
	if s.r == nil {
		return SourceInfo{}, fmt.Errorf("%w: no reader", ErrInvalidInput)
	}
	return SourceInfo{SizeUnknown: true, Sequential: true}, nil
}

func (s *readerSource) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	if s.used || offset != 0 {
		return nil, fmt.Errorf("%w: it was read already", ErrNotRecoverable)
	}
	s.used = true
	if d, ok := s.r.(deadliner); ok {
		return deadlineReader{s.r, d}, nil
	}
	return io.NopCloser(s.r), nil
}

// deadliner is a reader whose Read can be ended from outside.
type deadliner interface{ SetReadDeadline(time.Time) error }

type deadlineReader struct {
	io.Reader
	deadliner
}

func (deadlineReader) Close() error { return nil }

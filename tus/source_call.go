package tus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// callSource calls a method of a Source, which may hang, for example on a network file
// system. It returns an error matching os.ErrDeadlineExceeded after limit; 0 means no
// limit. If the call returns later, its value is passed to late.
func callSource[T any](ctx context.Context, limit time.Duration, name string, call func() (T, error), late func(T)) (T, error) {
	if limit <= 0 {
		return async.Call(ctx, call, late)
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, errLimit)
	defer cancel()
	value, err := async.Call(limited, call, late)
	if errors.Is(err, errLimit) {
		err = fmt.Errorf("%w: %s took longer than %v (Options.SourceTimeout)", os.ErrDeadlineExceeded, name, limit)
	}
	return value, err
}

// errLimit is the cause of a context canceled by the limit of callSource.
var errLimit = errors.New("source timeout")

func statSource(ctx context.Context, source Source, limit time.Duration) (SourceInfo, error) {
	return callSource(ctx, limit, "Stat", func() (SourceInfo, error) { return source.Stat(ctx) }, nil)
}

// openSource passes the context open to source.Open, and waits until ctx ends. limit
// bounds Open and each Read; 0 means no limit.
func openSource(ctx, open context.Context, source Source, offset int64, limit time.Duration) (io.ReadCloser, error) {
	r, err := callSource(ctx, limit, "Open", func() (io.ReadCloser, error) { return source.Open(open, offset) },
		func(r io.ReadCloser) { r.Close() })
	if err != nil || limit <= 0 {
		return r, err
	}
	limited := &limitedReader{ReadCloser: r, limit: limit}
	if d, ok := r.(deadliner); ok {
		return struct {
			*limitedReader
			deadliner
		}{limited, d}, nil
	}
	return limited, nil
}

// limitedReader bounds the time of each Read.
type limitedReader struct {
	io.ReadCloser
	limit  time.Duration
	buffer []byte // an abandoned Read may still write to it
	err    error  // of an abandoned Read
}

func (r *limitedReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(r.buffer) < len(p) {
		r.buffer = make([]byte, len(p))
	}
	buffer := r.buffer[:len(p)]
	// The error of the reader is part of the value: err below is that of callSource only.
	type read struct {
		n   int
		err error
	}
	got, err := callSource(context.Background(), r.limit, "Read", func() (read, error) {
		n, err := r.ReadCloser.Read(buffer)
		return read{n, err}, nil
	}, nil)
	if err != nil {
		r.err, r.buffer = err, nil
		return 0, err
	}
	if got.n > 0 {
		copy(p, buffer[:min(got.n, len(p))])
	}
	return got.n, got.err
}

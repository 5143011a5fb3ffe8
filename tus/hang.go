package tus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// A Source may hang: in a file system of the network, or behind FUSE. The functions of
// this file return soon after the context has ended all the same, and leave the call
// behind.

// unlessHung returns what call returns, or panics as it does. late, if not nil, gets the
// value of a call that was left behind.
func unlessHung[T any](ctx context.Context, call func() (T, error), late func(T)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := background(func() answer {
		value, err := call()
		return answer{value, err}
	})
	got, ok := receive(ctx, answers)
	if !ok {
		if late != nil {
			go func() {
				if o := <-answers; !o.panicked && o.result.err == nil {
					late(o.result.value)
				}
			}()
		}
		var none T
		return none, contextError(ctx)
	}
	a := got.get()
	return a.value, a.err
}

// callSource is unlessHung for a call of a Source, which returns an error matching
// ErrSourceTimeout after limit; 0 is no limit.
func callSource[T any](ctx context.Context, limit time.Duration, name string, call func() (T, error), late func(T)) (T, error) {
	if limit <= 0 {
		return unlessHung(ctx, call, late)
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, errLimit)
	defer cancel()
	value, err := unlessHung(limited, call, late)
	if errors.Is(err, errLimit) {
		err = fmt.Errorf("%w: %s took longer than %v (Options.SourceTimeout)", ErrSourceTimeout, name, limit)
	}
	return value, err
}

// errLimit is the cause of a context that ends at the limit of callSource.
var errLimit = errors.New("source timeout")

func statSource(ctx context.Context, source Source, limit time.Duration) (SourceInfo, error) {
	return callSource(ctx, limit, "Stat", func() (SourceInfo, error) { return source.Stat(ctx) }, nil)
}

// openSource opens a reader with the context open, and waits for it as long as ctx
// lives. Open and each Read take limit at most; 0 is no limit.
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
	buffer []byte // a Read that is left behind may still write to it
	err    error  // of a Read that was left behind
}

func (r *limitedReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(r.buffer) < len(p) {
		r.buffer = make([]byte, len(p))
	}
	buffer := r.buffer[:len(p)]
	// n and err of the reader are checked by its users, so that both are returned.
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

// closeReader waits for Close as long as ctx lives.
func closeReader(ctx context.Context, r io.Closer) error {
	_, err := unlessHung(ctx, func() (struct{}, error) { return struct{}{}, r.Close() }, nil)
	return err
}

// closeSoon is closeReader where nothing else has to wait for the end of Close.
func closeSoon(r io.Closer) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = closeReader(ctx, r)
}

package tus

import (
	"context"
	"io"
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

func statSource(ctx context.Context, source Source) (SourceInfo, error) {
	return unlessHung(ctx, func() (SourceInfo, error) { return source.Stat(ctx) }, nil)
}

// openSource opens a reader with the context open, and waits for it as long as ctx lives.
func openSource(ctx, open context.Context, source Source, offset int64) (io.ReadCloser, error) {
	return unlessHung(ctx, func() (io.ReadCloser, error) { return source.Open(open, offset) },
		func(r io.ReadCloser) { r.Close() })
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

// Package async calls code of the library's caller that may hang, panic or end its
// goroutine.
package async

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Grace is how long a call may take to return after its context has ended.
const Grace = 50 * time.Millisecond

// Outcome is the result of a function in another goroutine, or its panic.
type Outcome[T any] struct {
	panics Panics
	value  T
	err    error
}

// Get returns the result of the function, or repeats its panic.
func (o *Outcome[T]) Get() (T, error) {
	o.panics.Repanic()
	return o.value, o.err
}

// Go calls f in a new goroutine, which the caller abandons if f hangs.
func Go[T any](f func() (T, error)) <-chan *Outcome[T] {
	done := make(chan *Outcome[T], 1)
	go func() {
		o := &Outcome[T]{err: ErrPanicked}
		defer func() { done <- o }()
		o.panics.Run(func() { o.value, o.err = f() })
	}()
	return done
}

// Call returns the result of f, or repeats its panic. [Grace] after the end of ctx it
// abandons f and returns the error of ctx. If f succeeds later, its value is passed to
// late, unless late is nil.
func Call[T any](ctx context.Context, f func() (T, error), late func(T)) (T, error) {
	done := Go(f)
	if o, ok := Receive(ctx, done); ok {
		return o.Get()
	}
	if late != nil {
		Go(func() (none struct{}, err error) {
			if o := <-done; o.err == nil {
				late(o.value)
			}
			return none, nil
		})
	}
	var none T
	return none, ContextError(ctx)
}

// Close closes c. It waits until [Grace] after the end of ctx.
func Close(ctx context.Context, c io.Closer) error {
	_, err := Call(ctx, func() (struct{}, error) { return struct{}{}, c.Close() }, nil)
	return err
}

// CloseSoon closes c. It waits for at most [Grace].
func CloseSoon(c io.Closer) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = Close(ctx, c)
}

// CloseWith closes c when ctx ends, because that may be required to end a Read, or when done
// is called. done returns after c is closed, and may be called again after a panic of Close.
// A panic of a Close that the end of ctx causes is kept in panics.
func CloseWith(ctx context.Context, c io.Closer, panics *Panics) (done func()) {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		panics.Run(func() { c.Close() })
	})
	return func() {
		if stop() {
			defer close(closed)
			c.Close()
			return
		}
		<-closed
	}
}

// Receive receives from c. It waits until [Grace] after the end of ctx; ok is then false.
// If c is closed, ok is true.
func Receive[T any](ctx context.Context, c <-chan T) (value T, ok bool) {
	select {
	case value = <-c:
		return value, true
	case <-ctx.Done():
	}
	return ReceiveWithin(Grace, c)
}

// ReceiveWithin is Receive with a wait of at most d.
func ReceiveWithin[T any](d time.Duration, c <-chan T) (value T, ok bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case value = <-c:
		return value, true
	case <-timer.C:
		return value, false
	}
}

// Sleep waits for d or until ctx ends. It returns the error of ctx, if it has ended.
func Sleep(ctx context.Context, d time.Duration) error {
	if d > 0 {
		ReceiveWithin(d, ctx.Done())
	}
	return ContextError(ctx)
}

// ContextError returns the error of ctx, nil if it has not ended. If ctx has a cause, the
// error matches both with errors.Is.
func ContextError(ctx context.Context) error {
	err := ctx.Err()
	if err == nil || errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return fmt.Errorf("%w: %w", err, context.Cause(ctx))
}

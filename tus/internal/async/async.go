// Package async calls code of the caller that may hang, panic or end its goroutine.
package async

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Grace is how long a call whose context has ended may take to return.
const Grace = 50 * time.Millisecond

// Outcome is what a function returned in another goroutine, or its panic.
type Outcome[T any] struct {
	panics Panics
	value  T
	err    error
}

// Get returns what the function returned, or panics as it did.
func (o *Outcome[T]) Get() (T, error) {
	o.panics.Repanic()
	return o.value, o.err
}

// Go calls f in a goroutine of its own, which may be left behind if f hangs.
func Go[T any](f func() (T, error)) <-chan *Outcome[T] {
	done := make(chan *Outcome[T], 1)
	go func() {
		o := &Outcome[T]{err: ErrPanicked}
		defer func() { done <- o }()
		o.panics.Run(func() { o.value, o.err = f() })
	}()
	return done
}

// Call returns what f returns, or panics as f does. Soon after ctx has ended it returns
// the error of ctx even if f hangs, and leaves f behind. late, if not nil, is then
// called with the value of an f that succeeds after all.
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

// Close closes c, and waits for that as long as ctx lives.
func Close(ctx context.Context, c io.Closer) error {
	_, err := Call(ctx, func() (struct{}, error) { return struct{}{}, c.Close() }, nil)
	return err
}

// CloseSoon closes c, and waits for [Grace] at most.
func CloseSoon(c io.Closer) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = Close(ctx, c)
}

// Receive receives from c until ctx has ended and [Grace] has passed. ok is false if
// there was nothing by then. The end of c counts as a value.
func Receive[T any](ctx context.Context, c <-chan T) (value T, ok bool) {
	select {
	case value = <-c:
		return value, true
	case <-ctx.Done():
	}
	return ReceiveWithin(Grace, c)
}

// ReceiveWithin is Receive for at most d.
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

// Sleep waits for d. If ctx ends first, or has ended, it returns the error of ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return ContextError(ctx)
	}
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ContextError(ctx)
	case <-timer.C:
		return nil
	}
}

// ContextError returns the error of a context that has ended, together with its cause
// if it has one: both match errors.Is.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

package tus

import (
	"errors"
	"runtime"
	"sync"
)

// errPanicked stops what a panic leaves without a purpose.
var errPanicked = errors.New("tus: code of the caller panicked or ended its goroutine")

// carrier carries a panic of the caller's code (a hook, a Source, a Store) from the
// goroutine in which it happens, such as one of net/http or of a timer, to the
// goroutine that called this package, where the caller can recover it. Otherwise it
// would end the process. runtime.Goexit, which testing.T.FailNow calls, is carried in
// the same way. The zero value is ready to use.
type carrier struct {
	stop func() // called after the first panic, if not nil

	mu       sync.Mutex
	panicked bool
	value    any // nil for runtime.Goexit
}

// run calls f and keeps its panic. It reports whether f returned. After
// runtime.Goexit only deferred functions of the goroutine still run.
func (c *carrier) run(f func()) (returned bool) {
	defer func() {
		if !returned {
			c.keep(recover())
		}
	}()
	f()
	return true
}

// keep keeps the first panic.
func (c *carrier) keep(value any) {
	c.mu.Lock()
	first := !c.panicked
	if first {
		c.panicked, c.value = true, value
	}
	c.mu.Unlock()
	if first && c.stop != nil {
		c.stop()
	}
}

// deliver panics with the value that was kept, if there is one.
func (c *carrier) deliver() {
	c.mu.Lock()
	panicked, value := c.panicked, c.value
	c.mu.Unlock()
	switch {
	case !panicked:
	case value != nil:
		panic(value)
	default:
		runtime.Goexit()
	}
}

// finished is what a function in another goroutine returned, or its panic.
type finished[T any] struct {
	carrier
	result T
}

// get returns the result, or panics as the function did.
func (o *finished[T]) get() T {
	o.deliver()
	return o.result
}

// background calls f in a goroutine of its own, which may be left behind if f hangs.
func background[T any](f func() T) <-chan *finished[T] {
	done := make(chan *finished[T], 1)
	go func() {
		o := new(finished[T])
		defer func() { done <- o }()
		o.run(func() { o.result = f() })
	}()
	return done
}

package async

import (
	"errors"
	"runtime"
	"sync/atomic"
)

// ErrPanicked is returned for a function that panicked or ended its goroutine.
var ErrPanicked = errors.New("code of the caller panicked or ended its goroutine")

// Panics keeps the first panic of the caller's code (a hook, a Source, a Store) in
// goroutines of net/http or of timers, where it would end the process, and repeats it in
// the goroutine that called the library. It treats runtime.Goexit, which
// testing.T.FailNow calls, in the same way. The zero value is ready to use.
type Panics struct {
	Stop func() // called after the first panic, if not nil

	first atomic.Pointer[any] // value of the first panic, which is nil for runtime.Goexit
}

// Run calls f and keeps its panic. It reports whether f returned. After runtime.Goexit, Run
// does not return.
func (p *Panics) Run(f func()) (returned bool) {
	defer func() {
		if returned {
			return
		}
		value := recover()
		if p.first.CompareAndSwap(nil, &value) && p.Stop != nil {
			p.Stop()
		}
	}()
	f()
	return true
}

// MoveTo moves the panic that was kept, if there is one, to another Panics.
func (p *Panics) MoveTo(other *Panics) {
	if value := p.first.Swap(nil); value != nil {
		other.first.CompareAndSwap(nil, value)
	}
}

// Repanic repeats the panic that was kept, if there is one.
func (p *Panics) Repanic() {
	switch value := p.first.Load(); {
	case value == nil:
	case *value != nil:
		panic(*value)
	default:
		runtime.Goexit()
	}
}

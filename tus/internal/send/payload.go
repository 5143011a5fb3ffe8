// Package send sends the bytes of a source as the bodies of a request: by the kernel if
// they are a file, at the rate that limiters allow, and with a timer that cuts a request
// that stalls.
package send

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Payload is what a request carries: a range of a source.
type Payload struct {
	Offset, Size int64
	// Open returns a reader at Offset. It is closed when the request is over.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// ToEnd is set if the source ends with the payload. It is an error if it does not.
	ToEnd bool
	// Memory is set if the reader reads memory that is reused after the request. The
	// request then waits for a Read in flight; that of another source may block.
	Memory bool
	// Limit, if not nil, limits the rate, in addition to Bodies.Limit.
	Limit Limiter
	// Verify, if not nil, is called before the last bytes leave. Its error keeps them
	// back, so that the server never sees a changed source as complete.
	Verify func(ctx context.Context) error
}

// SizeError is returned for a source whose size is not the one promised.
type SizeError struct {
	Offset  int64 // at which it ended
	Missing int64 // bytes from there to the promised end; 0 if there are more bytes
}

// Error names the offset.
func (e *SizeError) Error() string {
	if e.Missing == 0 {
		return "it has grown"
	}
	return fmt.Sprintf("it ended at byte %d, %d bytes early", e.Offset, e.Missing)
}

// Limiter limits the rate at which bytes leave.
type Limiter interface {
	// WaitN blocks until n bytes may be sent, or ctx ends.
	WaitN(ctx context.Context, n int) error
	// Burst returns the largest n that WaitN accepts now, at least 1.
	Burst() int
}

// withoutDeadline hides the deadline of a context: a limiter that knows it refuses at
// once what cannot be sent by then, but the upload should use the time that is left.
type withoutDeadline struct{ context.Context }

func (withoutDeadline) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// waitForAll waits until all limits let some of n bytes pass, and returns how many.
func waitForAll(ctx context.Context, limits []Limiter, n int) (int, error) {
	for _, limit := range limits {
		n = min(n, max(1, limit.Burst()))
	}
	for _, limit := range limits {
		if err := limit.WaitN(withoutDeadline{ctx}, n); err != nil {
			return 0, err
		}
	}
	return n, nil
}

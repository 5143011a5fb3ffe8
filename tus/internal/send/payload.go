// Package send sends the bytes of a source as the body of a request. The kernel sends files,
// limiters limit the rate, and a timer cuts a request that stalls.
package send

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Payload is the range of a source that a request sends.
type Payload struct {
	Offset, Size int64
	// Open returns a reader at Offset. It is closed when the request is over.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// ToEnd is set if the source ends with the payload. More bytes are then an error.
	ToEnd bool
	// Memory is set if the reader reads memory that is reused after the request. The
	// request then waits for a Read in flight, which does not block.
	Memory bool
	// Limit, if not nil, limits the rate, in addition to Bodies.Limit.
	Limit Limiter
	// Verify, if not nil, is called before the last bytes are sent. If it fails, they are
	// not sent, so that the server does not complete the upload of a changed source.
	Verify func(ctx context.Context) error
}

// SizeError is returned for a source whose size differs from the expected one.
type SizeError struct {
	Offset  int64 // at which the source ended, or should have ended
	Missing int64 // bytes from there to the expected end; 0 if the source has more bytes
}

// Error returns where the source ended.
func (e *SizeError) Error() string {
	if e.Missing == 0 {
		return "it has grown"
	}
	return fmt.Sprintf("it ended at byte %d, %d bytes early", e.Offset, e.Missing)
}

// Limiter limits the rate at which bytes are sent.
type Limiter interface {
	// WaitN blocks until n bytes may be sent, or ctx ends.
	WaitN(ctx context.Context, n int) error
	// Burst returns the largest n that WaitN accepts now, at least 1.
	Burst() int
}

// withoutDeadline is a context without its deadline: a limiter refuses at once what it
// cannot permit before the deadline, but the upload should use the remaining time.
type withoutDeadline struct{ context.Context }

func (withoutDeadline) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

package httpsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/retry"
)

// reader reads the data from an offset, with as many requests as necessary.
type reader struct {
	source  *Source
	ctx     context.Context // ends with that of Open, and with Close
	cancel  context.CancelFunc
	version *version
	start   int64
	tries   budget

	turn   sync.Mutex // held while the fields below are used
	offset int64      // of the next byte
	flow   *flow      // nil between requests
	err    error      // that ended the reader
}

func newReader(ctx context.Context, s *Source, offset int64) *reader {
	r := &reader{source: s, start: offset, offset: offset, tries: budget{policy: s.retry}}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// begin sends the first request, unless there are no bytes to read.
func (r *reader) begin() error {
	err := r.retrying(func() (err error) {
		r.version, err = r.source.firstVersion(r.ctx)
		return err
	})
	if err != nil {
		return err
	}
	v := r.version
	switch {
	case r.offset < 0, v.sized && r.offset > v.size:
		return fmt.Errorf("%w: offset %d in a source of %d bytes", tus.ErrInvalidInput, r.offset, v.size)
	case r.atEnd():
		return nil
	}
	if r.flow = r.source.takeKept(r.ctx, v, r.offset); r.flow != nil {
		return nil
	}
	// This reader probably reads as much as one before that was closed early. The
	// connection of a response that is read to its end is reused.
	return r.connect(r.source.wanted.Load())
}

// retrying repeats an attempt until it succeeds or the policy ends it.
func (r *reader) retrying(attempt func() error) error {
	for {
		err := attempt()
		if err == nil {
			return nil
		}
		if err := r.again(err); err != nil {
			return err
		}
	}
}

func (r *reader) atEnd() bool { return r.version.sized && r.offset == r.version.size }

// Read sends another request if the connection breaks.
func (r *reader) Read(p []byte) (int, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	for r.err == nil && len(p) > 0 {
		if r.flow == nil {
			if r.err = r.next(); r.err != nil {
				break
			}
		}
		n, err := r.flow.Read(p)
		if n > 0 {
			r.err = r.advance(int64(n))
			if r.err != nil {
				break
			}
			return n, nil
		}
		if err == nil {
			return 0, nil // callers limit how often
		}
		r.err = r.ended(err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	return 0, r.err
}

// next sends the next request after one that ended.
func (r *reader) next() error {
	if r.atEnd() {
		return io.EOF
	}
	return r.connect(0)
}

// connect requests the bytes from the current offset, with retries. window, if above 0, is
// the maximum number of bytes.
func (r *reader) connect(window int64) error {
	return r.retrying(func() (err error) {
		r.flow, err = r.source.read(r.ctx, r.version, r.offset, window)
		return err
	})
}

// read requests the bytes from offset.
func (s *Source) read(ctx context.Context, v *version, offset, window int64) (*flow, error) {
	if offset > 0 && !v.strong {
		return nil, fmt.Errorf("GET %s: %w", s.shownURL(), notRecoverable(offset))
	}
	f, err := s.get(ctx, v.request(offset, window))
	if err != nil {
		return nil, err
	}
	if err := v.position(f, offset); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// advance counts n received bytes.
func (r *reader) advance(n int64) error {
	if v := r.version; v.sized && n > v.size-r.offset {
		return r.flow.failed(fmt.Errorf("%w: it grew beyond %d bytes", tus.ErrSourceChanged, v.size))
	}
	r.offset += n
	r.source.received.Add(n)
	r.tries.failures = 0
	return nil
}

// ended handles the end of a body. It returns nil if the next request can be sent.
func (r *reader) ended(err error) error {
	f := r.flow
	r.flow = nil
	f.close()
	v := r.version
	switch {
	case err == io.EOF && !v.sized:
		return r.checkEnd()
	case err == io.EOF && (f.left == 0 || r.atEnd()):
		return nil
	case err == io.EOF:
		err = f.broken(io.ErrUnexpectedEOF)
	}
	if r.ctx.Err() != nil {
		return async.ContextError(r.ctx)
	}
	if r.offset > 0 && !v.strong {
		return f.failed(fmt.Errorf("%w: %w", causeOf(err), notRecoverable(r.offset)))
	}
	return r.again(err)
}

// again waits before the next attempt. Its error ends the reader.
func (r *reader) again(failure error) error {
	if r.ctx.Err() != nil {
		return async.ContextError(r.ctx)
	}
	wait, ok := r.tries.next(failure)
	if !ok {
		return failure
	}
	if onRetry := r.source.onRetry; onRetry != nil {
		onRetry(tus.Retry{Attempt: r.tries.failures, Delay: wait, Err: failure})
	}
	return async.Sleep(r.ctx, wait)
}

// Close ends the reader, also a Read that waits.
func (r *reader) Close() error {
	if !r.turn.TryLock() {
		r.cancel()
		r.turn.Lock()
	}
	defer r.turn.Unlock()
	if r.err == nil {
		r.err = http.ErrBodyReadAfterClose
		if !r.atEnd() {
			r.leave()
		}
	}
	if r.flow != nil {
		r.flow.abort()
		r.flow = nil
	}
	r.cancel()
	return nil
}

// leave prepares the next reader, which probably starts at the current offset.
func (r *reader) leave() {
	switch s := r.source; {
	case r.version.ranges:
		if taken := r.offset - r.start; taken > 0 {
			s.wanted.Store(taken)
		}
	case s.newest.Load() != r: // another one may read from the start
	case r.version.sized && r.flow != nil:
		s.keep(r.flow, r.offset)
		r.flow = nil
	}
}

// causeOf returns an error without its request.
func causeOf(err error) error {
	var e *tus.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err
	}
	return err
}

// budget counts the failures of a reader since it last received bytes.
type budget struct {
	policy   tus.RetryPolicy
	failures int
}

// next counts a failure and returns the wait before the next attempt. ok is false if the
// failure is not retried.
func (b *budget) next(failure error) (wait time.Duration, ok bool) {
	b.failures++
	policy, temporary := retry.Policy(b.policy), tus.IsRetryable(failure)
	if policy.ShouldRetry != nil {
		temporary = policy.ShouldRetry(failure, b.failures)
	}
	if !temporary || b.failures > policy.Retries() {
		return 0, false
	}
	var asked time.Duration
	var e *tus.Error
	if errors.As(failure, &e) {
		asked = e.RetryAfter
	}
	return policy.Wait(b.failures, asked), true
}

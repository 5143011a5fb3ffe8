package httpsource

import (
	"context"
	"time"
)

// keepFor is how long an answer waits to be read on. It outlasts the longest pause
// that an upload makes by default between two requests, the five minutes of
// [tus.RetryPolicy.MaxRetryAfter], with a minute for the requests beside it.
const keepFor = 6 * time.Minute

// kept is an answer of a server without ranges that can be read on: where the
// reader of one chunk stopped, the reader of the next begins. Without it, each
// chunk would cost all of the data before it, or could not be had at all.
type kept struct {
	flow  *flow
	at    int64 // offset of the flow's next byte
	timer *time.Timer
}

// keep keeps an answer for a later reader. It is dropped when nobody comes for it,
// or when another is kept; the end of the context that it was bound to does not
// count, as an upload that is driven in steps has one for each.
func (s *Source) keep(f *flow, at int64) {
	if f.left == 0 {
		f.close()
		return
	}
	if !f.release() {
		f.abort()
		return
	}
	k := &kept{flow: f, at: at}
	k.timer = time.AfterFunc(keepFor, func() {
		if s.kept.CompareAndSwap(k, nil) {
			f.abort()
		}
	})
	if old := s.kept.Swap(k); old != nil {
		old.drop()
	}
}

func (k *kept) drop() {
	k.timer.Stop()
	k.flow.abort()
}

// takeKept returns the answer that was kept if it can be read from offset on,
// bound to ctx and at that offset; otherwise it is dropped. What it skips must be
// what the upload has of these bytes, perhaps from long ago, so there has to be
// proof of that.
func (s *Source) takeKept(ctx context.Context, v *version, offset int64) *flow {
	k := s.kept.Swap(nil)
	if k == nil {
		return nil
	}
	if k.at > offset || k.at < offset && !v.strong {
		k.drop()
		return nil
	}
	k.timer.Stop()
	k.flow.bind(ctx)
	if k.flow.skip(offset-k.at) != nil {
		k.flow.abort()
		return nil
	}
	return k.flow
}

// dropKept closes the answer that was kept, if there is one.
func (s *Source) dropKept() {
	if k := s.kept.Swap(nil); k != nil {
		k.drop()
	}
}

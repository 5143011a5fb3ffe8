package httpsource

import (
	"context"
	"time"
)

// keepFor is how long a response is kept for the next reader: the longest default wait
// between two requests of an upload, the five minutes of [tus.RetryPolicy.MaxRetryAfter],
// and a minute for the requests around it.
const keepFor = 6 * time.Minute

// kept is a response of a server without ranges that the reader of the next chunk
// continues. Without it, each chunk would require all data before it again, which a
// server may not be able to repeat.
type kept struct {
	flow  *flow
	at    int64 // offset of the flow's next byte
	timer *time.Timer
}

// keep keeps a response for a later reader, until keepFor is over or another one is kept.
// It outlives the context that it is bound to: an upload that is driven in steps has one
// for each.
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

// takeKept returns the kept response at offset, bound to ctx, or drops it if it cannot be
// read from there. It skips bytes only if a strong validator proves that they are those
// that the upload has.
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

// dropKept closes the kept response, if there is one.
func (s *Source) dropKept() {
	if k := s.kept.Swap(nil); k != nil {
		k.drop()
	}
}

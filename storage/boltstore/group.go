package boltstore

import (
	"context"
	"slices"
	"sync"

	"go.etcd.io/bbolt"
)

// group makes many changes share one transaction, and so one wait for the disk. A
// change that comes alone is committed at once. Those that come while a
// transaction is under way wait for it to end, and then go together into the next.
//
// bbolt's own DB.Batch lets a lone change wait for company instead, and runs a
// whole batch again when one of its changes fails.
type group struct {
	// commit runs the changes in one transaction and sets the err of each.
	commit func([]*change)

	mu      sync.Mutex
	leading bool      // some goroutine is committing
	queue   []*change // for the next transaction
}

// change is what one caller wants done to the database.
type change struct {
	// apply is called in the transaction. With an error, which is the caller's
	// alone, it must not have changed anything. The function it returns, if not
	// nil, is called after the commit; if it is nil, nothing was changed.
	apply func(*bbolt.Bucket) (committed func(), err error)

	err       error
	committed func()
	lead      chan struct{} // closed when the caller is to commit the queue
	done      chan struct{} // closed when err is set
}

// do applies the change and returns when it is committed or refused. It stops
// waiting when ctx ends while the change is still in the queue; then the change is
// not made.
func (g *group) do(ctx context.Context, apply func(*bbolt.Bucket) (func(), error)) error {
	c := &change{apply: apply, lead: make(chan struct{}), done: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, c)
	if !g.leading {
		g.leading = true
		close(c.lead)
	}
	g.mu.Unlock()

	select {
	case <-c.lead:
		g.run()
	case <-c.done:
	case <-ctx.Done():
		if g.withdraw(c) {
			return ctx.Err()
		}
		select { // it is too late to withdraw
		case <-c.lead:
			g.run()
		case <-c.done:
		}
	}
	return c.err
}

// run commits all that waits, and hands the lead to one of those who came since.
func (g *group) run() {
	g.mu.Lock()
	batch := g.queue
	g.queue = nil
	g.mu.Unlock()

	g.commit(batch)
	for _, c := range batch {
		close(c.done)
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 {
		g.leading = false
		return
	}
	close(g.queue[0].lead)
}

// withdraw takes the change out of the queue. It reports false if it is no longer
// there, or is the one whose caller has to commit the queue.
func (g *group) withdraw(c *change) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-c.lead:
		return false
	default:
	}
	i := slices.Index(g.queue, c)
	if i < 0 {
		return false
	}
	g.queue = slices.Delete(g.queue, i, i+1)
	return true
}

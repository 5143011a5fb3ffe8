package boltstore

import (
	"context"
	"slices"
	"sync"

	"go.etcd.io/bbolt"
)

// group commits concurrent changes in one transaction, with one sync of the disk. A
// single change is committed at once. Changes that arrive during a transaction share
// the next one.
//
// bbolt's own DB.Batch delays a single change instead, and repeats the whole batch
// if one of its changes fails.
type group struct {
	// commit runs the changes in one transaction and sets the err of each.
	commit func([]*change)

	mu      sync.Mutex
	leading bool      // some goroutine is committing
	queue   []*change // for the next transaction
}

// change is one caller's change to the database.
type change struct {
	// apply is called in the transaction. If it returns an error, it must not have
	// changed anything; only its caller gets that error. The function it returns is
	// called after the commit. It is nil if apply changed nothing.
	apply func(*bbolt.Bucket) (committed func(), err error)

	err       error
	committed func()
	lead      chan struct{} // closed when the caller must commit the queue
	done      chan struct{} // closed when err is set
}

// do applies the change and returns when it is committed or has failed. If ctx is
// done while the change is in the queue, do returns without applying it.
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
		select { // the change is being committed, or this goroutine leads
		case <-c.lead:
			g.run()
		case <-c.done:
		}
	}
	return c.err
}

// run commits the queue. If changes arrived meanwhile, the first of them leads next.
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

// withdraw removes the change from the queue. It returns false if the change is not in
// the queue, or if its caller must commit the queue.
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

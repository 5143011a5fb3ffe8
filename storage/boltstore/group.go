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
	commit func([]*change) // runs the changes in one transaction and sets the err of each
	sem    chan struct{}   // semaphore for commit

	mu    sync.Mutex
	queue []*change // for the next transaction
}

func newGroup(commit func([]*change)) *group {
	return &group{commit: commit, sem: make(chan struct{}, 1)}
}

// change is one caller's change to the database.
type change struct {
	// apply is called in the transaction. If it returns an error, it must not have
	// changed anything; only its caller gets that error. The function it returns is
	// called after the commit. It is nil if apply changed nothing.
	apply func(*bbolt.Bucket) (committed func(), err error)

	err       error
	committed func()
	done      chan struct{} // closed when err is set
}

// do applies the change and returns when it is committed or has failed. If ctx is
// done while the change is in the queue, do returns without applying it.
func (g *group) do(ctx context.Context, apply func(*bbolt.Bucket) (func(), error)) error {
	c := &change{apply: apply, done: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, c)
	g.mu.Unlock()

	select {
	case g.sem <- struct{}{}:
		g.commitQueue()
		<-g.sem
	case <-c.done:
	case <-ctx.Done():
		if g.withdraw(c) {
			return ctx.Err()
		}
		<-c.done // another caller is committing it
	}
	return c.err
}

// commitQueue commits all changes in the queue. The caller must hold the semaphore.
func (g *group) commitQueue() {
	g.mu.Lock()
	batch := g.queue
	g.queue = nil
	g.mu.Unlock()

	g.commit(batch)
	for _, c := range batch {
		close(c.done)
	}
}

// withdraw removes the change from the queue. It returns false if the change is not in
// the queue.
func (g *group) withdraw(c *change) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, c)
	if i < 0 {
		return false
	}
	g.queue = slices.Delete(g.queue, i, i+1)
	return true
}

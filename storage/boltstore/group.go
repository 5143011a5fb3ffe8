package boltstore

import (
	"cmp"
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
	// begin prepares for commit, or fails all changes in the queue. It may wait for a lock,
	// and returns the error of ctx, which is that of one caller, if it is done.
	begin func(ctx context.Context) error

	// commit runs the changes in one transaction and sets the err of each. It may finish
	// those that only read before.
	commit func([]*change)

	sem chan struct{} // semaphore for begin and commit

	mu    sync.Mutex
	queue []*change // for the next transaction
}

func newGroup(begin func(context.Context) error, commit func([]*change)) *group {
	return &group{begin: begin, commit: commit, sem: make(chan struct{}, 1)}
}

// change is one caller's change to the database.
type change struct {
	reads bool // apply only reads

	// apply is called in the transaction. If it returns an error, it must not have
	// changed anything; only its caller gets that error. The function it returns is
	// called after the commit. It is nil if apply changed nothing.
	apply func(*bbolt.Bucket) (committed func(), err error)

	err       error
	committed func()
	finished  bool
	done      chan struct{} // closed when err is set
}

// finish makes do return err.
func (c *change) finish(err error) {
	if !c.finished {
		c.err, c.finished = err, true
		close(c.done)
	}
}

// do applies the change and returns when it is committed or has failed. If ctx is
// done while the change is in the queue, do returns without applying it.
func (g *group) do(ctx context.Context, c *change) error {
	c.done = make(chan struct{})
	g.mu.Lock()
	g.queue = append(g.queue, c)
	g.mu.Unlock()

	select {
	case g.sem <- struct{}{}:
		g.commitQueue(ctx)
		<-g.sem
	case <-c.done:
	case <-ctx.Done():
	}
	// If ctx is done, the change is in the queue, or another caller is committing it.
	if ctx.Err() != nil && g.withdraw(c) {
		return ctx.Err()
	}
	<-c.done
	return c.err
}

// commitQueue commits all changes in the queue, unless ctx is done before that is
// possible. The caller must hold the semaphore.
func (g *group) commitQueue(ctx context.Context) {
	g.mu.Lock()
	idle := len(g.queue) == 0
	g.mu.Unlock()
	if idle {
		return // another caller has committed all
	}
	err := g.begin(ctx)
	if err != nil && ctx.Err() != nil {
		return // the next caller tries
	}
	g.mu.Lock()
	batch := g.queue
	g.queue = nil
	g.mu.Unlock()

	if err == nil {
		g.commit(batch)
	}
	for _, c := range batch {
		c.finish(cmp.Or(err, c.err))
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

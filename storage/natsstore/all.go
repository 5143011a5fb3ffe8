package natsstore

import (
	"context"
	"iter"
	"sync"

	"github.com/seed-175555ba/tus-go/storage"
)

const (
	// readers is how many messages All reads at a time.
	readers = 8

	// span is how many sequences a reader takes at a time.
	span = 256
)

// result is what All yields.
type result struct {
	rec  storage.Record
	err  error
	last bool // the iteration ends
}

// All implements [storage.Store]. It reads the sequences that the stream has at the start,
// in ranges, each by one of several goroutines. A record that changes meanwhile gets a
// higher sequence, so it is not yielded twice.
func (s *Store) All(ctx context.Context) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		reading, cancel := context.WithCancel(ctx)
		results := make(chan result)
		go s.readAll(reading, results)
		defer func() {
			cancel()
			for range results { // until the readers have ended
			}
		}()
		for r := range results {
			if ctx.Err() != nil {
				break
			}
			if !yield(r.rec, r.err) || r.last {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(storage.Record{}, err)
		}
	}
}

// readAll sends all records to results and closes it.
func (s *Store) readAll(ctx context.Context, results chan<- result) {
	defer close(results)
	r, err := s.info(ctx, infoRequest{})
	if err == nil && r.StreamInfo == nil {
		err = errReply
	}
	if err != nil {
		results <- result{err: s.errorOf("", err), last: true}
		return
	}
	todo := &sequences{
		next: max(r.State.FirstSeq, 1), end: r.State.LastSeq + 1,
		outdated: r.State.Msgs > r.State.NumSubjects,
	}
	var group sync.WaitGroup
	for range readers {
		group.Go(func() {
			if err := s.read(ctx, todo, results); err != nil {
				results <- result{err: s.errorOf("", err), last: true}
			}
		})
	}
	group.Wait()
}

// read sends the records of the ranges that it takes.
func (s *Store) read(ctx context.Context, todo *sequences, results chan<- result) error {
	for first, end := todo.take(); first < end; first, end = todo.take() {
		for at := first; at < end; at++ {
			// The filter of all subjects is the one that the server does not have to match.
			m, err := s.get(ctx, getRequest{Sequence: at, Next: ">"})
			if err != nil {
				return err
			}
			if m == nil {
				todo.skipTo(todo.end)
				break
			}
			if at = m.sequence; at >= end {
				todo.skipTo(at)
				break
			}
			if m.isMarker() {
				continue
			}
			if todo.outdated {
				last, err := s.get(ctx, getRequest{Last: m.subject})
				if err != nil {
					return err
				}
				if last == nil || last.sequence != m.sequence {
					continue
				}
			}
			rec, err := s.unpack(m)
			if err != nil {
				err = s.errorOf(s.id(m), err)
			}
			results <- result{rec: rec, err: err}
		}
	}
	return nil
}

// sequences are the sequences of a stream that no reader has taken yet.
type sequences struct {
	mu        sync.Mutex
	next, end uint64

	// outdated is true if some messages are not the last of their subject: a change is in
	// progress, or the server was killed during one.
	outdated bool
}

// take returns the next range. It is empty if none is left.
func (q *sequences) take() (first, end uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first, end = q.next, min(q.next+span, q.end)
	q.next = max(q.next, end)
	return first, end
}

// skipTo skips the sequences before one, which the stream does not have.
func (q *sequences) skipTo(sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next = max(q.next, sequence)
}

package natsstore

import "sync"

// maxPositions is how many positions are kept, each about 100 bytes.
const maxPositions = 100_000

// positions are the sequences of records when this store last read or stored them. With them
// Put does not read the record first. An outdated one costs a request, because the server
// compares the sequence.
type positions struct {
	mu sync.Mutex
	of map[string]position // by ID
}

type position struct {
	revision int64
	sequence uint64
}

// get returns the sequence of a revision, and false if it is unknown.
func (p *positions) get(id string, revision int64) (sequence uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.of[id]
	if !ok || at.revision != revision {
		return 0, false
	}
	return at.sequence, true
}

// set stores a position. At the limit it drops another one.
func (p *positions) set(id string, revision int64, sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other := range p.of {
		if len(p.of) < maxPositions {
			break
		}
		delete(p.of, other)
	}
	p.of[id] = position{revision, sequence}
}

// forget removes a position.
func (p *positions) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.of, id)
}

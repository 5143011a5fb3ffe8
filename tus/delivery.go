package tus

import (
	"context"
	"net/url"
	"slices"

	"github.com/seed-175555ba/tus-go/storage"
)

// delivery brings the bytes of a source to the server: a [transfer], or a [parallel] upload.
type delivery interface {
	// step does the work of the current state, with at most one request; a parallel
	// upload: of each part.
	step(ctx context.Context) outcome
	// current returns the state.
	current() State
	// exists reports whether the server has anything of the upload.
	exists() bool
	// account returns what is known of the upload. It may be called from any goroutine.
	account() account
	// inOneRequest reports whether the creation carries all bytes.
	inOneRequest() bool
	// urls returns those of everything that the upload has on the server.
	urls() []*url.URL
	// describe fills in the parts of a record.
	describe(rec *storage.Record)
	// resume is called before the first step after a pause.
	resume()
	// rest ends what is read ahead.
	rest()
	// close frees what is held. No step follows it.
	close()
}

// machine is the state machine of a delivery.
type machine struct {
	state   State
	retries *retries
}

// step does the work of the current state, and enters the state that it leads to if the
// table allows that. Other outcomes, such as StatePaused, are for the owner.
func (m *machine) step(ctx context.Context, table func() (work func(context.Context) outcome, to []State)) outcome {
	m.retries.settling = 0 // of a Step that no wait followed
	from := m.state
	work, to := table()
	o := work(ctx)
	m.retries.returned(from, o.err)
	if slices.Contains(to, o.next) {
		m.enter(o.next)
	}
	return o
}

// enter is the only place where the state changes.
func (m *machine) enter(next State) { m.state = next }

func (m *machine) current() State { return m.state }

package tus

import (
	"context"
	"net/url"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// delivery sends the bytes of a source to the server: a [transfer], or a [parallel] upload.
type delivery interface {
	// step does the work of the current state, with at most one request; in a parallel
	// upload, for each part.
	step(ctx context.Context) outcome
	// current returns the state.
	current() State
	// exists reports whether the server has anything of the upload.
	exists() bool
	// account may be called from any goroutine.
	account() account
	// inOneRequest reports whether the creation contains all bytes.
	inOneRequest() bool
	// urls returns the URLs of all uploads on the server.
	urls() []*url.URL
	// describe sets the parts of a record.
	describe(rec *storage.Record)
	// resume is called before the first step after a pause.
	resume()
	// stopAhead stops reading and hashing ahead.
	stopAhead()
	// close closes the source. No other method is called after it.
	close()
}

// account is the state of the upload on the server, as far as it is known.
type account struct {
	url      *url.URL // nil until created, and if the creation completed the upload without a URL
	info     SourceInfo
	offset   int64 // acknowledged
	sent     int64 // offset up to which bytes were sent, acknowledged or not
	request  int64 // size of a request whose effect is unknown; 0 for none, and if its size is set
	expires  time.Time
	checksum string // the algorithm in use
}

// outcome is the result of a step.
type outcome struct {
	next      State
	err       error
	created   *created  // the upload that the step created; its offset is not reported yet
	resumed   *Resumed  // the upload of an earlier session whose offset the step requested
	patched   *Response // to a PATCH that succeeded
	refusal   error     // of the chunk that would have completed the upload
	lacks     bool      // the server has the upload, but not all bytes
	lost      bool      // the upload is gone, and the transfer starts over
	single    bool      // parts cannot be concatenated: the source is sent as one upload
	completed bool      // the creation completed the upload
	stopped   bool      // at stopAt
}

// machine is the state machine of a delivery.
type machine struct {
	state   State
	retries *retries
}

// step does the work of the current state. It enters the state that the outcome names if
// the table allows that; all others, such as StatePaused, are states of the Uploader only.
func (m *machine) step(ctx context.Context, table func() (work func(context.Context) outcome, to states)) outcome {
	m.retries.minWait = 0 // of a Step that no wait followed
	from := m.state
	work, to := table()
	if work == nil {
		return outcome{next: from}
	}
	o := work(ctx)
	m.retries.returned(from, o.err)
	if to.has(o.next) {
		m.enter(o.next)
	}
	return o
}

// enter is the only setter of the state.
func (m *machine) enter(next State) { m.state = next }

func (m *machine) current() State { return m.state }

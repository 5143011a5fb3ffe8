package tus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// Uploader is one upload as a state machine; see [State] for its table. Make
// it with [Client.NewUploader] and drive it with [Uploader.Run], or by hand
// with [Uploader.Step]. One goroutine drives at a time; the getters and
// [Uploader.Pause] may be called from any.
type Uploader struct {
	requester
	source Source
	opts   UploadOptions
	given  bool          // the URL is the caller's: nothing is created or forgotten
	turn   chan struct{} // holds a token while nobody drives

	pausing  sync.Mutex   // held while Pause has the turn, and while that changes
	aborting atomic.Int32 // how many wait for the turn to abort

	// For the driving goroutine only.
	info       SourceInfo
	prepared   bool // the source was looked at, and what depends on it decided
	budget     budget
	chunks     chunkSizer
	next       chunk // chosen in Ready, sent in Sending
	inline     bool  // the creation carries the bytes
	deferred   bool  // the server does not know the length
	retaken    bool  // the part was created again, as it was given the URL of another
	resuming   bool  // the next HEAD tells where an earlier session came to
	stopAt     int64
	renewed    renewals // where a 401 was answered with a repetition
	refusal    error    // of the chunk that would have completed the upload
	sentTo     int64    // all before it was sent, and the server did not show that it lacks some; 0 for none
	vain       int      // uploads in a row that were created and then gone before a byte was acknowledged
	absence    absence
	staleHeads int           // HEAD responses in a row below an acknowledged offset
	told       bool          // a request told the length, and may have been served unseen
	running    bool          // by Run, so that work for later steps is worth it
	contended  bool          // the last PATCH was refused for another request
	renewing   bool          // a repetition is due that costs no retry
	settling   time.Duration // the least wait before the server is asked again

	// What the store knows; see resume.go.
	record     *record // nil without a store
	ownKey     string  // tells uploads of the same source apart
	located    bool    // the store was asked
	candidates []*candidate
	best       *candidate
	unresumed  []string
	forgotten  bool           // an earlier upload is gone from the server
	adopted    bool           // a stored upload is gone on with
	resumed    storage.Record // of the stored upload that is resumed; no ID means none

	sums     sums    // see checksums.go
	stream   *stream // of a source of unknown size; see stream.go
	declared int64   // the length that the server knows for it

	hookTurn sync.Mutex // hooks run one at a time
	progress hookSet    // OnProgress of these is called; needs hookTurn
	parts    *parts     // of a parallel upload; see parallel.go
	position *position  // as a part of a parallel upload

	mu        sync.Mutex
	state     State
	failure   error // that it ended with
	url       *url.URL
	offset    int64
	highest   int64 // offset ever acknowledged
	interrupt context.CancelCauseFunc
	driving   context.Context // of who drives, for the log; nil before anybody did
	reported  time.Time       // of the last progress while bytes move
	expires   time.Time
	checksum  string // negotiated algorithm
	creation  *Response
	lastPatch *Response
	kept      http.Header // of the creation, perhaps by an earlier session
}

// NewUploader prepares the upload of source. opts may be nil, and may be changed
// and used again when it returns. Nothing is read or sent; options that cannot work
// are an error matching [ErrInvalidInput].
func (c *Client) NewUploader(source Source, opts *UploadOptions) (*Uploader, error) {
	if source == nil || nilPointer(source) {
		return nil, fmt.Errorf("%w: no source", ErrInvalidInput)
	}
	u := &Uploader{
		requester: requester{client: c},
		source:    source,
		turn:      make(chan struct{}, 1),
		budget:    budget{policy: c.retry},
	}
	if opts != nil {
		u.opts = *opts
		u.opts.Metadata, u.opts.PartMetadata = maps.Clone(opts.Metadata), maps.Clone(opts.PartMetadata)
		u.opts.PartBoundaries = slices.Clone(opts.PartBoundaries)
	}
	if err := u.opts.validate(); err != nil {
		return nil, err
	}
	if u.opts.URL != "" {
		given, err := parseURL("upload URL", u.opts.URL)
		if err != nil {
			return nil, err
		}
		u.url, u.given, u.resuming = given, true, true
	}
	u.progress = append(slices.Clone(c.hooks), &u.opts.Hooks)
	u.hooks = u.progress.serial(u)
	u.counters = &counters{onMoved: u.reportMovement}
	u.chunks, u.stopAt = newChunkSizer(&u.opts), u.opts.StopAt
	u.ownKey = u.opts.ResumeKey
	if u.ownKey == "" {
		u.ownKey = u.opts.Metadata.String()
	}
	if u.opts.filename != "" {
		u.opts.Metadata = Metadata{"filename": u.opts.filename}
	}
	if !u.given && c.store != nil {
		all := &records{store: c.store, required: c.requireStore, onFailure: u.storeFailed}
		all.holder = storage.Lease{Holder: storage.NewID(), Process: c.process}
		u.record = all.open(storage.Record{})
	}
	u.turn <- struct{}{}
	return u, nil
}

// Run drives the upload until it is complete, retrying temporary failures by
// the client's policy. It returns [ErrPaused] when the upload was paused, and
// the context's error when that ended; in both cases another Run continues.
// The package comment lists the errors. The result is never nil.
func (u *Uploader) Run(ctx context.Context) (*Result, error) {
	err := u.runUntil(ctx, func() bool { return false })
	return u.result(), err
}

// runUntil drives the upload to its end, or until there is enough of it.
func (u *Uploader) runUntil(ctx context.Context, enough func() bool) error {
	return u.drive(ctx, func(ctx context.Context) error {
		u.running = true
		defer func() { u.running = false }()
		defer u.closePipeline()
		for !enough() {
			err := u.step(ctx)
			state := u.State()
			if state.Final() || state == StatePaused {
				return err
			}
			if err != nil {
				if err := u.waitToRetry(ctx, err); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Step takes the upload one transition further, with at most one request; a second
// one, OPTIONS, follows a 404 or 410 without Tus-Resumable that stayed through as many
// Steps as there are retries. An error does not have to be the end: unless State is final, the next Step tries
// again, and it is for the caller to wait in between (see [IsTemporary]), for a
// stored upload that is held as long as [HeldError].Wait.
// A Step on a paused upload continues it. On a final state it returns nil if
// the upload is complete, and an error otherwise, which wraps what it failed with.
func (u *Uploader) Step(ctx context.Context) error {
	return u.drive(ctx, u.step)
}

// Pause stops the upload where it is: a request under way is cut. The Run or Step
// under way then returns [ErrPaused], and can be called again to continue. If none
// is, the state becomes [StatePaused], which the next one continues from. Pause does
// not wait and has no effect on a final state.
func (u *Uploader) Pause() {
	if u.interruptWith(ErrPaused) {
		return
	}
	u.pausing.Lock()
	defer u.pausing.Unlock()
	select {
	case <-u.turn:
		defer func() { u.turn <- struct{}{} }()
		// A hook that is told of it may call Pause as well.
		u.setInterrupt(func(error) {})
		defer u.setInterrupt(nil)
		if !u.State().Final() {
			u.pauseNow(context.Background())
		}
	default: // somebody began to drive just now
		u.interruptWith(ErrPaused)
	}
}

// interruptWith ends what is being done at the moment. It is false if nobody
// drives.
func (u *Uploader) interruptWith(cause error) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.interrupt == nil {
		return false
	}
	u.interrupt(cause)
	return true
}

func (u *Uploader) storeFailed(e StoreError) {
	e.Name = u.info.Name
	u.hooks.storeError(e)
}

// Abort gives the upload up: what runs is stopped, and the upload, with its parts
// if it is parallel, is deleted on the server (protocol section Termination),
// retrying by the client's policy, and from the store. An upload that is complete
// is left alone, with an error matching [ErrInvalidInput]: see [Client.Terminate].
// So is one that another Uploader is at work on, with [ErrLeaseLost]. The Run or Step
// under way returns [ErrPaused], later ones [ErrAborted].
func (u *Uploader) Abort(ctx context.Context) error {
	u.aborting.Add(1) // whoever begins to drive from now on is paused, too
	defer u.aborting.Add(-1)
	u.Pause()
	select {
	case <-u.turn:
		u.setDriving(ctx)
		defer func() {
			u.setDriving(context.Background())
			u.turn <- struct{}{}
		}()
	case <-ctx.Done():
		return contextError(ctx)
	}
	returned := false
	defer func() {
		if !returned {
			u.windUp(ctx)
		}
	}()
	err := u.abort(ctx)
	returned = true
	return err
}

// abort is Abort for the goroutine that has the turn.
func (u *Uploader) abort(ctx context.Context) error {
	switch u.State() {
	case StateAborted:
		return nil
	case StateComplete:
		return fmt.Errorf("%w: upload is complete", ErrInvalidInput)
	}
	if err := u.record.acquire(ctx); errors.Is(err, ErrLeaseLost) {
		if !u.State().Final() {
			u.enter(StateFailed, err)
			u.settle(ctx, err)
		}
		return err
	}
	for _, target := range u.targets() {
		if err := u.requester.terminate(ctx, target); err != nil {
			u.record.release(ctx)
			return err
		}
	}
	u.record.drop(ctx)
	u.enter(StateAborted, nil)
	u.settle(ctx, nil)
	return nil
}

// targets are the URLs of everything that the upload has on the server.
func (u *Uploader) targets() []*url.URL {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []*url.URL
	if u.url != nil {
		all = append(all, u.url)
	}
	return append(all, u.parts.urls()...)
}

// State returns where the upload is.
func (u *Uploader) State() State {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state
}

// Offset returns the offset in bytes that the server acknowledged last; of a
// parallel upload, how many bytes of all parts it has.
func (u *Uploader) Offset() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.offset
}

// URL returns the upload URL, empty as long as there is none.
func (u *Uploader) URL() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.url == nil {
		return ""
	}
	return u.url.String()
}

// Stats returns what the upload has cost so far.
func (u *Uploader) Stats() Stats { return u.counters.snapshot() }

func (u *Uploader) result() *Result {
	r := newResult()
	r.URL, r.Stats = u.URL(), u.Stats()
	u.mu.Lock()
	defer u.mu.Unlock()
	r.Checksum = u.checksum
	r.Size, r.Offset, r.Expires = u.info.Size, u.offset, u.expires
	if u.creation != nil {
		r.Creation = u.creation
	}
	if u.lastPatch != nil {
		r.LastPatch = u.lastPatch
	}
	maps.Copy(r.CreationHeader, u.kept.Clone())
	return r
}

// step does the work of the current state and enters the one that follows.
func (u *Uploader) step(ctx context.Context) error {
	from := u.State()
	row := transitions(from)
	u.renewing, u.settling = false, 0 // of a Step after which nobody waited
	if row.do == nil {
		if from == StateComplete {
			return nil
		}
		return &endedError{from, u.failure}
	}
	next, err := row.do(u, ctx)
	if !unauthorized(err) {
		u.renewed.giveBack(from)
	}
	if !row.allows(from, next) {
		next, err = StateFailed, fmt.Errorf("tus: defect: no transition from %v to %v", from, next)
	}
	switch {
	case next == StatePaused && err == nil:
		err = ErrPaused
	case next == StatePaused:
		err = withContext(ctx, err)
	case next == StateFailed:
		err = u.ofStored(err)
	}
	u.enter(next, err)
	return err
}

// enter is the only place where the state changes.
func (u *Uploader) enter(next State, cause error) {
	u.mu.Lock()
	from := u.state
	u.state = next
	switch u.failure = nil; next {
	case StateFailed:
		u.failure = cause
	case StateAborted:
		u.failure = ErrAborted
	}
	u.mu.Unlock()
	if next.Final() || next == StatePaused {
		u.counters.end()
	}
	if from == StateSending && next == StateRecovering {
		u.counters.update(func(s *Stats) { s.Recoveries++ })
	}
	if next != from {
		u.hooks.stateChange(StateEvent{Name: u.info.Name, From: from, To: next, Err: cause})
	}
}

// after judges a failure in state from: where does the upload go on?
func (u *Uploader) after(ctx context.Context, from State, err error) State {
	if contended(err) && IsTemporary(err) {
		u.leasedRecord().doubt()
	}
	switch {
	case ctx.Err() != nil:
		return StatePaused
	case uploadGone(err) && !u.given && u.created() && !errors.Is(err, errGoneAtOnce):
		return u.startOver(ctx, err)
	case from == StateSending && errors.Is(err, ErrNotRecoverable) && !ofHook(err) && u.adopted && u.Stats().Sent == 0:
		// The source cannot be read from where a stored upload stands, and no later
		// session will do better.
		return u.startOver(ctx, err)
	case unauthorized(err) && u.hooks.canRenew() && u.renewed.spend(from):
		u.renewing = true
	case !u.client.retry.shouldRetry(err, u.budget.failures+1):
		return StateFailed
	}
	if from == StateSending { // what arrived of the chunk is not known
		return StateRecovering
	}
	return from
}

// startOver forgets the upload, and says so.
func (u *Uploader) startOver(ctx context.Context, reason error) State {
	u.warn("tus starting over: "+reason.Error(), slog.String("url", u.client.showURL(u.URL())))
	return u.forget(ctx)
}

// forget drops an upload of ours that the server no longer has, or that the source
// cannot be gone on with; the next state begins a new one.
func (u *Uploader) forget(ctx context.Context) State {
	u.mu.Lock()
	lost := u.offset
	u.url, u.creation, u.offset, u.kept = nil, nil, 0, nil
	u.mu.Unlock()
	u.position.moved(-lost, 0)
	u.record.drop(ctx)
	adopted := u.adopted
	u.deferred, u.resuming, u.refusal, u.adopted = false, false, nil, false
	u.resumed = storage.Record{}
	u.counters.update(func(s *Stats) { s.Recreations++ })
	if err := u.budget.acknowledged(0, 0, 0); err != nil {
		return StateFailed
	}
	u.budget.reset(0) // the retries were spent on what is gone
	u.vain++
	if lost > 0 || adopted {
		u.vain = 0
	}
	if adopted { // how to send a new one was never decided
		return StateIdle
	}
	return StateCreating
}

// waitToRetry spends one failure of the budget and waits. An error means that
// the upload ended or was paused.
func (u *Uploader) waitToRetry(ctx context.Context, failure error) error {
	if u.renewing {
		u.renewing = false
		return nil
	}
	if held, ok := failure.(*HeldError); ok && u.State() == StateLocating {
		return u.rest(ctx, held.Wait)
	}
	wait, ok := u.client.spend(&u.budget, failure)
	if !ok {
		failure = u.ofStored(u.inConcatenation(failure))
		u.enter(StateFailed, failure)
		return failure
	}
	wait, u.settling = max(wait, u.settling), 0
	u.counters.update(func(s *Stats) { s.Retries++ })
	u.hooks.retry(RetryEvent{Name: u.info.Name, Attempt: max(1, u.budget.failures), Delay: wait, Err: failure})
	return u.rest(ctx, wait)
}

// rest waits between two steps. An error means that the upload was paused.
func (u *Uploader) rest(ctx context.Context, wait time.Duration) error {
	if err := sleep(ctx, wait); err != nil {
		u.enter(StatePaused, err)
		return err
	}
	return nil
}

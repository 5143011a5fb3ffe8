package tus

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// Uploader is one upload as a state machine; see [State] for its table. Make
// it with [Client.NewUploader] and drive it with [Uploader.Run], or by hand
// with [Uploader.Step]. One goroutine drives at a time; the getters and
// [Uploader.Pause] may be called from any.
type Uploader struct {
	requester
	opts     UploadOptions
	turn     *turn
	progress progressReporter

	// For the driving goroutine only.
	planner planner
	work    delivery // nil until the source was looked at and the server asked
	retries retries

	// What the store knows; see resume.go.
	record  *record        // nil without a store
	finder  *finder        // nil until the store was asked, and if nothing can be stored
	resumed storage.Record // of the stored upload that is resumed; no ID means none

	mu      sync.Mutex
	state   State
	failure error // that it ended with
	known   status
}

// status is what the getters return.
type status struct {
	url       *url.URL
	info      SourceInfo
	offset    int64
	highest   int64 // offset ever acknowledged
	expires   time.Time
	checksum  string // negotiated algorithm
	creation  *Response
	lastPatch *Response
	kept      http.Header // of the creation, perhaps by an earlier session
}

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

// NewUploader prepares the upload of source. opts may be nil, and may be changed
// and used again when it returns. Nothing is read or sent; options that cannot work
// are an error matching [ErrInvalidInput].
func (c *Client) NewUploader(source Source, opts *UploadOptions) (*Uploader, error) {
	switch {
	case source == nil:
		return nil, fmt.Errorf("%w: source is nil", ErrInvalidInput)
	case nilPointer(source):
		return nil, fmt.Errorf("%w: source is a nil %T", ErrInvalidInput, source)
	}
	u := &Uploader{
		requester: requester{client: c},
		turn:      newTurn(),
	}
	if opts != nil {
		u.opts = *opts
		u.opts.Metadata, u.opts.PartMetadata = maps.Clone(opts.Metadata), maps.Clone(opts.PartMetadata)
		u.opts.PartBoundaries = slices.Clone(opts.PartBoundaries)
	}
	if err := u.opts.validate(); err != nil {
		return nil, err
	}
	if err := c.checksums.Check(u.opts.Checksum); err != nil {
		return nil, err
	}
	if u.opts.URL != "" {
		var err error
		if u.known.url, err = parseURL("upload URL", u.opts.URL); err != nil {
			return nil, err
		}
	}
	u.progress.hooks = append(slices.Clone(c.hooks), &u.opts.Hooks)
	u.hooks = u.progress.hooks.serial(u)
	u.retries = u.newRetries()
	u.counters = &counters{onMoved: u.reportMovement}
	u.planner = planner{
		requester: u.requester, opts: &u.opts, external: u.known.url, owner: u, retries: &u.retries,
		sizer: newChunkSizer(&u.opts), sums: &sums{choice: u.opts.Checksum, client: c.checksums}, source: source,
	}
	if u.opts.filename != "" {
		u.opts.Metadata = Metadata{"filename": u.opts.filename}
	}
	if u.opts.URL == "" && c.store != nil {
		all := &records{store: c.store, required: c.requireStore, onFailure: u.storeFailed}
		all.holder = storage.Lease{Holder: storage.NewID(), Process: c.process}
		u.record = all.open(storage.Record{})
	}
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
		u.planner.sums.ahead = true
		defer func() { u.planner.sums.ahead = false }()
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

// State returns where the upload is.
func (u *Uploader) State() State {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state
}

// Offset returns the offset in bytes that the server acknowledged last; of a
// parallel upload, how many bytes of all parts it has.
func (u *Uploader) Offset() int64 { return u.status().offset }

// URL returns the upload URL, empty as long as there is none.
func (u *Uploader) URL() string {
	if at := u.status().url; at != nil {
		return at.String()
	}
	return ""
}

// Stats returns what the upload has cost so far.
func (u *Uploader) Stats() Stats { return u.counters.snapshot() }

func (u *Uploader) status() status {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.known
}

// learn changes the status.
func (u *Uploader) learn(change func(*status)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(&u.known)
}

func (u *Uploader) result() *Result {
	r := newResult()
	known := u.status()
	r.URL, r.Stats = u.URL(), u.Stats()
	r.Checksum = known.checksum
	r.Size, r.Offset, r.Expires = known.info.Size, known.offset, known.expires
	if known.creation != nil {
		r.Creation = known.creation
	}
	if known.lastPatch != nil {
		r.LastPatch = known.lastPatch
	}
	maps.Copy(r.CreationHeader, known.kept.Clone())
	return r
}

func (u *Uploader) storeFailed(e StoreError) {
	e.Name = u.status().info.Name
	u.hooks.storeError(e)
}

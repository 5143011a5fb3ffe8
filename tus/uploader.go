package tus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"

	"github.com/seed-175555ba/tus-go/storage"
)

// UploadFile is [Client.Upload] with the [File] at path.
func (c *Client) UploadFile(ctx context.Context, path string, opts *UploadOptions) (*Result, error) {
	return c.Upload(ctx, File(path), opts)
}

// Upload uploads source, retrying by the client's policy, until the server has all of it.
// When ctx ends, the upload stays resumable and the error matches ctx.Err(). opts may be
// nil. The result is never nil.
func (c *Client) Upload(ctx context.Context, source Source, opts *UploadOptions) (*Result, error) {
	u, err := c.NewUploader(source, opts)
	return upload(ctx, u, err)
}

// Resume resumes the upload at uploadURL with source, from the offset of the server. The
// upload may have been created by a backend or a hosted service: Resume never creates one.
// The error matches [ErrUploadGone] if there is no such upload, and [ErrSourceMismatch] if
// it has another size than source. Options.Header is sent only if the URL has the origin of
// the endpoint or a trusted one. opts may be nil. The result is never nil.
func (c *Client) Resume(ctx context.Context, uploadURL string, source Source, opts *UploadOptions) (*Result, error) {
	u, err := c.NewResumer(uploadURL, source, opts)
	return upload(ctx, u, err)
}

// upload runs an Uploader that no other Run follows. err is the error of its creation.
func upload(ctx context.Context, u *Uploader, err error) (*Result, error) {
	if err != nil {
		return newResult(), err
	}
	u.once = true
	return u.Run(ctx)
}

// Uploader is one upload as a state machine; see [State] for its table. Create it with
// [Client.NewUploader] and drive it with [Uploader.Run] or [Uploader.Step]. One goroutine
// at a time may drive it; the getters and [Uploader.Pause] may be called from any.
type Uploader struct {
	ledger
	opts    UploadOptions
	planner planner
	retries retries
	finder  *finder        // nil before the store is read, and if nothing can be stored
	resumed storage.Record // of the stored upload that is resumed; no ID means none
	token   *givenToken    // nil for none

	once    bool // no Run follows the first one
	state   State
	failure error // the cause of StateFailed or StateAborted
}

// NewUploader prepares the upload of source. opts may be nil, and may be modified after
// NewUploader returns. Nothing is read or sent. If an option is invalid, the error matches
// [ErrInvalidInput].
func (c *Client) NewUploader(source Source, opts *UploadOptions) (*Uploader, error) {
	return c.newUploader(nil, source, opts)
}

// NewResumer is [Client.NewUploader] for an existing upload, as in [Client.Resume].
func (c *Client) NewResumer(uploadURL string, source Source, opts *UploadOptions) (*Uploader, error) {
	at, err := parseURL("upload URL", uploadURL)
	if err != nil {
		return nil, err
	}
	return c.newUploader(at, source, opts)
}

// newUploader prepares an upload to the external URL, or to a new one if that is nil.
func (c *Client) newUploader(external *url.URL, source Source, opts *UploadOptions) (*Uploader, error) {
	switch {
	case source == nil:
		return nil, fmt.Errorf("%w: source is nil", ErrInvalidInput)
	case nilPointer(source):
		return nil, fmt.Errorf("%w: source is a nil %T", ErrInvalidInput, source)
	}
	u := &Uploader{ledger: ledger{requester: requester{client: c}, driving: newDriveLock(), known: status{url: external}}}
	if opts != nil {
		u.opts = *opts
		u.opts.Metadata, u.opts.ParallelOptions.PartMetadata = maps.Clone(opts.Metadata), maps.Clone(opts.ParallelOptions.PartMetadata)
		u.opts.ParallelOptions.PartBoundaries = slices.Clone(opts.ParallelOptions.PartBoundaries)
	}
	if err := u.opts.validate(); err != nil {
		return nil, err
	}
	if err := u.setHeader(u.opts.Header); err != nil {
		return nil, err
	}
	digest, err := newDigester(u.opts.Digest)
	if err != nil {
		return nil, err
	}
	u.digest = digest
	if err := c.checksums.Check(u.opts.Checksum); err != nil {
		return nil, fmt.Errorf("%w: UploadOptions.Checksum: %w", ErrInvalidInput, err)
	}
	if external != nil && (u.opts.Parallel > 1 || u.opts.Token != "") {
		return nil, fmt.Errorf("%w: an upload URL together with UploadOptions.Parallel or Token", ErrInvalidInput)
	}
	u.hooks = hookSet{hooks: append(slices.Clone(c.hooks), &u.opts.Hooks), uploader: u, mu: new(sync.Mutex)}
	u.retries = u.newRetries()
	u.counters, u.limit = &counters{onMoved: u.reportMovement}, c.limitOf(external)
	u.revision, u.checkLease = u.recordRevision, u.recheckLease
	u.planner = planner{
		requester: u.requester, opts: &u.opts, external: external, existing: external != nil, ledger: &u.ledger, retries: &u.retries,
		sizer: newChunkSizer(&u.opts, u.limit), sums: &sums{choice: u.opts.Checksum, client: c.checksums}, source: source,
		ownKey: cmp.Or(u.opts.ResumeKey, u.opts.Metadata.header()),
	}
	all := &records{store: c.opts.Store, clock: c.clock, lease: c.opts.Lease, required: c.opts.RequireStore, onFailure: u.hooks.storeError}
	if u.opts.Token != "" {
		if u.token, err = newGivenToken(&u.planner, all); err != nil {
			return nil, err
		}
	}
	if external == nil && all.store != nil {
		all.holder = storage.Lease{Holder: storage.NewID(), Process: c.process}
		u.setRecord(all.open(storage.Record{}))
	}
	return u, nil
}

// Run drives the upload until it is complete, retrying temporary failures by
// the client's policy. It returns [ErrPaused] when the upload was paused, and
// the error of ctx when ctx ended; in both cases another Run resumes it.
// The package comment lists the errors. The result is never nil.
func (u *Uploader) Run(ctx context.Context) (*Result, error) {
	err := u.drive(ctx, func(ctx context.Context) error {
		u.planner.sums.ahead = true
		defer func() { u.planner.sums.ahead = false }()
		ended := func() bool { return u.State().Final() || u.State() == StatePaused }
		step := func() (bool, error) {
			err := u.step(ctx)
			return ended(), err
		}
		exhausted, err := u.retries.repeat(ctx, u.requester, step)
		for exhausted && u.startsOver(ctx, err) {
			exhausted, err = u.retries.repeat(ctx, u.requester, step)
		}
		switch {
		case err == nil || ended():
		case exhausted:
			if u.State() == StateConcatenating && !errors.Is(err, ErrUnconfirmed) { // the server has all bytes
				err = fmt.Errorf("%w: %w", ErrUnconfirmed, err)
			}
			err = u.storedError(err)
			u.enter(StateFailed, err)
		default:
			u.enter(StatePaused, err)
		}
		return err
	})
	return u.result(), err
}

// Step makes one transition, with at most one request. A second one, OPTIONS, follows a 404
// or 410 without Tus-Resumable that persists through as many Steps as there are retries. In
// a parallel upload, a Step in [StateCreating] creates all parts, and one in [StateSending]
// sends them all, with the retries and waits of each part.
//
// After an error, unless State is final, the next Step retries. The caller waits in between
// (see [IsRetryable]), at most [HeldError].Wait if the stored upload is held. A Step on a
// paused upload resumes it. In a final state, Step returns nil if the upload is complete,
// and otherwise an error that wraps the original one.
func (u *Uploader) Step(ctx context.Context) error {
	return u.drive(ctx, u.step)
}

// Name returns the name of the source. It is empty before the first Step, for a source
// without a name, and for a nil Uploader, with which some hooks are called.
func (u *Uploader) Name() string {
	if u == nil {
		return ""
	}
	return u.status().info.Name
}

// State returns the current state.
func (u *Uploader) State() State {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state
}

// Offset returns the offset in bytes that the server acknowledged last; of a parallel
// upload, the sum of all parts.
func (u *Uploader) Offset() int64 { return u.status().offset }

// URL returns the upload URL, or "" if there is none.
func (u *Uploader) URL() string {
	if at := u.status().url; at != nil {
		return at.String()
	}
	return ""
}

// Stats returns the current counters.
func (u *Uploader) Stats() Stats {
	s := u.counters.snapshot()
	if u.opts.ChunkSize == 0 {
		s.RequestLimit = u.limit.get()
	}
	return s
}

func (u *Uploader) result() *Result {
	r := newResult()
	known := u.status()
	r.URL, r.Stats = u.URL(), u.Stats()
	r.Checksum, r.Digest = known.checksum, digestText(known.digest)
	r.Size, r.Offset, r.Expires = known.info.Size, known.offset, known.expires
	r.AlreadyComplete = known.recalled
	if known.creation != nil {
		r.Creation = known.creation
	} else {
		maps.Copy(r.Creation.Header, known.kept.Clone())
	}
	if known.lastPatch != nil {
		r.LastPatch = known.lastPatch
	}
	return r
}

package tus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// finder finds the stored upload that an upload resumes, if any: of those that the server
// still has, the one with the highest offset.
type finder struct {
	requester
	records *records
	source  SourceInfo
	opts    *UploadOptions
	ownKey  string // distinguishes uploads of the same source
	only    bool   // no upload is created if none can be resumed
	retries *retries

	looked     map[string]bool // IDs of the stored uploads that look found
	candidates []*candidate    // not decided yet
	best       *candidate      // of those whose offset is known; leased
	absence    absence         // of the first candidate
	decided    bool
	reserved   *record          // for a new upload; nil until reserve
	replaced   []storage.Record // completed uploads that do not end this one
	left       bool             // a candidate is left to another Uploader
	gone       bool             // a candidate is gone from the server
	unresumed  []string         // why stored uploads are not resumed
}

// candidate is a stored upload that may be resumed.
type candidate struct {
	rec     storage.Record // without the URLs of parts that cannot be resumed
	seen    time.Time      // when rec was first read
	lease   *storage.Lease // of rec at that time
	held    bool           // OnHeld has been called
	refused bool           // OnStoredUploadRefused has been called
	record  *record        // nil until acquired
	info    Info           // of the upload URL
	checked bool           // info is set
	next    int            // index of the next part to check
	parts   []int64        // the offsets of the parts; nil if none was checked
	gone    int            // number of parts that cannot be resumed
	offset  int64          // acknowledged, of all parts together
}

func newCandidate(rec storage.Record, seen time.Time) *candidate {
	return &candidate{rec: rec, seen: seen, lease: rec.Lease}
}

// look reads the stored uploads of the source. Completed ones come first, held ones last.
func (f *finder) look(ctx context.Context) error {
	stored, err := f.stored(ctx)
	if err != nil {
		return err
	}
	now := f.records.clock.earliest()
	var done, free, held []*candidate
	f.looked = map[string]bool{}
	for _, rec := range stored {
		f.looked[rec.ID] = named(rec)
		runs, reason := leaseRuns(rec.Lease, now), f.unusable(rec)
		c := newCandidate(rec, time.Now())
		switch {
		case completed(rec):
			if f.recalls(ctx, rec) {
				done = append(done, c)
			}
		case runs && (reason == "" || !named(rec)):
			held = append(held, c)
		case reason == "" && len(rec.Parts) > 0 && f.opts.StopAt > 0:
			return fmt.Errorf("%w: StopAt, but the stored upload is one of parallel parts", ErrInvalidInput)
		case reason == "":
			free = append(free, c)
		case runs:
			f.leave(ctx, rec, reason)
		default:
			f.discard(ctx, rec, f.records.open(rec), reason)
		}
	}
	f.candidates = slices.Concat(done, free, held)
	return nil
}

// reusable returns f if Stat shows whether the source has changed since, and otherwise nil.
func (f *finder) reusable() *finder {
	if f == nil || !f.source.dated() {
		return nil
	}
	return f
}

// stored returns the stored uploads that the options allow.
func (f *finder) stored(ctx context.Context) ([]storage.Record, error) {
	found, err := f.records.find(ctx, f.records.source.Fingerprint)
	if err != nil {
		if err := f.records.report(ctx, "find", err); err != nil {
			return nil, err
		}
	}
	previous := f.opts.Previous
	if previous == nil {
		return found, nil
	}
	if rec, ok := withID(found, previous.ID); ok {
		return []storage.Record{rec}, nil
	}
	f.leave(ctx, storage.Record{UploadURL: previous.URL}, "it is no longer stored")
	return nil, nil
}

const noUploadURL = "its record has no upload URL"

// unusable returns why a record can never be resumed with this source, empty if it may.
func (f *finder) unusable(rec storage.Record) string {
	switch {
	case !named(rec) && !completed(rec):
		return noUploadURL
	case len(rec.Parts) > 0 && !tile(rec): // the final upload would differ from the source
		return "its parts do not cover the source"
	case !rec.LengthDeferred && rec.Size != f.source.Size:
		return fmt.Sprintf("it has %d bytes, the source has %d", rec.Size, f.source.Size)
	case rec.Seal != "" && rec.Seal != sealOf(rec):
		return "its upload URL is not the one that was stored with it"
	}
	return ""
}

// undecided reports whether another step is needed.
func (f *finder) undecided() bool {
	return f != nil && !f.decided && (len(f.candidates) > 0 || f.best != nil)
}

// step sends one request, or decides. It returns the stored upload to resume; nil if there
// is none, or if another step is needed.
func (f *finder) step(ctx context.Context) (*candidate, error) {
	for len(f.candidates) > 0 {
		c := f.candidates[0]
		if !completed(c.rec) && !c.record.leased() {
			switch ok, err := f.acquire(ctx, c); {
			case err != nil:
				return nil, err
			case !ok:
				f.candidates = f.candidates[1:]
				continue
			}
		}
		if completed(c.rec) {
			if f.recalls(ctx, c.rec) {
				return f.recall(ctx)
			}
			if c.held {
				f.leave(ctx, c.rec, "its holder completed it")
			}
			f.candidates = f.candidates[1:]
			continue
		}
		if at := c.nextURL(); at != "" {
			return nil, f.check(ctx, c, at)
		}
		f.candidates = f.candidates[1:]
		if f.best == nil || c.offset > f.best.offset {
			c, f.best = f.best, c
		}
		if c != nil {
			c.record.release(ctx)
		}
	}
	return f.decide(ctx)
}

// decide returns the best candidate, if it still has its lease.
func (f *finder) decide(ctx context.Context) (*candidate, error) {
	best := f.best
	if best == nil {
		f.decided = true
		if f.gone {
			f.counters.update(func(s *Stats) { s.Restarts++ })
		}
		return nil, nil
	}
	err := best.record.renew(ctx)
	if err == nil && len(best.rec.Parts) == 0 && !best.info.Complete() {
		err = best.record.saveEnd(ctx, clearEnd)
	}
	switch {
	case errors.Is(err, ErrLeaseLost):
		f.best = nil
		return nil, f.look(ctx)
	case err != nil:
		return nil, err
	}
	f.best, f.decided = nil, true
	f.counters.update(func(s *Stats) { s.Restarts += best.gone })
	return best, nil
}

// nextURL returns the next URL to check, empty if there is none left. A final upload has the
// bytes of its parts.
func (c *candidate) nextURL() string {
	switch {
	case c.checked:
		return ""
	case c.rec.UploadURL != "":
		return c.rec.UploadURL
	}
	for ; c.next < len(c.rec.Parts); c.next++ {
		if at := c.rec.Parts[c.next].UploadURL; at != "" {
			return at
		}
	}
	return ""
}

// check requests the state of one URL of the first candidate. It discards an upload that is
// gone or does not match its record.
func (f *finder) check(ctx context.Context, c *candidate, target string) error {
	info, reason, err := f.head(ctx, c, target)
	switch {
	case err != nil:
		return err
	case c.rec.UploadURL == "":
		return f.checkPart(ctx, c, info, reason)
	}
	if reason == "" {
		if !f.opts.DeferLength {
			info = info.withLength(c.rec.Size)
		}
		reason = f.mismatch(c.rec, info)
	}
	switch err := f.source.matches(info); {
	case f.only && err != nil:
		f.discard(ctx, c.rec, c.record, reason)
		return err
	case reason == "" && info.Complete() && c.rec.Refusal != "":
		return fmt.Errorf("%w: an earlier session was refused the last bytes with %s", ErrUnconfirmed, c.rec.Refusal)
	case reason == "":
		c.checked, c.info, c.offset = true, info, info.Offset
		if len(c.rec.Parts) > 0 {
			c.offset = f.source.Size
		}
	case c.rec.Finishing:
		return fmt.Errorf("%w: %s", errGoneAtEnd, reason)
	default:
		f.dropFirst(ctx, c.record, reason)
	}
	return nil
}

// dropFirst discards the first candidate, which the server does not have.
func (f *finder) dropFirst(ctx context.Context, r *record, reason string) {
	f.gone = true
	f.discard(ctx, f.candidates[0].rec, r, reason)
	f.candidates = f.candidates[1:]
	f.absence = absence{}
}

// head sends HEAD to one URL of a candidate. It returns a reason if the URL cannot be
// resumed.
func (f *finder) head(ctx context.Context, c *candidate, target string) (info Info, reason string, err error) {
	at, err := parseURL("stored upload URL", target)
	if err != nil {
		return Info{}, "its upload URL is unusable", nil
	}
	q := f.requester
	q.revision = c.record.revision
	info, err = q.head(ctx, at)
	err = f.absence.note(ctx, f.requester, at, err, &f.retries.budget)
	switch {
	case !uploadGone(err):
		return info, "", err
	case c.rec.Finishing && target == c.rec.UploadURL:
		return Info{}, "", withCause(err, errGoneAtEnd)
	case f.only && target == c.rec.UploadURL:
		f.discard(ctx, c.rec, c.record, err.Error())
		return Info{}, "", err
	}
	f.retries.reset(0) // the failures were of the upload that is gone
	return Info{}, "the server no longer has it", nil
}

// mismatch returns why the upload on the server is not the one of a record, empty if it may
// be. Servers may omit metadata or add some: only a key with another value counts.
func (f *finder) mismatch(rec storage.Record, info Info) string {
	if err := f.source.matches(info); err != nil {
		return err.Error()
	}
	if len(rec.Parts) == 0 && info.Concat != "" && !(completed(rec) && info.Concat == concatFinal) {
		return "the server has a part or a final upload there"
	}
	sent := Metadata(rec.Metadata)
	if f.ownKey == f.opts.Metadata.header() { // the metadata are part of the resume key
		sent = f.opts.Metadata
	}
	for _, key := range slices.Sorted(maps.Keys(sent)) {
		if value := info.Metadata[key]; value != "" && value != sent[key] {
			return fmt.Sprintf("metadata %q on the server are those of another upload", key)
		}
	}
	return ""
}

// checkPart sets the offset of the next part, or removes its URL if there is a reason not to
// resume it.
func (f *finder) checkPart(ctx context.Context, c *candidate, info Info, reason string) error {
	if c.parts == nil {
		c.parts = make([]int64, len(c.rec.Parts))
	}
	p := &c.rec.Parts[c.next]
	if reason == "" {
		info = info.withLength(p.Size)
		switch {
		case info.LengthDeferred || info.Length != p.Size:
			reason = "the server has another length"
		case info.Concat == concatFinal:
			reason = "the server has a final upload there"
		}
	}
	if reason != "" {
		c.gone++
		p.UploadURL = ""
		f.warn(ctx, f.source.Name, fmt.Sprintf("tus starting over: part at offset %d: %s", p.Offset, reason))
	} else {
		c.parts[c.next] = info.Offset
		c.offset += info.Offset
	}
	c.next++
	exists := func(p storage.Part) bool { return p.UploadURL != "" }
	switch gone := c.nextURL() == "" && !slices.ContainsFunc(c.rec.Parts, exists); {
	case gone && c.rec.Finishing:
		return fmt.Errorf("%w: the final upload was requested, and now the parts are gone", ErrUnconfirmed)
	case gone && f.only:
		return fmt.Errorf("%w: all parts are gone: %s", ErrUploadGone, reason)
	}
	return nil
}

// release releases the candidates that were leased and not chosen.
func (f *finder) release(ctx context.Context) {
	if f == nil {
		return
	}
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	if f.best != nil {
		f.candidates = append(f.candidates, f.best)
	}
	for _, c := range f.candidates {
		c.record.release(ctx)
	}
	f.candidates, f.best = nil, nil
}

// discard drops a stored upload that cannot be resumed.
func (f *finder) discard(ctx context.Context, rec storage.Record, r *record, reason string) {
	r.drop(ctx)
	f.leave(ctx, rec, reason)
}

// leaveTo leaves a stored upload to another Uploader.
func (f *finder) leaveTo(ctx context.Context, rec storage.Record, reason string) {
	f.left = true
	f.leave(ctx, rec, reason)
}

// leave counts and logs a stored upload that is not resumed.
func (f *finder) leave(ctx context.Context, rec storage.Record, reason string) {
	f.unresumed = append(f.unresumed, reason)
	f.notResumed(ctx, f.source.Name, rec.UploadURL, reason)
}

// logStartOver logs why a new upload begins although some were stored.
func (f *finder) logStartOver(ctx context.Context) {
	if f != nil && len(f.unresumed) > 0 {
		f.warn(ctx, f.source.Name, "tus starting over: "+strings.Join(f.unresumed, "; "))
		f.unresumed = nil
	}
}

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
// still has, the one of which it has most.
type finder struct {
	requester
	records *records
	source  SourceInfo
	opts    *UploadOptions
	ownKey  string // distinguishes uploads of the same source
	retries *retries

	candidates []*candidate // not decided yet
	best       *candidate   // of those that the server was asked for; leased
	absence    absence      // of the first candidate
	decided    bool
	reserved   *record  // for a new upload; nil until reserve
	left       bool     // one of them is left to another Uploader
	gone       bool     // the server no longer has one of them
	unresumed  []string // why stored uploads are not resumed
}

// found is a stored upload, as the store and the server know it.
type found struct {
	rec    storage.Record // without the URLs of parts that are gone
	record *record        // leased
	info   Info           // of the upload URL
	parts  []int64        // the offsets of the parts; nil if they were not asked for
	gone   int            // how many parts the server no longer has
	offset int64          // acknowledged, of all parts together
}

// candidate is a stored upload that may be resumed.
type candidate struct {
	found
	seen  time.Time      // when rec was read …
	lease *storage.Lease // … with this lease
	known bool           // the hooks know that it is held
	whole bool           // the upload URL was asked for
	asked int            // how many parts were asked for
}

func newCandidate(rec storage.Record, seen time.Time) *candidate {
	return &candidate{found: found{rec: rec}, seen: seen, lease: rec.Lease}
}

// look reads the stored uploads of the source. Those that are free come first.
func (f *finder) look(ctx context.Context) error {
	stored, err := f.records.find(ctx)
	if err != nil {
		return err
	}
	if previous := f.opts.Previous; previous != nil {
		rec, ok := withID(stored, previous.ID)
		if stored = []storage.Record{rec}; !ok {
			stored = nil
			f.leave(ctx, storage.Record{UploadURL: previous.URL}, "it is no longer stored")
		}
	}
	now := time.Now()
	var free, held []*candidate
	for _, rec := range stored {
		runs, reason := leaseRuns(rec.Lease, now), f.unusable(rec)
		c := newCandidate(rec, now)
		switch {
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
	f.candidates = append(free, held...)
	return nil
}

const noUploadURL = "its record has no upload URL"

// unusable returns why a record can never be resumed with this source, empty if it may.
func (f *finder) unusable(rec storage.Record) string {
	switch {
	case !named(rec):
		return noUploadURL
	case len(rec.Parts) > 0 && !tile(rec): // would make other bytes of the source
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

// step makes one request, or decides. It returns the stored upload to resume; nil if there
// is none, or if another step is needed.
func (f *finder) step(ctx context.Context) (*found, error) {
	for len(f.candidates) > 0 {
		c := f.candidates[0]
		if !c.record.leased() {
			switch ok, err := f.acquire(ctx, c); {
			case err != nil:
				return nil, err
			case !ok:
				f.candidates = f.candidates[1:]
				continue
			}
		}
		if at := c.next(); at != "" {
			return nil, f.ask(ctx, c, at)
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

// decide returns the best candidate, whose lease may be over by now.
func (f *finder) decide(ctx context.Context) (*found, error) {
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
		err = saveEnd(ctx, best.record, notComplete)
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
	return &best.found, nil
}

// next returns the URL to ask for, empty if there is none left.
func (c *candidate) next() string {
	if c.rec.UploadURL != "" && !c.whole {
		return c.rec.UploadURL
	}
	if c.whole { // a final upload has the bytes of its parts
		return ""
	}
	for c.asked < len(c.rec.Parts) {
		if at := c.rec.Parts[c.asked].UploadURL; at != "" {
			return at
		}
		c.asked++
	}
	return ""
}

// ask asks the server for one URL of the first candidate. An upload that is gone, or is
// not what the record says, is discarded.
func (f *finder) ask(ctx context.Context, c *candidate, target string) error {
	info, reason, err := f.head(ctx, c, target)
	switch {
	case err != nil:
		return err
	case c.whole || c.rec.UploadURL == "":
		return f.askedPart(ctx, c, info, reason)
	}
	if reason == "" {
		if !f.opts.DeferLength {
			info = info.withLength(c.rec.Size)
		}
		reason = f.mismatch(c.rec, info)
	}
	switch {
	case reason == "" && info.Complete() && c.rec.Refusal != "":
		return fmt.Errorf("%w: an earlier session was refused the last bytes with %s", ErrUnconfirmed, c.rec.Refusal)
	case reason == "":
		c.whole, c.info, c.offset = true, info, info.Offset
		if len(c.rec.Parts) > 0 {
			c.offset = f.source.Size
		}
	case c.rec.Finishing:
		return fmt.Errorf("%w: %s", errGoneAtEnd, reason)
	default:
		f.gone = true
		f.discard(ctx, c.rec, c.record, reason)
		f.candidates = f.candidates[1:]
		f.absence = absence{}
	}
	return nil
}

// head asks for one URL of a candidate. It returns a reason if that is of no use.
func (f *finder) head(ctx context.Context, c *candidate, target string) (info Info, reason string, err error) {
	at, err := parseURL("stored upload URL", target)
	if err != nil {
		return Info{}, "its upload URL is unusable", nil
	}
	info, err = f.requester.head(ctx, at)
	err = f.absence.note(ctx, f.requester, at, err, &f.retries.budget)
	switch {
	case !uploadGone(err):
		return info, "", err
	case c.rec.Finishing && target == c.rec.UploadURL:
		return Info{}, "", withCause(err, errGoneAtEnd)
	}
	f.retries.reset(0) // the retries were spent on what is gone
	return Info{}, "the server no longer has it", nil
}

// mismatch returns why the upload on the server is not the one of a record, empty if it
// may be. Servers need not return metadata, and may add some, so only a key counts that
// has another value now.
func (f *finder) mismatch(rec storage.Record, info Info) string {
	if err := f.source.matches(info); err != nil {
		return err.Error()
	}
	if len(rec.Parts) == 0 && info.Concat != "" {
		return "the server has a part or a final upload there"
	}
	sent := Metadata(rec.Metadata)
	if f.ownKey == f.opts.Metadata.header() { // then the metadata are in the resume key
		sent = f.opts.Metadata
	}
	for _, key := range slices.Sorted(maps.Keys(sent)) {
		if value := info.Metadata[key]; value != "" && value != sent[key] {
			return fmt.Sprintf("metadata %q on the server are those of another upload", key)
		}
	}
	return ""
}

// askedPart notes the offset of a part, unless there is a reason not to use the part.
func (f *finder) askedPart(ctx context.Context, c *candidate, info Info, reason string) error {
	if c.parts == nil {
		c.parts = make([]int64, len(c.rec.Parts))
	}
	p := &c.rec.Parts[c.asked]
	if reason == "" {
		info = info.withLength(p.Size)
	}
	if reason == "" && (info.LengthDeferred || info.Length != p.Size) {
		reason = "the server has another length"
	} else if reason == "" && info.Concat == concatFinal {
		reason = "the server has a final upload there"
	}
	if reason != "" {
		c.gone++
		p.UploadURL = ""
		f.warn(ctx, f.source.Name, fmt.Sprintf("tus starting over: part at offset %d: %s", p.Offset, reason))
	} else {
		c.parts[c.asked] = info.Offset
		c.offset += info.Offset
	}
	c.asked++
	if c.next() != "" || !c.rec.Finishing {
		return nil
	}
	for _, p := range c.rec.Parts {
		if p.UploadURL != "" {
			return nil
		}
	}
	return fmt.Errorf("%w: the final upload was requested, and now the parts are gone", ErrUnconfirmed)
}

// asking returns the record of the upload that is asked for; without an ID if none is.
func (f *finder) asking() storage.Record {
	if f == nil || f.decided || len(f.candidates) == 0 {
		return storage.Record{}
	}
	return f.candidates[0].rec
}

// release releases what was leased and not chosen.
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

// leave notes a stored upload that is not resumed.
func (f *finder) leave(ctx context.Context, rec storage.Record, reason string) {
	f.unresumed = append(f.unresumed, reason)
	f.notResumed(ctx, f.source.Name, rec.UploadURL, reason)
}

// startOver logs that an upload begins from zero although some were stored.
func (f *finder) startOver(ctx context.Context) {
	if f != nil && len(f.unresumed) > 0 {
		f.warn(ctx, f.source.Name, "tus starting over: "+strings.Join(f.unresumed, "; "))
		f.unresumed = nil
	}
}

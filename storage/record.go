package storage

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"math"
	"net/textproto"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a record. They are far above what uploads need, and keep a hostile
// or damaged file from filling the memory.
const (
	maxIDLength = 64
	maxParts    = 100_000
	maxText     = 4 << 20 // bytes of all strings together
	maxHeader   = 64 << 10
)

// Record is one upload that can be resumed.
type Record struct {
	// ID tells the record from all others of a store: 1 to 64 characters out of
	// a-z, 0-9, '-' and '_', so that it can be part of a file name anywhere. Make
	// it with [NewID].
	ID string

	// Revision counts the times that the record was stored; 0 is a record that
	// never was. Stores set it: see [Store.Put].
	Revision int64

	// Fingerprint is the resume key, by which [Store.Find] finds the record. It
	// may be any bytes, but not empty, and never changes in a record's life.
	Fingerprint string

	// Endpoint is the URL at which the upload was created, empty if unknown.
	Endpoint string

	// UploadURL is where the upload is. It is empty while the upload is only
	// about to be created, or while only parts of it exist.
	UploadURL string

	// Size is the number of bytes of the whole upload. It has no meaning, and is
	// not stored, while LengthDeferred is true.
	Size int64

	// LengthDeferred is true while the size is not known yet.
	LengthDeferred bool

	// Parts are the pieces of a parallel upload, in order of offset and without
	// overlap. Nil for an upload in one piece.
	Parts []Part

	// Finishing is true as soon as the request that completes the upload may have been
	// sent: the last byte is about to leave, or the final upload of the parts is about
	// to be created. An upload that the server no longer has may then be complete.
	Finishing bool

	// Refusal is the server's error response to the request that carried the last byte,
	// for people; empty if there was none.
	Refusal string

	// Seal binds the upload URLs to the rest of the record: package tus does not resume a
	// record whose seal does not match. It guards against records that were mixed up, not
	// against malice. A record without a seal is taken as it is.
	Seal string

	// Metadata is what the upload was created with. Values may be any bytes.
	Metadata map[string]string

	// CreationHeader holds fields of the server's response to the creation, by their
	// canonical names (as of [net/http.Header]), with at most 64 KiB of UTF-8 text. Nil
	// if none were kept. It must not hold credentials.
	CreationHeader map[string][]string

	// Created and Updated are when the upload was begun and when this record was
	// last put, as the one who puts it says. Find orders by Updated.
	Created, Updated time.Time

	// Completed is when the server had acknowledged all bytes, and zero before that. A
	// completed record is kept so that the data is not uploaded again. Stores treat it
	// like any other: Find and All return it.
	Completed time.Time

	// Expires is when the server discards the upload, and zero if it did not say. In a
	// completed record it is when the record is no longer needed. [DeleteExpired]
	// compares it in both cases.
	Expires time.Time

	// Lease is who is at work on the upload; nil if nobody is.
	Lease *Lease
}

// Part is one piece of a parallel upload.
type Part struct {
	// Offset is where in the source the part begins, and Size its length, both
	// in bytes.
	Offset int64 `json:"offset"`
	Size   int64 `json:"size"`
	// UploadURL is the URL of the part. It is empty until the part is created.
	UploadURL string `json:"upload_url,omitempty"`
}

// Lease is a claim to be the only one at work on an upload. It ends by itself, so
// that an upload whose process died can be taken over. It is short, and renewed for
// as long as the work takes: one that ends more than two minutes from now was made
// by a clock that was wrong, and counts as over.
type Lease struct {
	// Holder is a random name of the uploader that holds the lease.
	Holder string `json:"holder"`
	// Process names the process that the holder lives in, in whatever way lets
	// others notice that it is gone; empty if that is not known.
	Process string `json:"process,omitempty"`
	// Until is when the lease ends if it is not renewed.
	Until time.Time `json:"until"`
}

// NewID returns an ID for a new record, or a Holder for a lease: 128 random bits
// in hexadecimal.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// longestLease is twice the lease that package tus takes, which leaves room for
// clocks that differ a little.
const longestLease = 2 * time.Minute

// Expired reports whether the server has forgotten the upload at the time now,
// and no [Lease] says that somebody is still at work on it. Both are told by now,
// so it should be the present.
func (r Record) Expired(now time.Time) bool {
	left := time.Duration(0)
	if r.Lease != nil {
		left = r.Lease.Until.Sub(now)
	}
	running := left > 0 && left <= longestLease
	return !r.Expires.IsZero() && !r.Expires.After(now) && !running
}

// Clone returns a deep copy, in the form in which stores return records: times in
// UTC without a monotonic clock reading, empty lists nil, and Size 0 where the
// length is deferred.
func (r Record) Clone() Record {
	r.Created, r.Updated, r.Completed, r.Expires = utc(r.Created), utc(r.Updated), utc(r.Completed), utc(r.Expires)
	if r.LengthDeferred {
		r.Size = 0
	}
	if r.Lease != nil {
		lease := *r.Lease
		lease.Until = utc(lease.Until)
		r.Lease = &lease
	}
	if len(r.Parts) == 0 {
		r.Parts = nil
	}
	r.Parts = slices.Clone(r.Parts)
	if len(r.Metadata) == 0 {
		r.Metadata = nil
	}
	r.Metadata = maps.Clone(r.Metadata)
	r.CreationHeader = cloneHeader(r.CreationHeader)
	return r
}

// cloneHeader leaves out names without values.
func cloneHeader(h map[string][]string) map[string][]string {
	var clone map[string][]string
	for name, values := range h {
		if len(values) > 0 {
			if clone == nil {
				clone = map[string][]string{}
			}
			clone[name] = slices.Clone(values)
		}
	}
	return clone
}

func utc(t time.Time) time.Time { return t.Round(0).UTC() }

// MostRecentFirst compares records by when they were updated, the latest first;
// then by when they were created, and by ID. It is the order of [Store.Find], for
// use with slices.SortFunc.
func MostRecentFirst(a, b Record) int {
	return cmp.Or(b.Updated.Compare(a.Updated), b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
}

// Validate returns an error matching [ErrInvalidRecord] if the record cannot be
// stored: without a usable ID or a fingerprint, with a negative size, with parts
// that overlap, are out of order or reach beyond the end, with text or times
// that do not survive being written down, or with what is not a header.
func (r Record) Validate() error {
	if !validID(r.ID) {
		return &Error{Err: invalid("ID %q is not 1 to %d characters of a-z, 0-9, - and _", clip(r.ID), maxIDLength)}
	}
	for _, check := range []func() error{r.validateNumbers, r.validateParts, r.validateTimes, r.validateText, r.validateHeader} {
		if err := check(); err != nil {
			return &Error{ID: r.ID, Err: err}
		}
	}
	return nil
}

func (r Record) validateNumbers() error {
	switch {
	case r.Revision < 0 || r.Revision == math.MaxInt64:
		return invalid("revision %d", r.Revision)
	case r.Fingerprint == "":
		return invalid("no fingerprint")
	case !r.LengthDeferred && r.Size < 0:
		return invalid("size of %d bytes", r.Size)
	}
	return nil
}

func (r Record) validateParts() error {
	if len(r.Parts) > maxParts {
		return invalid("%d parts, the limit is %d", len(r.Parts), maxParts)
	}
	limit := r.Size
	if r.LengthDeferred {
		limit = math.MaxInt64
	}
	var end int64
	for i, p := range r.Parts {
		switch {
		case p.Offset < 0 || p.Size < 0:
			return invalid("part %d at offset %d with %d bytes", i, p.Offset, p.Size)
		case p.Offset < end:
			return invalid("part %d at offset %d overlaps the one before it, which ends at %d", i, p.Offset, end)
		case p.Offset > limit || p.Size > limit-p.Offset:
			return invalid("part %d at offset %d with %d bytes reaches beyond the end", i, p.Offset, p.Size)
		}
		end = p.Offset + p.Size
	}
	return nil
}

func (r Record) validateTimes() error {
	times := []time.Time{r.Created, r.Updated, r.Completed, r.Expires}
	if r.Lease != nil {
		times = append(times, r.Lease.Until)
	}
	for _, t := range times {
		if year := t.UTC().Year(); year < 0 || year > 9999 {
			return invalid("time in the year %d", year)
		}
	}
	return nil
}

// validateText bounds the strings and finds those that JSON cannot hold. The
// fingerprint and the values of metadata may be binary. Errors do not quote them, as
// URLs may be secret.
func (r Record) validateText() error {
	total := len(r.Fingerprint)
	check := func(what, s string) error {
		total += len(s)
		if !utf8.ValidString(s) {
			return invalid("%s is not UTF-8", what)
		}
		return nil
	}
	texts := []struct{ what, text string }{{"endpoint", r.Endpoint}, {"upload URL", r.UploadURL}, {"refusal", r.Refusal}, {"seal", r.Seal}}
	if r.Lease != nil {
		texts = append(texts, struct{ what, text string }{"lease", r.Lease.Holder},
			struct{ what, text string }{"lease", r.Lease.Process})
	}
	for _, t := range texts {
		if err := check(t.what, t.text); err != nil {
			return err
		}
	}
	for _, p := range r.Parts {
		if err := check("upload URL of a part", p.UploadURL); err != nil {
			return err
		}
	}
	for k, v := range r.Metadata {
		total += len(v)
		if err := check("metadata key", k); err != nil {
			return err
		}
	}
	total += headerText(r.CreationHeader)
	if total > maxText {
		return invalid("%d bytes of text, the limit is %d", total, maxText)
	}
	return nil
}

// validateHeader accepts what HTTP takes as a header field. Errors name no value.
func (r Record) validateHeader() error {
	if n := headerText(r.CreationHeader); n > maxHeader {
		return invalid("%d bytes of creation header, the limit is %d", n, maxHeader)
	}
	for name, values := range r.CreationHeader {
		if !isToken(name) || textproto.CanonicalMIMEHeaderKey(name) != name {
			return invalid("creation header field %q is not a canonical name", clip(name))
		}
		for _, value := range values {
			if !utf8.ValidString(value) || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
				return invalid("value of creation header field %s is not text", name)
			}
		}
	}
	return nil
}

// headerText counts a name with each of its values, so that it bounds their number, too.
func headerText(h map[string][]string) (n int) {
	for name, values := range h {
		for _, value := range values {
			n += len(name) + len(value)
		}
	}
	return n
}

// isToken reports whether s is a token (RFC 9110, 5.6.2), as header names are.
func isToken(s string) bool {
	const others = "!#$%&'*+-.^_`|~"
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune(others, c))
	})
}

// validID keeps IDs to what is a distinct file name on every system: without
// upper case, as some take a and A for the same.
func validID(id string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyz0123456789-_"
	return id != "" && len(id) <= maxIDLength && strings.Trim(id, allowed) == ""
}

// clip keeps a hostile string out of error texts, but for its beginning.
func clip(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}

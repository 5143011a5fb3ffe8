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

// Limits of a record. They are far above what uploads need, and keep a hostile or
// corrupt file from exhausting memory.
const (
	maxIDLength = 64
	maxParts    = 100_000
	maxText     = 4 << 20 // bytes of all strings together
	maxHeader   = 64 << 10
	maxDigest   = 4 << 10 // bytes of state and sum
)

const (
	// idChars are the characters of an ID. Upper case is not allowed because some file
	// systems ignore case.
	idChars = "abcdefghijklmnopqrstuvwxyz0123456789-_"

	// tokenChars are the characters of a token (RFC 9110, 5.6.2), as header names are.
	tokenChars = "!#$%&'*+.^`|~ABCDEFGHIJKLMNOPQRSTUVWXYZ" + idChars
)

// Record describes one upload that can be resumed.
type Record struct {
	// ID is unique in a store: 1 to 64 characters of a-z, 0-9, '-' and '_', so that
	// any file system takes it as a name. [NewID] returns one.
	ID string

	// Revision is the number of times that the record was stored, and 0 in a new
	// record. Stores set it: see [Store.Put].
	Revision int64

	// Fingerprint is the resume key, by which [Store.Find] finds the record. It may be
	// any bytes, must not be empty, and never changes.
	Fingerprint string

	// Endpoint is the URL at which the upload was created, and empty if unknown.
	Endpoint string

	// UploadURL is the upload URL. It is empty until the upload is created, and while
	// only its parts exist.
	UploadURL string

	// Size is the number of bytes of the whole upload. It is not stored if
	// LengthDeferred is true.
	Size int64

	// LengthDeferred is true while the size is unknown.
	LengthDeferred bool

	// Parts are the parts of a parallel upload, in order of offset and without overlap.
	// It is nil for an upload without parts.
	Parts []Part

	// Finishing is true if the request that completes the upload may have been sent:
	// the one with the last byte, or the creation of the final upload. If the server no
	// longer has the upload, it may be complete.
	Finishing bool

	// Refusal is the server's error response to the request with the last byte, as
	// text. It is empty if there was none.
	Refusal string

	// Seal binds the upload URLs to the rest of the record: package tus does not resume a
	// record whose seal does not match. It protects against mistakes, not against
	// attacks. A record without a seal is not checked.
	Seal string

	// Metadata is the metadata of the upload. Values may be any bytes.
	Metadata map[string]string

	// CreationHeader has fields of the response to the creation, by their canonical
	// names (as in [net/http.Header]), with at most 64 KiB of UTF-8 text. It is nil if
	// none were kept. It must not have credentials.
	CreationHeader map[string][]string

	// Digest is how far the digest of the source is computed, and nil if none is.
	Digest *Digest

	// Progress is how far the upload was when the record was put, and nil if unknown.
	Progress *Progress

	// Created and Updated are when the upload was created and when the record was last
	// put, as set by the caller. Find orders by Updated.
	Created, Updated time.Time

	// Completed is when the server had acknowledged all bytes, and zero before that. A
	// completed record is kept so that the data is not uploaded again. Stores treat it
	// like any other: Find and All return it.
	Completed time.Time

	// Expires is when the server discards the upload, and zero if it did not say. In a
	// completed record it is when the record is no longer needed. [DeleteExpired]
	// compares it in both cases.
	Expires time.Time

	// Lease is the lease of the uploader that transfers the upload, and nil if none
	// does.
	Lease *Lease
}

// Part is one part of a parallel upload. The JSON names are those of [Encode].
type Part struct {
	// Offset is where in the source the part begins, in bytes.
	Offset int64 `json:"offset"`
	// Size is the number of bytes of the part.
	Size int64 `json:"size"`
	// UploadURL is the part URL. It is empty until the part is created.
	UploadURL string `json:"upload_url,omitempty"`
}

// Digest is a digest of the source that is computed while the bytes are sent. With its
// state, a later session continues it. The JSON names are those of [Encode].
type Digest struct {
	// Algorithm is the name of the algorithm, such as "sha256".
	Algorithm string `json:"algorithm"`
	// Offset is how many bytes are hashed, from the start of the source. The server may
	// have fewer or more.
	Offset int64 `json:"offset"`
	// State is the state of the hash after these bytes, as its MarshalBinary method
	// returns it. It is empty in a completed record.
	State []byte `json:"state,omitempty"`
	// Source identifies the version of the source that was hashed: if it is equal, the
	// hashed bytes are. It is empty if nothing proves that.
	Source string `json:"source,omitempty"`
	// Sum is the digest of the whole source in a completed record, and empty in others.
	Sum []byte `json:"sum,omitempty"`
}

// Progress is how far an upload was when its record was put. A later session compares it with
// the offset of the server: if an interrupted request left nothing there, as behind a proxy
// that buffers requests, it sends smaller ones. The JSON names are those of [Encode].
type Progress struct {
	// Acknowledged is how many bytes the server had acknowledged, of all parts together.
	Acknowledged int64 `json:"acknowledged"`
	// InFlight is the size in bytes of the largest request that was in flight or
	// interrupted, 0 if none was.
	InFlight int64 `json:"in_flight,omitempty"`
	// Limit is the maximum size in bytes of a request, because one that was interrupted left
	// nothing on the server; 0 for none.
	Limit int64 `json:"limit,omitempty"`
}

// Lease excludes other uploaders from an upload for a short time, so that another one
// can resume the upload if the process of its holder ends. The holder renews it. A lease
// that ends more than two minutes from now comes from a wrong clock and has no effect.
type Lease struct {
	// Holder is a random name of the uploader that holds the lease.
	Holder string `json:"holder"`
	// Process identifies the process of the holder, so that other processes of the
	// machine can detect that it ended. It is empty if unknown.
	Process string `json:"process,omitempty"`
	// Until is when the lease ends if it is not renewed.
	Until time.Time `json:"until"`
}

// NewID returns 128 random bits in hexadecimal, for use as a Record.ID or Lease.Holder.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Clone returns a deep copy in the form in which stores return records: times in UTC
// without a monotonic clock reading, nil for empty slices and maps, no header field
// without values, and Size 0 if the length is deferred.
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
	if r.Digest != nil {
		digest := *r.Digest
		digest.State, digest.Sum = append([]byte(nil), digest.State...), append([]byte(nil), digest.Sum...)
		r.Digest = &digest
	}
	if r.Progress != nil {
		progress := *r.Progress
		r.Progress = &progress
	}
	r.Parts = append([]Part(nil), r.Parts...)
	if len(r.Metadata) == 0 {
		r.Metadata = nil
	}
	r.Metadata = maps.Clone(r.Metadata)
	r.CreationHeader = maps.Clone(r.CreationHeader)
	maps.DeleteFunc(r.CreationHeader, func(_ string, values []string) bool { return len(values) == 0 })
	if len(r.CreationHeader) == 0 {
		r.CreationHeader = nil
	}
	for name, values := range r.CreationHeader {
		r.CreationHeader[name] = slices.Clone(values)
	}
	return r
}

func utc(t time.Time) time.Time { return t.Round(0).UTC() }

// MostRecentFirst compares records for slices.SortFunc: the one updated last comes
// first, then the one created last, then the one with the lower ID. It is the order of
// [Store.Find].
func MostRecentFirst(a, b Record) int {
	return cmp.Or(b.Updated.Compare(a.Updated), b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
}

// Validate returns an error matching [ErrInvalidRecord] if the record cannot be stored:
// an invalid ID, no fingerprint, a negative size, parts that overlap, are out of order or
// exceed the size, an invalid digest, text or times that cannot be encoded, or an invalid
// header.
func (r Record) Validate() error {
	if r.ID == "" || len(r.ID) > maxIDLength || strings.Trim(r.ID, idChars) != "" {
		return &Error{Err: invalid("ID %q is not 1 to %d characters of a-z, 0-9, - and _", clip(r.ID), maxIDLength)}
	}
	if err := cmp.Or(r.validateNumbers(), r.validateParts(), r.validateDigest(), r.validateTimes(), r.validateText(), r.validateHeader()); err != nil {
		return &Error{ID: r.ID, Err: err}
	}
	return nil
}

func (r Record) validateNumbers() error {
	switch {
	case r.Revision < 0 || r.Revision == math.MaxInt64:
		return invalid("revision %d is out of range", r.Revision)
	case r.Fingerprint == "":
		return invalid("no fingerprint")
	case !r.LengthDeferred && r.Size < 0:
		return invalid("negative size: %d", r.Size)
	case r.Progress != nil && min(r.Progress.Acknowledged, r.Progress.InFlight, r.Progress.Limit) < 0:
		return invalid("negative progress: %+v", *r.Progress)
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
			return invalid("part %d at offset %d overlaps the previous part, which ends at %d", i, p.Offset, end)
		case p.Offset > limit || p.Size > limit-p.Offset:
			return invalid("part %d at offset %d with %d bytes exceeds the size", i, p.Offset, p.Size)
		}
		end = p.Offset + p.Size
	}
	return nil
}

func (r Record) validateDigest() error {
	d := r.Digest
	switch {
	case d == nil:
		return nil
	case d.Algorithm == "":
		return invalid("digest without an algorithm")
	case d.Offset < 0 || !r.LengthDeferred && d.Offset > r.Size:
		return invalid("digest of %d bytes of %d", d.Offset, r.Size)
	case len(d.State)+len(d.Sum) > maxDigest:
		return invalid("%d bytes of digest, the limit is %d", len(d.State)+len(d.Sum), maxDigest)
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
			return invalid("year %d is out of range", year)
		}
	}
	return nil
}

// validateText limits the length of the strings, and requires UTF-8 where the encoding
// does. Errors do not quote the strings: URLs may be secret.
func (r Record) validateText() (err error) {
	total := len(r.Fingerprint) + headerText(r.CreationHeader)
	check := func(what, s string) {
		total += len(s)
		if !utf8.ValidString(s) {
			err = invalid("%s is not UTF-8", what)
		}
	}
	check("endpoint", r.Endpoint)
	check("upload URL", r.UploadURL)
	check("refusal", r.Refusal)
	check("seal", r.Seal)
	if r.Lease != nil {
		check("lease", r.Lease.Holder)
		check("lease", r.Lease.Process)
	}
	if r.Digest != nil {
		check("algorithm of the digest", r.Digest.Algorithm)
		check("source of the digest", r.Digest.Source)
	}
	for _, p := range r.Parts {
		check("upload URL of a part", p.UploadURL)
	}
	for k, v := range r.Metadata {
		check("metadata key", k)
		total += len(v)
	}
	if total > maxText {
		return invalid("%d bytes of text, the limit is %d", total, maxText)
	}
	return err
}

// validateHeader requires valid HTTP header fields. Errors do not quote values.
func (r Record) validateHeader() error {
	if n := headerText(r.CreationHeader); n > maxHeader {
		return invalid("%d bytes of creation header, the limit is %d", n, maxHeader)
	}
	for name, values := range r.CreationHeader {
		if name == "" || strings.Trim(name, tokenChars) != "" || textproto.CanonicalMIMEHeaderKey(name) != name {
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

// headerText returns the number of bytes of names and values. It counts a name with each
// of its values, so that the number of values is limited too.
func headerText(h map[string][]string) (n int) {
	for name, values := range h {
		for _, value := range values {
			n += len(name) + len(value)
		}
	}
	return n
}

// clip shortens a string of unknown origin for an error text.
func clip(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}

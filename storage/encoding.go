package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// encodingVersion is the version of the encoding that this release writes. A
// release that adds fields which older ones may ignore keeps it.
const encodingVersion = 1

// maxEncoded is the most that Decode looks at, in bytes. No valid record is
// larger: JSON makes at most 6 bytes of each byte of text.
const maxEncoded = 6*maxText + 256*maxParts

// Every record, in all versions, is in a frame of exactly this form:
//
//	{"version":1,"crc32c":"01234567","record":…}
//
// The checksum is CRC-32C over the version in decimal, a newline, and the bytes of
// the record. The frame is read byte by byte and not as JSON: the checksum has to
// be right before anything else of the content is believed.
const (
	frameVersion  = `{"version":`
	frameChecksum = `,"crc32c":"`
	frameRecord   = `","record":`
	frameEnd      = `}`
)

// jsonRecord is version 1 of a record. JSON cannot hold all that a Go string can:
// what is not UTF-8 goes into the fields whose names end in _base64.
type jsonRecord struct {
	ID                string              `json:"id"`
	Revision          int64               `json:"revision"`
	Fingerprint       string              `json:"fingerprint,omitempty"`
	FingerprintBase64 []byte              `json:"fingerprint_base64,omitempty"`
	Endpoint          string              `json:"endpoint,omitempty"`
	UploadURL         string              `json:"upload_url,omitempty"`
	Size              *int64              `json:"size,omitempty"` // absent while deferred
	Parts             []Part              `json:"parts,omitempty"`
	Finishing         bool                `json:"finishing,omitempty"`
	Refusal           string              `json:"refusal,omitempty"`
	Seal              string              `json:"seal,omitempty"`
	Metadata          map[string]string   `json:"metadata,omitempty"`
	MetadataBase64    map[string][]byte   `json:"metadata_base64,omitempty"`
	CreationHeader    map[string][]string `json:"creation_header,omitempty"`
	Created           time.Time           `json:"created,omitzero"`
	Updated           time.Time           `json:"updated,omitzero"`
	Completed         time.Time           `json:"completed,omitzero"`
	Expires           time.Time           `json:"expires,omitzero"`
	Lease             *Lease              `json:"lease,omitempty"`
}

// Encode returns the form in which stores keep a record: one line of JSON with a
// version and a checksum, and a newline. The same record gives the same bytes. The
// error matches [ErrInvalidRecord]; a stored record has a revision above 0.
func Encode(rec Record) ([]byte, error) {
	if err := rec.Validate(); err != nil {
		return nil, err
	}
	if rec.Revision == 0 {
		return nil, &Error{ID: rec.ID, Err: invalid("revision 0 is of a record that is not stored")}
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // URLs stay readable
	if err := enc.Encode(toJSON(rec.Clone())); err != nil {
		return nil, &Error{ID: rec.ID, Err: invalid("%w", err)}
	}
	record := bytes.TrimSuffix(body.Bytes(), []byte("\n"))
	version := strconv.Itoa(encodingVersion)
	out := make([]byte, 0, len(record)+64)
	out = append(out, frameVersion+version+frameChecksum+checksum(version, record)+frameRecord...)
	out = append(out, record...)
	return append(out, frameEnd+"\n"...), nil
}

// Decode is the reverse of [Encode]. Data that is not a valid record is an error
// matching [ErrCorrupt], and data in the format of a newer release, as far as its
// checksum is right, [ErrNewerVersion]. Fields that it does not know are ignored.
func Decode(data []byte) (Record, error) {
	if len(data) > maxEncoded {
		return Record{}, corrupt(fmt.Errorf("%d bytes are too large for a record", len(data)))
	}
	version, record, err := unframe(string(data))
	if err != nil {
		return Record{}, corrupt(err)
	}
	if version > encodingVersion {
		return Record{}, &Error{Err: fmt.Errorf("%w: record format %d, this one knows %d", ErrNewerVersion, version, encodingVersion)}
	}
	if version < 1 {
		return Record{}, corrupt(fmt.Errorf("record format %d", version))
	}
	var j jsonRecord
	if err := json.Unmarshal([]byte(record), &j); err != nil {
		return Record{}, corrupt(err)
	}
	rec, err := j.record()
	if err != nil {
		return Record{}, corrupt(err)
	}
	if err := rec.Validate(); err != nil {
		// Not ErrInvalidRecord, which blames what a caller wants to store.
		return Record{}, corrupt(errors.New(errors.Unwrap(err).Error()))
	}
	return rec, nil
}

// unframe takes a record out of its frame, whatever its version.
func unframe(data string) (version int64, record string, err error) {
	data = strings.TrimSuffix(data, "\n")
	data, ok := strings.CutPrefix(data, frameVersion)
	number, data, ok2 := strings.Cut(data, frameChecksum)
	sum, data, ok3 := strings.Cut(data, frameRecord)
	record, ok4 := strings.CutSuffix(data, frameEnd)
	if !ok || !ok2 || !ok3 || !ok4 {
		return 0, "", errors.New("not a record, or only a piece of one")
	}
	if want := checksum(number, []byte(record)); sum != want {
		return 0, "", fmt.Errorf("checksum is %s, not %q", want, clip(sum))
	}
	version, err = strconv.ParseInt(number, 10, 64)
	return version, record, err
}

func checksum(version string, record []byte) string {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Checksum([]byte(version+"\n"), table)
	return fmt.Sprintf("%08x", crc32.Update(sum, table, record))
}

func corrupt(cause error) error {
	return &Error{Err: fmt.Errorf("%w: %w", ErrCorrupt, cause)}
}

func toJSON(r Record) jsonRecord {
	j := jsonRecord{
		ID: r.ID, Revision: r.Revision, Endpoint: r.Endpoint, UploadURL: r.UploadURL,
		Parts: r.Parts, Finishing: r.Finishing, Refusal: r.Refusal, Seal: r.Seal, CreationHeader: r.CreationHeader,
		Created: r.Created, Updated: r.Updated, Completed: r.Completed, Expires: r.Expires, Lease: r.Lease,
		Metadata: map[string]string{}, MetadataBase64: map[string][]byte{},
	}
	if !r.LengthDeferred {
		j.Size = &r.Size
	}
	if utf8.ValidString(r.Fingerprint) {
		j.Fingerprint = r.Fingerprint
	} else {
		j.FingerprintBase64 = []byte(r.Fingerprint)
	}
	for k, v := range r.Metadata {
		if utf8.ValidString(v) {
			j.Metadata[k] = v
		} else {
			j.MetadataBase64[k] = []byte(v)
		}
	}
	return j
}

func (j jsonRecord) record() (Record, error) {
	r := Record{
		ID: j.ID, Revision: j.Revision, Fingerprint: j.Fingerprint, Endpoint: j.Endpoint,
		UploadURL: j.UploadURL, LengthDeferred: j.Size == nil, Parts: j.Parts, Finishing: j.Finishing,
		Refusal: j.Refusal, Seal: j.Seal, Metadata: j.Metadata, CreationHeader: j.CreationHeader,
		Created: j.Created, Updated: j.Updated, Completed: j.Completed, Expires: j.Expires, Lease: j.Lease,
	}
	if j.Revision < 1 {
		return Record{}, fmt.Errorf("revision %d", j.Revision)
	}
	if j.Fingerprint == "" {
		r.Fingerprint = string(j.FingerprintBase64)
	}
	if j.Size != nil {
		r.Size = *j.Size
	}
	for k, v := range j.MetadataBase64 {
		if r.Metadata == nil {
			r.Metadata = map[string]string{}
		}
		r.Metadata[k] = string(v)
	}
	return r.Clone(), nil
}

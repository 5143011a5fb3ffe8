package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// encodingVersion is the version of the encoding. It stays the same if a release adds
// fields that older releases may ignore.
const encodingVersion = 1

// maxEncoded is the size limit of Decode, in bytes. No valid record is larger: JSON
// encodes a byte of text in at most 6 bytes.
const maxEncoded = 6*maxText + 256*maxParts

// In all versions, a record is in a frame of exactly this form:
//
//	{"version":1,"crc32c":"01234567","record":…}
//
// The checksum is the CRC-32C of the version in decimal, a newline, and the bytes of the
// record. The frame is not parsed as JSON, so that nothing is parsed before its checksum
// is verified.
const (
	frameVersion  = `{"version":`
	frameChecksum = `,"crc32c":"`
	frameRecord   = `","record":`
	frameEnd      = `}`
)

// jsonRecord is version 1 of a record. JSON strings are UTF-8: other values are in the
// fields whose names end in _base64.
type jsonRecord struct {
	ID                string              `json:"id"`
	Revision          int64               `json:"revision"`
	Fingerprint       string              `json:"fingerprint,omitempty"`
	FingerprintBase64 []byte              `json:"fingerprint_base64,omitempty"`
	Endpoint          string              `json:"endpoint,omitempty"`
	UploadURL         string              `json:"upload_url,omitempty"`
	Size              *int64              `json:"size,omitempty"` // absent if deferred
	Parts             []Part              `json:"parts,omitempty"`
	Finishing         bool                `json:"finishing,omitempty"`
	Refusal           string              `json:"refusal,omitempty"`
	Seal              string              `json:"seal,omitempty"`
	Metadata          map[string]string   `json:"metadata,omitempty"`
	MetadataBase64    map[string][]byte   `json:"metadata_base64,omitempty"`
	CreationHeader    map[string][]string `json:"creation_header,omitempty"`
	Digest            *Digest             `json:"digest,omitempty"`
	Progress          *Progress           `json:"progress,omitempty"`
	Created           time.Time           `json:"created,omitzero"`
	Updated           time.Time           `json:"updated,omitzero"`
	Completed         time.Time           `json:"completed,omitzero"`
	Expires           time.Time           `json:"expires,omitzero"`
	Lease             *Lease              `json:"lease,omitempty"`
}

// Encode encodes a record as one line of JSON with a version and a checksum, and a
// newline. Equal records have the same encoding. Encode returns an error matching
// [ErrInvalidRecord] if the record is invalid or its revision is 0.
func Encode(rec Record) ([]byte, error) {
	if err := rec.Validate(); err != nil {
		return nil, err
	}
	if rec.Revision == 0 {
		return nil, &Error{ID: rec.ID, Err: invalid("revision 0")}
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // URLs stay readable
	if err := enc.Encode(toJSON(rec.Clone())); err != nil {
		return nil, &Error{ID: rec.ID, Err: invalid("%w", err)}
	}
	record := bytes.TrimSuffix(body.Bytes(), []byte("\n"))
	version := strconv.Itoa(encodingVersion)
	frame := frameVersion + version + frameChecksum + checksum(version, record) + frameRecord
	return slices.Concat([]byte(frame), record, []byte(frameEnd+"\n")), nil
}

// Decode is the reverse of [Encode]. It returns an error matching [ErrCorrupt] if the
// data is not a valid record, and [ErrNewerVersion] if it is of a newer version and its
// checksum is valid. It ignores unknown fields.
func Decode(data []byte) (Record, error) {
	if len(data) > maxEncoded {
		return Record{}, corrupt(fmt.Errorf("%d bytes, the limit is %d", len(data), maxEncoded))
	}
	version, record, err := unframe(string(data))
	if err != nil {
		return Record{}, corrupt(err)
	}
	if version > encodingVersion {
		return Record{}, &Error{Err: fmt.Errorf("%w: record version %d, newest supported is %d", ErrNewerVersion, version, encodingVersion)}
	}
	if version < 1 {
		return Record{}, corrupt(fmt.Errorf("record version %d", version))
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
		// ErrInvalidRecord is for records of the caller.
		return Record{}, corrupt(errors.New(errors.Unwrap(err).Error()))
	}
	return rec, nil
}

// unframe returns the content of a frame of any version.
func unframe(data string) (version int64, record string, err error) {
	data = strings.TrimSuffix(data, "\n")
	data, ok := strings.CutPrefix(data, frameVersion)
	number, data, ok2 := strings.Cut(data, frameChecksum)
	sum, data, ok3 := strings.Cut(data, frameRecord)
	record, ok4 := strings.CutSuffix(data, frameEnd)
	if !ok || !ok2 || !ok3 || !ok4 {
		return 0, "", errors.New("not an encoded record")
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
		Parts: r.Parts, Finishing: r.Finishing, Refusal: r.Refusal, Seal: r.Seal, CreationHeader: r.CreationHeader, Digest: r.Digest, Progress: r.Progress,
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
		Refusal: j.Refusal, Seal: j.Seal, Metadata: j.Metadata, CreationHeader: j.CreationHeader, Digest: j.Digest, Progress: j.Progress,
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

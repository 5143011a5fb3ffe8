package natsstore

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/seed-175555ba/tus-go/storage"
)

const (
	// compressAbove is the size in bytes above which records are compressed: those of
	// uploads with hundreds of parts. Smaller ones stay readable.
	compressAbove = 64 << 10

	// maxRecord is a limit for the size of decompressed records. Package storage has a
	// lower one.
	maxRecord = 64 << 20

	// groups is how many groups the IDs are divided into; see the package comment.
	groups = 512
)

// Headers of messages.
const (
	revisionHeader  = "Tus-Revision"
	attemptHeader   = "Tus-Attempt" // random, identifies the call that stored the message
	encodingHeader  = "Content-Encoding"
	deflate         = "deflate"
	operationHeader = "KV-Operation" // only a marker of a deleted record has it
	deleted         = "DEL"
	reasonHeader    = "Nats-Marker-Reason" // only a marker of the server has it
)

// message is a message of the stream: a record, or a marker of a deleted one.
type message struct {
	subject  string
	sequence uint64
	header   nats.Header
	data     []byte
}

func (s *Store) subject(key string) string { return "$KV." + s.bucket + "." + key }

// idGroup returns the group of an ID.
func idGroup(id string) string { return fmt.Sprintf("%03x", crc32.ChecksumIEEE([]byte(id))%groups) }

// hash returns the hash of a fingerprint.
func hash(fingerprint string) string {
	sum := sha256.Sum256([]byte(fingerprint))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// subjectOf returns the subject of a record.
func (s *Store) subjectOf(rec storage.Record) string {
	return s.subject(idGroup(rec.ID) + "." + hash(rec.Fingerprint) + "." + rec.ID)
}

// withID returns a filter for the subject of the record with an ID.
func (s *Store) withID(id string) string { return s.subject(idGroup(id) + ".*." + id) }

// withFingerprint returns a filter for the subjects of the records with a fingerprint.
func (s *Store) withFingerprint(fingerprint string) string {
	return s.subject("*." + hash(fingerprint) + ".*")
}

// isMarker reports whether the message is the marker of a deleted record.
func (m *message) isMarker() bool {
	return m.header.Get(operationHeader) != "" || m.header.Get(reasonHeader) != ""
}

// revision returns the revision that is stored, and 0 if there is no message or a marker.
func (m *message) revision() (int64, error) {
	if m == nil || m.isMarker() {
		return 0, nil
	}
	n, err := strconv.ParseInt(m.header.Get(revisionHeader), 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%w: no revision", storage.ErrCorrupt)
	}
	return n, nil
}

// id returns the ID of the record, or the key of a message of another program.
func (s *Store) id(m *message) string {
	key := strings.TrimPrefix(m.subject, s.subject(""))
	if tokens := strings.Split(key, "."); len(tokens) == 3 {
		return tokens[2]
	}
	return key
}

// pack returns the message of a record.
func (s *Store) pack(rec storage.Record) (*nats.Msg, error) {
	data, err := storage.Encode(rec)
	if err != nil {
		return nil, err
	}
	m := nats.NewMsg(s.subjectOf(rec))
	m.Header.Set(revisionHeader, strconv.FormatInt(rec.Revision, 10))
	m.Header.Set(attemptHeader, storage.NewID())
	large := len(data) > minRecord
	if len(data) > compressAbove {
		data = compress(data)
		m.Header.Set(encodingHeader, deflate)
	}
	m.Data = data
	if n := int64(len(data)) + missing(rec); large && n > s.limit {
		return nil, s.errorOf(rec.ID, fmt.Errorf("%w: %d bytes, the limit is %d", storage.ErrTooLarge, n, s.limit))
	}
	return m, nil
}

// missing returns an estimate of the bytes that a record grows by when its remaining parts
// are created. A record must not become too large during the upload.
func missing(rec storage.Record) int64 {
	longest, n := 0, 0
	for _, p := range rec.Parts {
		longest = max(longest, len(p.UploadURL))
		if p.UploadURL == "" {
			n++
		}
	}
	if longest == 0 {
		longest = 64
	}
	return int64(longest) * int64(n)
}

// unpack returns the record of a message.
func (s *Store) unpack(m *message) (storage.Record, error) {
	data := m.data
	if m.header.Get(encodingHeader) == deflate {
		var err error
		if data, err = decompress(data); err != nil {
			return storage.Record{}, fmt.Errorf("%w: %w", storage.ErrCorrupt, err)
		}
	}
	rec, err := storage.Decode(data)
	var decoding *storage.Error
	if errors.As(err, &decoding) {
		return storage.Record{}, decoding.Err
	}
	if revision, err := m.revision(); err != nil || revision != rec.Revision || s.subjectOf(rec) != m.subject {
		return storage.Record{}, fmt.Errorf("%w: not the record of its subject", storage.ErrCorrupt)
	}
	return rec, nil
}

func compress(data []byte) []byte {
	var buf bytes.Buffer
	w, _ := flate.NewWriter(&buf, flate.BestSpeed) // the level is valid
	w.Write(data)                                  // a buffer never fails
	w.Close()
	return buf.Bytes()
}

func decompress(data []byte) ([]byte, error) {
	r := flate.NewReader(bytes.NewReader(data))
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxRecord))
}

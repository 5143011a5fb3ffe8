package boltstore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/seed-175555ba/tus-go/storage"
)

// The names in the file. They are frozen, as is the form of the version: all
// releases have to recognise the files of all others.
const (
	schemaBucket  = "schema"
	versionKey    = "version"
	recordsBucket = "records"

	schemaVersion = 1
)

// key stands for a fingerprint, which may be long.
type key [16]byte

func keyOf(fingerprint string) key {
	sum := sha256.Sum256([]byte(fingerprint))
	return key(sum[:16])
}

// A value in the file is a header and an encoded record. The header has what is
// asked of many records at once, so that they need not be decoded for it:
//
//	 8 bytes  revision, big endian
//	16 bytes  the first half of the SHA-256 of the fingerprint
//	 4 bytes  CRC-32C of ID, revision and hash, big endian
type header struct {
	revision int64
	key      key
}

const headerSize = 8 + 16 + 4

// pack makes the value of a record from its encoded form.
func pack(id string, h header, record []byte) []byte {
	value := make([]byte, 0, headerSize+len(record))
	value = binary.BigEndian.AppendUint64(value, uint64(h.revision))
	value = append(value, h.key[:]...)
	value = binary.BigEndian.AppendUint32(value, headerSum(id, value))
	return append(value, record...)
}

func headerSum(id string, head []byte) uint32 {
	return crc32.Checksum(append([]byte(id), head...), crc32.MakeTable(crc32.Castagnoli))
}

var errHeader = errors.New("header does not match its checksum")

func unpackHeader(id, value []byte) (header, error) {
	if len(value) < headerSize || binary.BigEndian.Uint32(value[24:]) != headerSum(string(id), value[:24]) {
		return header{}, fmt.Errorf("%w: %w", storage.ErrCorrupt, errHeader)
	}
	return header{revision: int64(binary.BigEndian.Uint64(value)), key: key(value[8:24])}, nil
}

// unpack decodes the record of an ID.
func unpack(id, value []byte) (storage.Record, error) {
	h, err := unpackHeader(id, value)
	if err != nil {
		return storage.Record{}, err
	}
	rec, err := storage.Decode(value[headerSize:])
	if err != nil {
		return storage.Record{}, errors.Unwrap(err) // path and ID are told by the store
	}
	if rec.ID != string(id) || rec.Revision != h.revision || keyOf(rec.Fingerprint) != h.key {
		return storage.Record{}, fmt.Errorf("%w: it is another one than its header says", storage.ErrCorrupt)
	}
	return rec, nil
}

// indexKey is under which key a value is found. A header that is damaged must not
// hide the record from the one who looks for it, so what can be told otherwise
// counts then: the fingerprint in a record that is sound, or else the hash in the
// header as it is, which may be right.
func indexKey(id, value []byte) key {
	h, err := unpackHeader(id, value)
	if err == nil {
		return h.key
	}
	if len(value) < headerSize {
		return key{}
	}
	if rec, err := storage.Decode(value[headerSize:]); err == nil && rec.ID == string(id) {
		return keyOf(rec.Fingerprint)
	}
	return key(value[8:24])
}

// formatSchema makes the value that says in which layout the file is: the number
// and its checksum, as a damaged number must not pass for a newer release's.
func formatSchema(version int) []byte {
	text := fmt.Appendf(nil, "%d", version)
	return fmt.Appendf(text, " %08x", crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)))
}

func parseSchema(value []byte) (int, error) {
	var version int
	if _, err := fmt.Sscanf(string(value), "%d ", &version); err != nil || string(formatSchema(version)) != string(value) {
		return 0, fmt.Errorf("%w: no version of the layout", storage.ErrCorrupt)
	}
	return version, nil
}

package boltstore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/seed-175555ba/tus-go/storage"
)

// The names in the file. They and the encoding of the version never change, so that
// every release can detect the files of any other release.
const (
	schemaBucket  = "schema"
	versionKey    = "version"
	recordsBucket = "records"
	indexBucket   = "index"
	sharedKey     = "shared" // in the schema bucket of a file that was opened with Shared

	schemaVersion = 1
)

// key is a hash of a fingerprint.
type key [16]byte

func keyOf(fingerprint string) key {
	sum := sha256.Sum256([]byte(fingerprint))
	return key(sum[:16])
}

// A value in the file is a header and an encoded record. The header has the fields
// that Open and Put need, so that they do not decode the record:
//
//	 8 bytes  revision, big endian
//	16 bytes  the first half of the SHA-256 of the fingerprint
//	 4 bytes  CRC-32C of ID, revision and hash, big endian
type header struct {
	revision int64
	key      key
}

const headerSize = 8 + 16 + 4

// pack returns the value for an encoded record.
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

func unpackHeader(id, value []byte) (header, error) {
	if len(value) < headerSize || binary.BigEndian.Uint32(value[24:]) != headerSum(string(id), value[:24]) {
		return header{}, fmt.Errorf("%w: header does not match its checksum", storage.ErrCorrupt)
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
		return storage.Record{}, errors.Unwrap(err) // the store adds path and ID
	}
	if rec.ID != string(id) || rec.Revision != h.revision || keyOf(rec.Fingerprint) != h.key {
		return storage.Record{}, fmt.Errorf("%w: record does not match its header", storage.ErrCorrupt)
	}
	return rec, nil
}

// indexKey returns the key of a value in the index. Find must report a record whose
// header is corrupt. For such a record the key comes from the fingerprint in the record
// if the record is valid, and otherwise from the hash in the header, which may be right.
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

// formatSchema returns the value of the key "version": the layout version and its
// checksum. Without the checksum, a corrupt number could look like a newer version.
func formatSchema(version int) []byte {
	text := fmt.Appendf(nil, "%d", version)
	return fmt.Appendf(text, " %08x", crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)))
}

func parseSchema(value []byte) (int, error) {
	var version int
	if _, err := fmt.Sscanf(string(value), "%d ", &version); err != nil || string(formatSchema(version)) != string(value) {
		return 0, fmt.Errorf("%w: invalid layout version", storage.ErrCorrupt)
	}
	return version, nil
}

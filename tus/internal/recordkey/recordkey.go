// Package recordkey computes the key under which the record of an upload is stored.
package recordkey

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"regexp"
)

// readable matches a fingerprint that is safe as a file name and on a command line.
var readable = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// New returns a key that covers the fingerprint of the source, the scope (the endpoint
// of the upload) and the resume key (what distinguishes two uploads of one source; by
// default the metadata). Each of them may be empty.
//
// The key is the fingerprint, "-" and 32 hexadecimal digits of a hash of all three, so
// the fingerprint stays readable. A fingerprint that is not safe as a file name or on
// a command line is replaced by "key": one that is empty, longer than 100 bytes, does
// not start with a letter or digit, or contains anything but ASCII letters, digits,
// "-" and "_". A key has at most 133 bytes.
//
// The hash is the first 16 bytes of the SHA-256 of these four byte strings, each
// preceded by its length (8 bytes, big-endian): the four bytes "key1", the fingerprint,
// the scope and the resume key. It never changes, because stores hold the keys.
func New(fingerprint, scope, resumeKey string) string {
	var b []byte
	for _, s := range []string{"key1", fingerprint, scope, resumeKey} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	prefix := fingerprint
	if !readable.MatchString(fingerprint) {
		prefix = "key"
	}
	return prefix + "-" + hex.EncodeToString(sum[:16])
}

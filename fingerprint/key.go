package fingerprint

import (
	"crypto/sha256"
	"encoding/hex"
)

const (
	// maxReadable is how long a fingerprint may be to stay readable in a key.
	maxReadable = 100
	// unreadable stands in a key for a fingerprint that is no safe file name.
	unreadable = "key"
	keyHashLen = 16
)

// Key is the name under which the record of an upload is stored and found
// again. It covers the fingerprint of the source, the scope (which endpoint the
// upload goes to) and the resume key (what else tells two uploads of one source
// apart; the client takes the metadata unless it is told otherwise). Any of
// them may be empty.
//
// The key is the fingerprint, "-" and 32 hexadecimal digits that cover all
// three, so that a person sees which source it is. A fingerprint that would not
// be safe as a file name or on a command line is replaced by "key" in this
// readable part: one that is empty, longer than 100 bytes, does not start with
// a letter or digit, or has anything but ASCII letters, digits, "-" and "_".
// A key has therefore at most 133 bytes.
func Key(fingerprint, scope, resumeKey string) string {
	var b []byte
	for _, s := range []string{"key1", fingerprint, scope, resumeKey} {
		b = appendString(b, s)
	}
	sum := sha256.Sum256(b)
	prefix := fingerprint
	if !readable(fingerprint) {
		prefix = unreadable
	}
	return prefix + "-" + hex.EncodeToString(sum[:keyHashLen])
}

func readable(s string) bool {
	if s == "" || len(s) > maxReadable {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '-' || c == '_'):
		default:
			return false
		}
	}
	return true
}

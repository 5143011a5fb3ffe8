package checksum

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"hash/crc32"
)

// Algorithm is a checksum algorithm.
type Algorithm struct {
	// Name is the name in Tus-Checksum-Algorithm and Upload-Checksum, such as
	// "sha1": a lower-case token (RFC 9110, 5.6.2) other than "off".
	Name string
	// New returns a hash whose Sum is sent to the server.
	New func() hash.Hash
}

// Builtin returns sha256, sha1, sha512, md5 and crc32 (IEEE, four bytes, big-endian),
// in this order of preference. The package comment explains it.
func Builtin() []Algorithm {
	return []Algorithm{
		{"sha256", sha256.New},
		{"sha1", sha1.New},
		{"sha512", sha512.New},
		{"md5", md5.New},
		{"crc32", func() hash.Hash { return crc32.NewIEEE() }},
	}
}

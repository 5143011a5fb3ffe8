package checksum

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
)

// Algorithm is a checksum algorithm. The zero value is no algorithm.
type Algorithm struct {
	// Name is the name in Tus-Checksum-Algorithm and Upload-Checksum, such as
	// "sha1".
	Name string
	// New returns a hash whose Sum is sent to the server.
	New func() hash.Hash
}

// Set is a set of algorithms in order of preference. The zero value is empty and ready
// to use. A Set is safe for concurrent use and must not be copied.
type Set struct {
	mu         sync.RWMutex
	algorithms []Algorithm
}

// Builtin returns a new Set of sha256, sha1, sha512, md5 and crc32 (IEEE, four bytes,
// big-endian). The package comment explains the order.
func Builtin() *Set {
	return &Set{algorithms: []Algorithm{
		{"sha256", sha256.New},
		{"sha1", sha1.New},
		{"sha512", sha512.New},
		{"md5", md5.New},
		{"crc32", func() hash.Hash { return crc32.NewIEEE() }},
	}}
}

// Register adds an algorithm as the least preferred one. For another order, register
// the algorithms of Builtin in an empty Set; see [Set.Lookup]. The error matches
// [ErrInvalidAlgorithm] or [ErrDuplicateAlgorithm].
func (s *Set) Register(a Algorithm) error {
	if err := checkName(a.Name); err != nil {
		return err
	}
	if a.New == nil {
		return wrap(fmt.Errorf("%w: %s: New is nil", ErrInvalidAlgorithm, quote(a.Name)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index(a.Name) >= 0 {
		return wrap(fmt.Errorf("%w: %s", ErrDuplicateAlgorithm, quote(a.Name)))
	}
	s.algorithms = append(s.algorithms, a)
	return nil
}

// Lookup returns the algorithm with the name, ignoring case.
func (s *Set) Lookup(name string) (Algorithm, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i := s.index(lower(name)); i >= 0 {
		return s.algorithms[i], true
	}
	return Algorithm{}, false
}

// Names returns the names in order of preference.
func (s *Set) Names() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make([]string, len(s.algorithms))
	for i, a := range s.algorithms {
		names[i] = a.Name
	}
	return names
}

// index returns the index of the algorithm, or -1. The caller must hold s.mu.
func (s *Set) index(name string) int {
	return slices.IndexFunc(s.algorithms, func(a Algorithm) bool { return a.Name == name })
}

// checkName returns an error matching [ErrInvalidAlgorithm] if the name is invalid.
func checkName(name string) error {
	if !isToken(name) || name != lower(name) || name == textAuto || name == textOff {
		return wrap(fmt.Errorf("%w: name %s", ErrInvalidAlgorithm, quote(name)))
	}
	return nil
}

// isToken reports whether s is a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// lower is strings.ToLower for tokens. It returns any other string unchanged: ToLower
// maps U+212A, the Kelvin sign, to the ASCII letter k.
func lower(s string) string {
	if !isToken(s) {
		return s
	}
	return strings.ToLower(s)
}

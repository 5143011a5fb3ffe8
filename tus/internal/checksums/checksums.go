// Package checksums implements the parts of the Checksum extension that need no data:
// it selects the algorithm of an upload, and parses and formats header fields.
package checksums

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// Off is the choice that disables checksums.
const Off = "off"

// Set contains valid algorithms in order of preference. It is immutable.
type Set []checksum.Algorithm

// NewSet returns the set of the algorithms. It returns an error if New is nil, or if
// a name is not a lower-case token (RFC 9110, 5.6.2), is "off", or is not unique.
func NewSet(algorithms []checksum.Algorithm) (Set, error) {
	set := Set(slices.Clone(algorithms))
	for i, a := range set {
		name := httpx.QuoteShort(a.Name)
		switch {
		case !httpx.IsToken(a.Name) || a.Name != httpx.LowerASCII(a.Name):
			return nil, fmt.Errorf("%s is not a lower-case token", name)
		case a.Name == Off:
			return nil, fmt.Errorf("name %s is reserved", name)
		case a.New == nil:
			return nil, fmt.Errorf("%s has a nil New", name)
		case set.index(a.Name) < i:
			return nil, fmt.Errorf("%s is not unique", name)
		}
	}
	return set, nil
}

// Check returns an error unless choice is "" (automatic),
// [Off], or the name of an algorithm in the set, ignoring case.
func (s Set) Check(choice string) error {
	if choice == "" || choice == Off || s.index(choice) >= 0 {
		return nil
	}
	var names []string
	for _, a := range s {
		names = append(names, a.Name)
	}
	return fmt.Errorf("Options.Checksums does not have %s, %s", httpx.QuoteShort(choice), only(names))
}

// Select returns the algorithm for a server that advertises the given names. It returns
// false if no checksum should be sent: choice is [Off], or it is "" and the server
// advertises no algorithm of the set. It returns an error if choice is a name
// that is not in the set or not advertised.
//
// Names are compared ignoring case. The Name of the result has the spelling of the
// server, because some servers compare exactly.
func (s Set) Select(choice string, advertised []string) (checksum.Algorithm, bool, error) {
	if err := s.Check(choice); err != nil || choice == Off {
		return checksum.Algorithm{}, false, err
	}
	candidates := s
	if choice != "" {
		i := s.index(choice)
		candidates = s[i : i+1]
	}
	for _, a := range candidates {
		i := slices.IndexFunc(advertised, func(name string) bool { return httpx.LowerASCII(name) == a.Name })
		if i >= 0 {
			a.Name = advertised[i]
			return a, true, nil
		}
	}
	if choice == "" {
		return checksum.Algorithm{}, false, nil
	}
	return checksum.Algorithm{}, false, fmt.Errorf("server does not advertise %s, %s", httpx.QuoteShort(choice), only(advertised))
}

// index returns the first index of the algorithm with a name, ignoring case, or -1.
func (s Set) index(name string) int {
	name = httpx.LowerASCII(name)
	return slices.IndexFunc(s, func(a checksum.Algorithm) bool { return a.Name == name })
}

// only returns "none", or "only" and the first 8 names, quoted.
func only(names []string) string {
	const limit = 8
	if len(names) == 0 {
		return "none"
	}
	var quoted []string
	for _, name := range names[:min(len(names), limit)] {
		quoted = append(quoted, httpx.QuoteShort(name))
	}
	text := "only " + strings.Join(quoted, ", ")
	if more := len(names) - limit; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// ParseAlgorithms parses the values of Tus-Checksum-Algorithm, a comma-separated list
// in one or more header lines. It returns the names in the server's order and spelling,
// without duplicates and invalid names.
func ParseAlgorithms(values []string) []string {
	var names []string
	seen := map[string]bool{}
	for _, line := range values {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.Trim(name, " \t")
			if key := httpx.LowerASCII(name); httpx.IsToken(name) && !seen[key] {
				seen[key] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// FormatHeader returns the value of Upload-Checksum: the name of the algorithm,
// a space, and the checksum in base64.
func FormatHeader(name string, sum []byte) string {
	return name + " " + base64.StdEncoding.EncodeToString(sum)
}

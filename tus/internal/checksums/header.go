package checksums

import (
	"encoding/base64"
	"strings"
)

// ParseAlgorithms parses the values of Tus-Checksum-Algorithm, a comma-separated list
// in one or more header lines. It returns the names in the server's order and spelling,
// without duplicates and invalid names.
func ParseAlgorithms(values []string) []string {
	var names []string
	seen := map[string]bool{}
	for _, line := range values {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.Trim(name, " \t")
			if key := lower(name); isToken(name) && !seen[key] {
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

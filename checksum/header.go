package checksum

import (
	"encoding/base64"
	"fmt"
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

// ParseHeader parses a value of Upload-Checksum and returns the name in lower case and
// the checksum. The value must have one space, and padded base64 in canonical form of at
// least one byte. The error matches [ErrInvalidHeader].
func ParseHeader(value string) (name string, sum []byte, err error) {
	name, encoded, _ := strings.Cut(value, " ")
	if !isToken(name) {
		return "", nil, wrap(fmt.Errorf("%w: %s has no algorithm", ErrInvalidHeader, quote(value)))
	}
	if encoded == "" || strings.ContainsAny(encoded, "\r\n") { // the decoder skips line breaks
		return "", nil, wrap(fmt.Errorf("%w: %s has no checksum in base64", ErrInvalidHeader, quote(value)))
	}
	sum, err = base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return "", nil, wrap(fmt.Errorf("%w: %s: %w", ErrInvalidHeader, quote(value), err))
	}
	return lower(name), sum, nil
}

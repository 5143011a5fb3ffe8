package tus

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// Metadata is stored with an upload (protocol section Creation, Upload-Metadata). Keys are
// ASCII without spaces and commas; values are arbitrary bytes and may be empty. Common keys
// are "filename" and "filetype".
type Metadata map[string]string

// Validate returns an error matching [ErrInvalidInput] for the first key (in
// sorted order) that the protocol does not allow.
func (m Metadata) Validate() error {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if key == "" {
			return fmt.Errorf("%w: empty metadata key", ErrInvalidInput)
		}
		for i := range len(key) {
			if c := key[i]; c <= ' ' || c == ',' || c >= 0x7f {
				return fmt.Errorf("%w: metadata key %s: only ASCII without spaces and commas is allowed",
					ErrInvalidInput, httpx.QuoteShort(key))
			}
		}
	}
	return nil
}

// header returns the value of the Upload-Metadata header, with the keys sorted so that equal
// metadata has equal headers. A key with an empty value stands alone, as the protocol
// allows.
func (m Metadata) header() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(key)
		if value := m[key]; value != "" {
			b.WriteByte(' ')
			b.WriteString(base64.StdEncoding.EncodeToString([]byte(value)))
		}
	}
	return b.String()
}

// parseMetadata reads an Upload-Metadata header. Pairs that cannot be decoded are left out:
// metadata does not decide what is uploaded.
func parseMetadata(value string) Metadata {
	m := Metadata{}
	for pair := range strings.SplitSeq(value, ",") {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if key == "" {
			continue
		}
		// Some servers leave the padding out.
		encoded = strings.TrimRight(strings.TrimSpace(encoded), "=")
		decoded, err := base64.RawStdEncoding.DecodeString(encoded)
		if err != nil {
			continue
		}
		m[key] = string(decoded)
	}
	if len(m) == 0 {
		return nil
	}
	return m
}

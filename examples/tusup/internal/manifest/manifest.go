// Package manifest reads and writes lists of SHA-256 digests in the format of sha256sum of
// GNU coreutils.
//
// A manifest that Write made has a comment with the upload URL before each entry, which
// sha256sum -c ignores.
package manifest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Entry is the digest of one file.
type Entry struct {
	// Digest is the SHA-256 digest in lower-case hexadecimal.
	Digest string
	// Name is the path of the file, "-" for standard input. It may have any bytes but NUL.
	Name string
	// URL is the upload URL; "" if unknown.
	URL string
}

const digestLength = 64 // hexadecimal digits

// escapes are the characters that sha256sum escapes in names. A line with one of them
// begins with a backslash.
var escapes = [][2]string{{`\`, `\\`}, {"\n", `\n`}, {"\r", `\r`}}

// String returns the lines of e in a manifest.
func (e Entry) String() string {
	var b strings.Builder
	if e.URL != "" && !strings.ContainsAny(e.URL, "\r\n") {
		b.WriteString("# " + e.URL + "\n")
	}
	name := e.Name
	for _, pair := range escapes {
		name = strings.ReplaceAll(name, pair[0], pair[1])
	}
	if name != e.Name {
		b.WriteByte('\\')
	}
	b.WriteString(e.Digest + "  " + name + "\n")
	return b.String()
}

// LineError is a line that is not in the format of sha256sum.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns Err.
func (e *LineError) Unwrap() error { return e.Err }

// maxManifest is the maximum size of a manifest, enough for some million entries.
const maxManifest = 1 << 30

// Read returns the entries of a manifest in text or binary mode, with or without comments.
// It returns an error of type *LineError for each other line, and the error of r if there
// is one.
func Read(r io.Reader) ([]Entry, []error) {
	data, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	switch {
	case err != nil:
		return nil, []error{err}
	case len(data) > maxManifest:
		return nil, []error{fmt.Errorf("manifest has more than %d bytes", maxManifest)}
	}
	var entries []Entry
	var errs []error
	url, number := "", 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if comment, ok := strings.CutPrefix(line, "#"); ok {
			url = urlOf(comment)
			continue
		}
		if line = strings.TrimSuffix(line, "\r"); line == "" { // a CR in a name is escaped
			continue
		}
		entry, err := parse(line)
		if err != nil {
			errs = append(errs, &LineError{number, err})
		} else {
			entry.URL = url
			entries = append(entries, entry)
		}
		url = ""
	}
	return entries, errs
}

// urlOf returns the URL in a comment, "" if it has none.
func urlOf(comment string) string {
	text := strings.TrimSpace(comment)
	if strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://") {
		return text
	}
	return ""
}

// parse parses the line of an entry.
func parse(line string) (Entry, error) {
	line, escaped := strings.CutPrefix(line, `\`)
	if len(line) < digestLength+3 {
		return Entry{}, errors.New("no SHA-256 digest and name")
	}
	digest, mark, name := line[:digestLength], line[digestLength:digestLength+2], line[digestLength+2:]
	if _, err := hex.DecodeString(digest); err != nil {
		return Entry{}, errors.New("no SHA-256 digest")
	}
	if mark != "  " && mark != " *" {
		return Entry{}, errors.New("no two spaces, or space and *, after the digest")
	}
	if escaped {
		var err error
		if name, err = unescape(name); err != nil {
			return Entry{}, err
		}
	}
	if strings.IndexByte(name, 0) >= 0 {
		return Entry{}, errors.New("name has a NUL byte")
	}
	return Entry{Digest: strings.ToLower(digest), Name: name}, nil
}

// unescape reverses the escapes of a name.
func unescape(name string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '\\' {
			b.WriteByte(name[i])
			continue
		}
		i++
		switch {
		case i < len(name) && name[i] == '\\':
			b.WriteByte('\\')
		case i < len(name) && name[i] == 'n':
			b.WriteByte('\n')
		case i < len(name) && name[i] == 'r':
			b.WriteByte('\r')
		default:
			return "", errors.New(`name has a backslash that is not \\, \n or \r`)
		}
	}
	return b.String(), nil
}

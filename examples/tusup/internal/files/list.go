package files

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxPath is the maximum length of a path in a list, far above what systems allow.
const maxPath = 64 << 10

// Separator ends each path of a list.
type Separator byte

// Newline allows CRLF as well. A name with a newline, or with a carriage return at its
// end, requires NUL.
const (
	Newline Separator = '\n'
	NUL     Separator = 0
)

// ReadList reads a list of paths. Empty ones are ignored; the others are not changed, and
// need not be UTF-8.
func ReadList(r io.Reader, separator Separator) ([]string, error) {
	var paths []string
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxPath)
	scanner.Split(separator.split)
	for n := 1; scanner.Scan(); n++ {
		text := scanner.Text()
		if separator == Newline {
			text = strings.TrimSuffix(text, "\r")
			if strings.IndexByte(text, 0) >= 0 {
				return nil, fmt.Errorf("line %d has a NUL byte: the list is separated by NUL", n)
			}
		}
		if text != "" {
			paths = append(paths, text)
		}
	}
	if err := scanner.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("a path has more than %d bytes", maxPath)
		}
		return nil, err
	}
	return paths, nil
}

// split is a bufio.SplitFunc.
func (s Separator) split(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, byte(s)); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

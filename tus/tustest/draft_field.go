package tustest

import (
	"errors"
	"net/http"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// The server has its own reader and writer of structured fields (RFC 9651), so that a
// mistake of the client does not meet the same mistake here.

const (
	headerInterop    = "Upload-Draft-Interop-Version"
	headerComplete   = "Upload-Complete"
	headerIncomplete = "Upload-Incomplete"
	partialUpload    = "application/partial-upload"
)

var errField = errors.New("not a structured field of its type")

// readItem returns the bare item of a field without its parameters.
func readItem(lines []string, bare string) (string, error) {
	const parameters = `(?:; *[a-z*][a-z0-9_.*-]*(?:=(?:[!-+\x2d-:<-~]|"[^"\\]*")+)?)*`
	all := regexp.MustCompile(`^ *(` + bare + `)` + parameters + ` *$`).FindStringSubmatch(strings.Join(lines, ", "))
	if all == nil {
		return "", errField
	}
	return all[1], nil
}

func readInteger(lines []string) (int64, error) {
	item, err := readItem(lines, `-?[0-9]{1,15}`)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(item, 10, 64)
}

func readBoolean(lines []string) (bool, error) {
	item, err := readItem(lines, `\?[01]`)
	return item == "?1", err
}

func writeBoolean(b bool) string {
	if b {
		return "?1"
	}
	return "?0"
}

// writeDictionary returns a dictionary of integers.
func writeDictionary(members map[string]int64) string {
	var list []string
	for key, n := range members {
		list = append(list, key+"="+strconv.FormatInt(n, 10))
	}
	sort.Strings(list)
	return strings.Join(list, ", ")
}

// size returns a field of the request that is a non-negative Integer.
func (e *exchange) size(name string) (n int64, present bool, refused *draftRefusal) {
	lines := e.r.Header.Values(name)
	if len(lines) == 0 {
		return 0, false, nil
	}
	n, err := readInteger(lines)
	if err != nil || n < 0 {
		return 0, false, e.refuse(http.StatusBadRequest, name+" is not a non-negative Integer")
	}
	return n, true, nil
}

// ended returns whether the content of the request is the end of the upload.
func (e *exchange) ended() (bool, *draftRefusal) {
	name, other := headerComplete, headerIncomplete
	if e.version == 3 {
		name, other = other, name
	}
	lines := e.r.Header.Values(name)
	switch {
	case e.is(DialectTusd):
		return strings.Join(lines, ", ") == writeBoolean(e.version != 3), nil
	case e.r.Header.Get(other) != "":
		return false, e.refuse(http.StatusBadRequest, other+" is of another version")
	case len(lines) == 0 && e.version == 3 && e.r.Header.Get("Upload-Offset") != "":
		return true, nil
	}
	value, err := readBoolean(lines)
	if err != nil {
		return false, e.refuse(http.StatusBadRequest, name+" is absent or not a Boolean")
	}
	return value != (e.version == 3), nil
}

// setComplete sets whether the upload is complete.
func (e *exchange) setComplete(complete bool) {
	e.setCompleteAs(complete, e.version == 3)
}

func (e *exchange) setCompleteAs(complete, inverted bool) {
	if inverted {
		e.w.Header().Set(headerIncomplete, writeBoolean(!complete))
	} else {
		e.w.Header().Set(headerComplete, writeBoolean(complete))
	}
}

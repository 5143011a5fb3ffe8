// Package sfv reads and writes structured fields (RFC 9651) as far as the uploads of the
// IETF draft need them: items of type Integer or Boolean, and dictionaries of these.
// Members, items and parameters of other types are parsed strictly, but have no value.
//
// It is not below tus, so that a test in the module integration can compare it with
// another implementation.
package sfv

import (
	"slices"
	"strconv"
	"strings"
)

// MaxInteger is the largest Integer. The smallest is -MaxInteger.
const MaxInteger = 999_999_999_999_999

// Kind is the type of an item or member.
type Kind int

// The types that have a value.
const (
	Other Kind = iota
	Integer
	Boolean
)

// Value is a bare item. Only the field for its Kind is set.
type Value struct {
	Kind    Kind
	Integer int64
	Boolean bool
}

// ParseItem parses the lines of a field that is an Item, without its parameters. It returns
// false if the field is absent or invalid.
func ParseItem(lines []string) (Value, bool) {
	if len(lines) == 0 {
		return Value{}, false
	}
	s := newScanner(lines)
	v := s.item()
	s.spaces()
	if s.failed || !s.end() {
		return Value{}, false
	}
	return v, true
}

// ParseInteger parses the lines of a field that is an Integer. It returns false if the field
// is absent, invalid or of another type.
func ParseInteger(lines []string) (int64, bool) {
	v, ok := ParseItem(lines)
	return v.Integer, ok && v.Kind == Integer
}

// ParseBoolean is ParseInteger for a Boolean.
func ParseBoolean(lines []string) (value, ok bool) {
	v, ok := ParseItem(lines)
	return v.Boolean, ok && v.Kind == Boolean
}

// ParseDictionary parses the lines of a field that is a Dictionary. It returns false if the
// field is absent or invalid. Of members with the same key, the last one counts.
func ParseDictionary(lines []string) (map[string]Value, bool) {
	if len(lines) == 0 {
		return nil, false
	}
	s := newScanner(lines)
	members := map[string]Value{}
	for !s.end() {
		key := s.key()
		value := Value{Kind: Boolean, Boolean: true}
		if s.skip('=') {
			value = s.member()
		} else {
			s.parameters()
		}
		members[key] = value
		s.blanks()
		if s.failed || s.end() {
			break
		}
		comma := s.skip(',')
		s.blanks()
		if !comma || s.end() { // no comma, or one at the end
			return nil, false
		}
	}
	return members, !s.failed
}

// FormatInteger returns an Integer. It returns false if n is out of range.
func FormatInteger(n int64) (string, bool) {
	return strconv.FormatInt(n, 10), -MaxInteger <= n && n <= MaxInteger
}

// FormatBoolean returns a Boolean.
func FormatBoolean(b bool) string {
	if b {
		return "?1"
	}
	return "?0"
}

// FormatDictionary returns a Dictionary of Integers, sorted by key. It returns false if a key
// is invalid or a value out of range.
func FormatDictionary(members map[string]int64) (string, bool) {
	list := make([]string, 0, len(members))
	for key, n := range members {
		value, ok := FormatInteger(n)
		s := &scanner{in: key}
		if s.key(); s.failed || !s.end() || !ok {
			return "", false
		}
		list = append(list, key+"="+value)
	}
	slices.Sort(list)
	return strings.Join(list, ", "), true
}

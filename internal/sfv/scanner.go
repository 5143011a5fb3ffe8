package sfv

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanner parses a field (RFC 9651, section 4.2). After an error, failed is set and the
// input is at its end.
type scanner struct {
	in     string
	at     int
	failed bool
}

func newScanner(lines []string) *scanner {
	s := &scanner{in: strings.Join(lines, ", ")}
	s.spaces()
	return s
}

func (s *scanner) fail() { s.failed, s.at = true, len(s.in) }

func (s *scanner) end() bool { return s.at == len(s.in) }

// next returns the next character without consuming it, 0 at the end. A 0 in the input is
// valid nowhere.
func (s *scanner) next() byte {
	if s.end() {
		return 0
	}
	return s.in[s.at]
}

// take consumes the next character.
func (s *scanner) take() byte {
	c := s.next()
	if !s.end() {
		s.at++
	}
	return c
}

// skip consumes the next character if it is c.
func (s *scanner) skip(c byte) bool {
	if s.end() || s.in[s.at] != c {
		return false
	}
	s.at++
	return true
}

// expect consumes c, or fails.
func (s *scanner) expect(c byte) {
	if !s.skip(c) {
		s.fail()
	}
}

// while consumes the characters in set and returns them.
func (s *scanner) while(set func(byte) bool) string {
	start := s.at
	for !s.end() && set(s.in[s.at]) {
		s.at++
	}
	return s.in[start:s.at]
}

func (s *scanner) spaces() { s.while(func(c byte) bool { return c == ' ' }) }

func (s *scanner) blanks() { s.while(func(c byte) bool { return c == ' ' || c == '\t' }) }

// key parses a key (section 4.2.3.3).
func (s *scanner) key() string {
	if c := s.next(); !isLower(c) && c != '*' {
		s.fail()
	}
	return s.while(func(c byte) bool { return isLower(c) || isDigit(c) || strings.IndexByte("_-.*", c) >= 0 })
}

// member parses an item or an inner list.
func (s *scanner) member() Value {
	if !s.skip('(') {
		return s.item()
	}
	for {
		s.spaces()
		if s.skip(')') {
			s.parameters()
			return Value{}
		}
		s.item()
		if c := s.next(); c != ' ' && c != ')' {
			s.fail()
		}
		if s.failed {
			return Value{}
		}
	}
}

// item parses a bare item and its parameters.
func (s *scanner) item() Value {
	v := s.bareItem()
	s.parameters()
	return v
}

func (s *scanner) parameters() {
	for s.skip(';') {
		s.spaces()
		s.key()
		if s.skip('=') {
			s.bareItem()
		}
	}
}

// bareItem parses a bare item (section 4.2.3.1).
func (s *scanner) bareItem() Value {
	switch c := s.next(); {
	case c == '-' || isDigit(c):
		return s.number()
	case c == '?':
		return s.boolean()
	case c == '"':
		s.text()
	case c == '*' || isAlpha(c):
		s.while(isToken)
	case c == ':':
		s.bytes()
	case c == '@':
		s.take()
		if s.number().Kind != Integer {
			s.fail()
		}
	case c == '%':
		s.displayText()
	default:
		s.fail()
	}
	return Value{}
}

// number parses an Integer or a Decimal (section 4.2.4).
func (s *scanner) number() Value {
	negative := s.skip('-')
	digits := s.while(isDigit)
	if !s.skip('.') {
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || len(digits) > 15 {
			s.fail()
			return Value{}
		}
		if negative {
			n = -n
		}
		return Value{Kind: Integer, Integer: n}
	}
	fraction := s.while(isDigit)
	if digits == "" || len(digits) > 12 || fraction == "" || len(fraction) > 3 {
		s.fail()
	}
	return Value{}
}

func (s *scanner) boolean() Value {
	s.expect('?')
	c := s.take()
	if c != '0' && c != '1' {
		s.fail()
		return Value{}
	}
	return Value{Kind: Boolean, Boolean: c == '1'}
}

// text parses a String (section 4.2.5).
func (s *scanner) text() {
	s.expect('"')
	for !s.failed {
		switch c := s.take(); {
		case c == '"':
			return
		case c == '\\':
			if c := s.take(); c != '"' && c != '\\' {
				s.fail()
			}
		case !isPrintable(c):
			s.fail()
		}
	}
}

// bytes parses a Byte Sequence (section 4.2.7). As the decoder does, it requires padding.
func (s *scanner) bytes() {
	s.expect(':')
	encoded := s.while(func(c byte) bool { return isAlpha(c) || isDigit(c) || strings.IndexByte("+/=", c) >= 0 })
	s.expect(':')
	if _, err := base64.StdEncoding.DecodeString(encoded); err != nil {
		s.fail()
	}
}

// displayText parses a Display String (section 4.2.10).
func (s *scanner) displayText() {
	s.expect('%')
	s.expect('"')
	var text []byte
	for !s.failed {
		c := s.take()
		switch {
		case c == '"':
			if !utf8.Valid(text) {
				s.fail()
			}
			return
		case c == '%':
			high, low := s.hexDigit(), s.hexDigit()
			c = high<<4 | low
		case !isPrintable(c):
			s.fail()
		}
		text = append(text, c)
	}
}

// hexDigit parses a hexadecimal digit in lower case.
func (s *scanner) hexDigit() byte {
	n := strings.IndexByte("0123456789abcdef", s.take())
	if n < 0 {
		s.fail()
		return 0
	}
	return byte(n)
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func isAlpha(c byte) bool { return isLower(c) || 'A' <= c && c <= 'Z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isPrintable(c byte) bool { return ' ' <= c && c <= '~' }

func isToken(c byte) bool {
	return isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~:/", c) >= 0
}

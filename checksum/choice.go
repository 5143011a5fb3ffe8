package checksum

import "fmt"

// Choice is which checksum the user wants. The zero value is [Auto]. Choices
// can be compared with ==, and have a text form for flags and configuration
// files: "auto", "off", or the name of an algorithm.
type Choice struct {
	mode mode
	name string // lower case; only with modeNamed
}

type mode uint8

const (
	modeAuto mode = iota
	modeOff
	modeNamed
)

const (
	textAuto = "auto"
	textOff  = "off"
)

// Auto takes the most preferred algorithm that the server offers, and none if
// it offers none.
func Auto() Choice { return Choice{} }

// Off sends no checksums.
func Off() Choice { return Choice{mode: modeOff} }

// Named insists on one algorithm. Case does not matter. A name that no
// algorithm can have is refused by [Set.Negotiate].
func Named(name string) Choice { return Choice{modeNamed, lower(name)} }

// Parse reads the text form. The error matches [ErrInvalidAlgorithm] if text
// cannot be a name; whether there is such an algorithm shows only when it is
// negotiated.
func Parse(text string) (Choice, error) {
	switch name := lower(text); name {
	case textAuto:
		return Auto(), nil
	case textOff:
		return Off(), nil
	default:
		if err := checkName(name); err != nil {
			return Choice{}, err
		}
		return Named(name), nil
	}
}

// String returns "auto", "off" or the name.
func (c Choice) String() string {
	switch c.mode {
	case modeOff:
		return textOff
	case modeNamed:
		return c.name
	}
	return textAuto
}

// MarshalText returns the text form. The error matches [ErrInvalidAlgorithm] if
// there is none, as for Named("off").
func (c Choice) MarshalText() ([]byte, error) {
	if c.mode == modeNamed {
		if err := checkName(c.name); err != nil {
			return nil, err
		}
	}
	return []byte(c.String()), nil
}

// UnmarshalText is [Parse]. With MarshalText it makes a Choice a value for
// [flag.TextVar].
func (c *Choice) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err == nil {
		*c = parsed
	}
	return err
}

// Negotiate picks the algorithm for a server that advertises the given names,
// as [ParseAlgorithms] returns them. It reports false if no checksum is to be
// sent: the choice is Off, or Auto and nothing fits. A named algorithm that is
// not registered or not advertised is an error that matches
// [ErrChecksumUnsupported].
//
// Names are compared without regard to case. The Name of the result is spelt as
// the server spells it, for servers that are strict.
func (s *Set) Negotiate(c Choice, advertised []string) (Algorithm, bool, error) {
	switch c.mode {
	case modeOff:
		return Algorithm{}, false, nil
	case modeNamed:
		return s.negotiateName(c.name, advertised)
	}
	offers := spellings(advertised)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, a := range s.algorithms {
		if spelt, ok := offers[a.Name]; ok {
			a.Name = spelt
			return a, true, nil
		}
	}
	return Algorithm{}, false, nil
}

func (s *Set) negotiateName(name string, advertised []string) (Algorithm, bool, error) {
	a, ok := s.Lookup(name)
	if !ok {
		return Algorithm{}, false, wrap(fmt.Errorf("%w: there is no %s, only %s",
			ErrChecksumUnsupported, quote(name), quoteList(s.Names())))
	}
	if a.Name, ok = spellings(advertised)[name]; ok {
		return a, true, nil
	}
	offer := "none"
	if len(advertised) > 0 {
		offer = "only " + quoteList(advertised)
	}
	return Algorithm{}, false, wrap(fmt.Errorf("%w: %s is not offered by the server, which offers %s",
		ErrChecksumUnsupported, quote(name), offer))
}

// spellings maps names in lower case to how the server first wrote them. What
// is no token cannot be a name, and must not get into a header.
func spellings(advertised []string) map[string]string {
	m := make(map[string]string, len(advertised))
	for _, name := range advertised {
		if !isToken(name) {
			continue
		}
		if _, seen := m[lower(name)]; !seen {
			m[lower(name)] = name
		}
	}
	return m
}

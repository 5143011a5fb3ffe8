package checksum

import "fmt"

// Choice selects the checksum algorithm of a client. The zero value is [Auto]. Choices
// are comparable with ==. Their text form, for flags and configuration files, is
// "auto", "off", or the name of an algorithm.
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

// Auto selects the most preferred algorithm that the server advertises, and no checksum
// if there is none.
func Auto() Choice { return Choice{} }

// Off disables checksums.
func Off() Choice { return Choice{mode: modeOff} }

// Named requires the algorithm with the name, ignoring case. If the name is invalid,
// [Set.Negotiate] returns an error.
func Named(name string) Choice { return Choice{modeNamed, lower(name)} }

// Parse parses the text form. The error matches [ErrInvalidAlgorithm] if text is not
// a valid name. Parse does not check that the algorithm exists; [Set.Negotiate] does.
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

// UnmarshalText parses text as [Parse] does. With MarshalText, a Choice can be used
// with [flag.TextVar].
func (c *Choice) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err == nil {
		*c = parsed
	}
	return err
}

// Negotiate returns the algorithm for a server that advertises the given names, as
// returned by [ParseAlgorithms]. It returns false if no checksum should be sent: the
// choice is Off, or it is Auto and the server advertises no registered algorithm. If
// a named algorithm is not registered or not advertised, the error matches
// [ErrChecksumUnsupported].
//
// Names are compared ignoring case. The Name of the result has the spelling of the
// server, because some servers compare exactly.
func (s *Set) Negotiate(c Choice, advertised []string) (Algorithm, bool, error) {
	switch c.mode {
	case modeOff:
		return Algorithm{}, false, nil
	case modeNamed:
		return s.negotiateName(c.name, advertised)
	}
	spelling := spellings(advertised)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, a := range s.algorithms {
		if name, ok := spelling[a.Name]; ok {
			a.Name = name
			return a, true, nil
		}
	}
	return Algorithm{}, false, nil
}

func (s *Set) negotiateName(name string, advertised []string) (Algorithm, bool, error) {
	a, ok := s.Lookup(name)
	if !ok {
		return Algorithm{}, false, wrap(fmt.Errorf("%w: %s is not registered, only %s",
			ErrChecksumUnsupported, quote(name), quoteList(s.Names())))
	}
	if a.Name, ok = spellings(advertised)[name]; ok {
		return a, true, nil
	}
	names := "none"
	if len(advertised) > 0 {
		names = "only " + quoteList(advertised)
	}
	return Algorithm{}, false, wrap(fmt.Errorf("%w: server does not advertise %s, %s",
		ErrChecksumUnsupported, quote(name), names))
}

// spellings maps names in lower case to their first spelling by the server. It omits
// names that are not tokens, which must not be used in a header.
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

package doctor

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// advice is what follows from the findings for the flags of tusup.
type advice struct {
	slash         bool     // the endpoint requires a slash at its end
	override      bool     // PATCH is sent as POST
	origins       []string // that require the credentials
	chunk         int64    // bytes that the server requires; 0 if it does not
	most          int64    // bytes of a chunk at most; 0 for no limit
	noChecksum    bool     // checksums protect nothing
	works, broken []string // extensions
}

// limit sets the maximum size of chunks to n bytes, unless it is lower.
func (a *advice) limit(n int64) {
	if a.most == 0 || n < a.most {
		a.most = n
	}
}

// flags returns the flags of tusup that follow from the findings.
func (s *session) flags() []string {
	a := s.advice
	flags := []string{}
	// An endpoint with a login or a query may be secret: the advice is enough.
	given, err := url.Parse(s.config.Endpoint)
	if a.slash && err == nil && given.User == nil && given.RawQuery == "" {
		flags = append(flags, "--endpoint", s.endpoint.String())
	}
	for _, o := range a.origins {
		flags = append(flags, "--trusted-origin", o)
	}
	if a.override && !s.config.OverridePatch {
		flags = append(flags, "--method-override")
	}
	switch {
	case a.chunk > 0:
		flags = append(flags, "--chunk-size", flagSize(a.chunk))
	case a.most > 0:
		flags = append(flags, "--chunk-size", flagSize(a.most))
	}
	if a.noChecksum {
		flags = append(flags, "--checksum", "off")
	}
	if list := s.capabilitiesFlag(); list != "" {
		flags = append(flags, "--capabilities", list)
	}
	return flags
}

// capabilitiesFlag returns the extensions that work, if the response to OPTIONS is missing
// or wrong. --capabilities has the algorithms as checksum:NAME.
func (s *session) capabilitiesFlag() string {
	works, broken := s.advice.works, slices.Clone(s.advice.broken)
	if s.advice.noChecksum {
		broken = slices.DeleteFunc(broken, func(e string) bool { return strings.HasPrefix(e, "checksum") })
	}
	switch {
	case !s.done, s.server.known && len(broken) == 0:
		return ""
	case s.server.known:
		works = slices.DeleteFunc(slices.Clone(s.server.extensions), func(e string) bool { return slices.Contains(broken, e) })
	}
	var flag []string
	for _, e := range []string{
		"creation", "creation-with-upload", "creation-defer-length", "expiration", "checksum", "checksum-trailer", "termination", "concatenation",
	} {
		switch {
		case e != "creation" && !slices.Contains(works, e), strings.HasPrefix(e, "checksum") && s.advice.noChecksum:
		case e == "checksum":
			for _, a := range s.server.checksums() {
				flag = append(flag, "checksum:"+a.Name)
			}
		default:
			flag = append(flag, e)
		}
	}
	return strings.Join(flag, ",")
}

// units are the units of sizes, the largest first.
func units() []unit {
	return []unit{{"GiB", 1 << 30}, {"MiB", mib}, {"KiB", kib}}
}

type unit struct {
	name  string
	bytes int64
}

// flagSize returns n as the value of a flag.
func flagSize(n int64) string {
	for _, u := range units() {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// sizeText returns n for a text.
func sizeText(n int64) string {
	for _, u := range units() {
		if n >= u.bytes {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(u.bytes)), ".0") + " " + u.name
		}
	}
	return strconv.FormatInt(n, 10) + " B"
}

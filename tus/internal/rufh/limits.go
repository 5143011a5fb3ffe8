package rufh

import (
	"net/http"

	"github.com/seed-175555ba/tus-go/internal/sfv"
)

// Limit is a limit of the server. The zero value is none.
type Limit struct {
	Value int64 // not negative
	Set   bool
}

// ExceededBy reports whether n exceeds a maximum.
func (l Limit) ExceededBy(n int64) bool { return l.Set && l.Value < n }

// MissedBy reports whether n does not reach a minimum.
func (l Limit) MissedBy(n int64) bool { return l.Set && n < l.Value }

// Limits is the field Upload-Limit.
type Limits struct {
	MaxSize, MinSize             Limit // of the upload, in bytes
	MaxAppendSize, MinAppendSize Limit // of the content of one request, in bytes
	MaxAge                       Limit // in seconds after the response
}

// Or returns l, with the limits of old that l does not have. A later response replaces the
// limits of an earlier one.
func (l Limits) Or(old Limits) Limits {
	to := l.members("")
	for i, m := range old.members("") {
		if !to[i].limit.Set {
			*to[i].limit = *m.limit
		}
	}
	return l
}

// member is a key of the field and its limit.
type member struct {
	key   string
	limit *Limit
}

// members returns the keys and pointers to the limits in l.
func (l *Limits) members(lifetime string) []member {
	return []member{
		{"max-size", &l.MaxSize},
		{"min-size", &l.MinSize},
		{"max-append-size", &l.MaxAppendSize},
		{"min-append-size", &l.MinAppendSize},
		{lifetime, &l.MaxAge},
	}
}

func (d Draft) lifetimeKey() string {
	if d.Expires {
		return "expires"
	}
	return "max-age"
}

// Limits returns the field Upload-Limit. Unknown keys are ignored. It returns false if the
// field is absent or invalid, or if a known key is not a non-negative Integer.
//
// The field is read in versions that do not define it, too: tusd sends it there.
func (d Draft) Limits(h http.Header) (Limits, bool) {
	values, ok := sfv.ParseDictionary(h.Values(HeaderLimit))
	if !ok {
		return Limits{}, false
	}
	var l Limits
	for _, m := range l.members(d.lifetimeKey()) {
		v, ok := values[m.key]
		if !ok {
			continue
		}
		if v.Kind != sfv.Integer || v.Integer < 0 {
			return Limits{}, false
		}
		*m.limit = Limit{v.Integer, true}
	}
	return l, true
}

// FormatLimits returns Upload-Limit, which is "min-size=0" for no limits. It returns false
// if a limit is out of range.
func (d Draft) FormatLimits(l Limits) (string, bool) {
	values := map[string]int64{}
	for _, m := range l.members(d.lifetimeKey()) {
		if m.limit.Set {
			if m.limit.Value < 0 {
				return "", false
			}
			values[m.key] = m.limit.Value
		}
	}
	if len(values) == 0 {
		values["min-size"] = 0
	}
	return sfv.FormatDictionary(values)
}

package rufh

import (
	"encoding/json"
	"mime"
)

// Problem types of the draft, and of its companion for digest fields.
const (
	problemTypes = "https://iana.org/assignments/http-problem-types#"

	MismatchingOffset  = problemTypes + "mismatching-upload-offset"
	InconsistentLength = problemTypes + "inconsistent-upload-length"
	AlreadyCompleted   = problemTypes + "completed-upload" // versions 6 to 8

	DigestMismatch    = problemTypes + "digest-mismatching-values"
	DigestInvalid     = problemTypes + "digest-invalid-values"
	DigestUnsupported = problemTypes + "digest-unsupported-algorithms"
)

// Problem is the body of an error response (RFC 9457). A member that is absent or has the
// wrong type is zero.
type Problem struct {
	Type           string // "about:blank" if absent
	Title, Detail  string
	Status         int
	ExpectedOffset int64 // of MismatchingOffset: the offset to resume at, -1 if absent
	ProvidedOffset int64 // of MismatchingOffset: that of the request, -1 if absent
}

// ParseProblem parses the body of a response. It returns false if the media type is not
// application/problem+json, or if the body is not a JSON object.
func ParseProblem(contentType string, body []byte) (Problem, bool) {
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/problem+json" {
		return Problem{}, false
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return Problem{}, false
	}
	p := Problem{
		Type: memberOf(members, "type", "about:blank"), Title: memberOf(members, "title", ""), Detail: memberOf(members, "detail", ""),
		Status:         memberOf(members, "status", 0),
		ExpectedOffset: memberOf[int64](members, "expected-offset", -1), ProvidedOffset: memberOf[int64](members, "provided-offset", -1),
	}
	p.ExpectedOffset, p.ProvidedOffset = max(p.ExpectedOffset, -1), max(p.ProvidedOffset, -1)
	return p, true
}

// memberOf returns a member, or absent if there is none of type T.
func memberOf[T any](members map[string]json.RawMessage, name string, absent T) T {
	var value *T
	if err := json.Unmarshal(members[name], &value); err != nil || value == nil {
		return absent
	}
	return *value
}

// Message returns the title and the detail, without a repetition.
func (p Problem) Message() string {
	switch {
	case p.Detail == "" || p.Detail == p.Title:
		return p.Title
	case p.Title == "":
		return p.Detail
	}
	return p.Title + ": " + p.Detail
}

package tus

// The readers of what servers send, for the fuzz tests only. Every other test
// uses the public API.
var (
	ParseConcat     = parseConcat
	ParseExcerpt    = func(body []byte) string { return excerpt(string(body)) }
	ParseInteger    = parseInteger
	ParseList       = parseList
	ParseMetadata   = parseMetadata
	ParseRetryAfter = parseRetryAfter
	ParseURL        = parseURL
	RedactURL       = redactURL
	ResolveLocation = resolveLocation
)

package tus

import "github.com/seed-175555ba/tus-go/tus/internal/httpx"

// The readers of what servers send, for the fuzz tests only. Every other test
// uses the public API.
var (
	FormatMetadata  = Metadata.header
	ParseConcat     = parseConcat
	ParseExcerpt    = func(body []byte) string { return excerpt(string(body)) }
	ParseInteger    = parseInteger
	ParseList       = parseList
	ParseMetadata   = parseMetadata
	ParseRetryAfter = httpx.ParseRetryAfter
	ParseURL        = parseURL
	RedactURL       = httpx.RedactURL
	ResolveLocation = resolveLocation
)

package tus

import "github.com/seed-175555ba/tus-go/tus/internal/httpx"

// Exported for the fuzz tests. All other tests use the public API.
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

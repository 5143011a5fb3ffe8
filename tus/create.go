package tus

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// creation is a request for a new upload (protocol section Creation, POST).
type creation struct {
	length   int64
	deferred bool // the length is not known yet
	metadata Metadata
	partial  bool     // section Concatenation
	final    []string // the URLs of the partial uploads; nil for no final upload

	// payload, if not nil, is sent in the same request (section Creation With Upload).
	// That of an empty source has no bytes.
	payload  *send.Payload
	size     int64            // of the payload
	checksum readahead.Sum    // of the payload; zero for none
	trailer  *checksumTrailer // nil for none
}

// whole reports whether the creation may complete an upload of the given length.
func (c creation) whole() bool {
	return !c.deferred && !c.partial && c.final == nil && c.size == c.length
}

// created is the response to a creation.
type created struct {
	location string   // as the server sent it
	url      *url.URL // nil if the creation completed the upload without naming one
	offset   int64    // above zero only after a creation with upload
	asks     bool     // the offset is to be requested
	expires  time.Time
	response *Response
	kept     http.Header // of the response, by Options.KeepHeaders
	concat   Concat
}

// create sends the request that creates an upload.
func (q requester) create(ctx context.Context, c creation) (created, error) {
	r := q.client.protocol.create(c)
	r.url = q.client.endpoint
	got, err := q.do(ctx, r)
	if err != nil {
		return created{}, err
	}
	made, err := q.client.protocol.created(got, c)
	if err != nil {
		return created{}, err
	}
	if made.location != "" {
		if made.url, err = q.client.uploadURL(got, made.location); err != nil {
			return created{}, got.fail(err)
		}
	}
	made.response, made.kept = got.Response, q.client.keepHeader(got)
	switch {
	case c.partial:
		made.concat = ConcatPartial
	case c.final != nil:
		made.concat = ConcatFinal
	}
	return made, nil
}

// exported returns what hooks and callers get. It needs a URL.
func (c created) exported() *Created {
	return &Created{URL: c.url.String(), Expires: c.expires, Concat: c.concat, Response: c.response}
}

// uploadURL returns the URL that a response to a creation names.
func (c *Client) uploadURL(r *reply, location string) (*url.URL, error) {
	to, err := c.follow(r, location)
	if err != nil {
		return nil, err
	}
	if !to.trusted() && c.trusts(to.url) {
		// Later requests to it would send the credentials to a URL of its choice.
		return nil, fmt.Errorf("%w: %v named the upload URL %s, but is not one of Options.TrustedOrigins", ErrProtocol, to.foreign, c.redactor.URL(to.url))
	}
	return to.url, nil
}

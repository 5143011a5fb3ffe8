package tus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// CreateOptions describes an upload to create.
type CreateOptions struct {
	// Size is the size of the upload in bytes.
	Size int64
	// DeferLength creates the upload without its size, which is sent with its last bytes
	// (protocol section Creation, Upload-Defer-Length). Size must be 0.
	DeferLength bool
	// Partial creates a partial upload for [Client.Concatenate].
	Partial bool
	// Metadata is stored with the upload.
	Metadata Metadata
}

// Created is an upload that was created on the server. [Client.Resume] sends its bytes, in
// this or another program.
type Created struct {
	// URL is the upload URL. It is empty if the server completed an empty upload and
	// returned none.
	URL string
	// Expires is when the server deletes the upload if it is not complete; zero if the
	// response has no expiry.
	Expires time.Time
	// Concat is "partial" or "final" for an upload of that role in a concatenation. The
	// bytes of a final upload are those of its parts.
	Concat string
	// Response is the response of the server.
	Response *Response
}

// Create creates an upload without sending bytes to it (protocol section Creation),
// retrying by the client's policy, for a program that passes the URL to another. It does not
// request the server's capabilities: a server that does not support DeferLength or Partial
// refuses the creation, and the error is an [*Error].
func (c *Client) Create(ctx context.Context, opts CreateOptions) (*Created, error) {
	switch {
	case opts.Size < 0:
		return nil, fmt.Errorf("%w: negative CreateOptions.Size: %d", ErrInvalidInput, opts.Size)
	case opts.DeferLength && opts.Size != 0:
		return nil, fmt.Errorf("%w: CreateOptions.Size is %d although the length is deferred", ErrInvalidInput, opts.Size)
	}
	return c.createOnly(ctx, creation{length: opts.Size, deferred: opts.DeferLength, partial: opts.Partial, metadata: opts.Metadata})
}

func (c *Client) createOnly(ctx context.Context, request creation) (*Created, error) {
	if err := request.metadata.Validate(); err != nil {
		return nil, err
	}
	q := c.requester()
	var made created
	err := q.retrying(ctx, func(*budget) (err error) {
		if ctx.Err() != nil {
			return async.ContextError(ctx)
		}
		made, err = q.createUpload(ctx, request)
		var e *Error
		switch {
		case err == nil, request.final == nil, unsent(err):
		case outcomeUnknown(err), !errors.As(err, &e) && ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	result := made.exported()
	if made.url != nil {
		q.hooks.created(result)
	}
	return result, nil
}

// creation is a request for a new upload (protocol section Creation, POST).
type creation struct {
	length   int64
	deferred bool // the length is not known yet
	metadata Metadata
	partial  bool     // of a parallel upload, or by CreateOptions.Partial (section Concatenation)
	final    []string // the URLs of the partial uploads; nil for no final upload

	// payload, if not nil, is all bytes, sent in the same request (section Creation With
	// Upload). That of an empty source has no bytes.
	payload *send.Payload
}

// whole reports whether the creation may complete an upload of the given length.
func (c creation) whole() bool {
	return !c.deferred && !c.partial && c.final == nil && (c.payload != nil || c.length == 0)
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
	concat   string
}

// createUpload sends the request that creates an upload, a part or a final upload.
func (q requester) createUpload(ctx context.Context, c creation) (created, error) {
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
		made.concat = concatPartial
	case c.final != nil:
		made.concat = concatFinal
	}
	return made, nil
}

// exported returns what hooks and callers get. It needs a URL.
func (c created) exported() *Created {
	e := &Created{Expires: c.expires, Concat: c.concat, Response: c.response}
	if c.url != nil {
		e.URL = c.url.String()
	}
	return e
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

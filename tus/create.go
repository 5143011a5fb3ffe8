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

// CreateOptions describes the upload that [Client.Create] creates.
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
// retrying by the client's policy. It is for programs that pass the upload URL to another
// program. It does not request the server's capabilities: a server that does not support
// DeferLength or Partial refuses the creation, and the error is an [*Error].
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
	var upload created
	err := q.retrying(ctx, func(*budget) (err error) {
		if ctx.Err() != nil {
			return async.ContextError(ctx)
		}
		upload, err = q.createUpload(ctx, request)
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
	result := upload.exported()
	if upload.url != nil {
		q.hooks.created(result)
	}
	return result, nil
}

// creation is a request for a new upload (protocol section Creation, POST).
type creation struct {
	length   int64
	deferred bool // the length is sent later
	metadata Metadata
	partial  bool     // for a parallel upload or CreateOptions.Partial (section Concatenation)
	final    []string // URLs of the partial uploads of a final upload; nil for other uploads

	// payload, if not nil, has the first bytes of the source, sent in the same request
	// (section Creation With Upload).
	payload *send.Payload
}

// whole reports whether the creation may complete the upload.
func (c creation) whole() bool {
	return !c.deferred && !c.partial && c.final == nil && (c.length == 0 || c.payload != nil && c.payload.Size == c.length)
}

// created is the response to a creation.
type created struct {
	location  string   // as the server sent it
	url       *url.URL // nil if the creation completed the upload without a Location
	offset    int64    // above 0 only after a creation with upload
	needsHead bool     // the offset must be requested
	expires   time.Time
	response  *Response
	kept      http.Header // fields of the response that Options.KeepHeaders lists
	concat    string
}

// createUpload sends the request that creates an upload, a part or a final upload.
func (q requester) createUpload(ctx context.Context, c creation) (created, error) {
	got, err := q.do(ctx, q.client.endpoint, q.client.protocol.create(c))
	if err != nil {
		return created{}, err
	}
	upload, err := q.client.protocol.created(got, c)
	if err != nil {
		return created{}, err
	}
	if upload.location != "" {
		if upload.url, err = q.client.uploadURL(got, upload.location); err != nil {
			return created{}, got.fail(q.client.protocol.explain(got, err))
		}
	}
	upload.response, upload.kept = got.Response, q.client.keepHeader(got)
	switch {
	case c.partial:
		upload.concat = concatPartial
	case c.final != nil:
		upload.concat = concatFinal
	}
	return upload, nil
}

// exported returns c for hooks and callers.
func (c created) exported() *Created {
	e := &Created{Expires: c.expires, Concat: c.concat, Response: c.response}
	if c.url != nil {
		e.URL = c.url.String()
	}
	return e
}

// uploadURL returns the upload URL in the response to a creation.
func (c *Client) uploadURL(r *reply, location string) (*url.URL, error) {
	to, err := c.follow(r, location)
	if err != nil {
		return nil, err
	}
	if !to.trusted() && c.trusts(to.url) {
		// Later requests would send the credentials to a URL that an untrusted origin chose.
		return nil, fmt.Errorf("%w: upload URL %s is from %v, which is not one of Options.TrustedOrigins", ErrProtocol, r.redactor.URL(to.url), to.untrusted)
	}
	return to.url, nil
}

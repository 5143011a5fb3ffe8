package tus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// Created is an upload that was created on the server. [Client.Resume] sends its bytes,
// here or in another program.
type Created struct {
	// URL is the upload URL. It may contain secrets in its query or path.
	URL string
	// Expires is when the server deletes the upload if it is not complete; zero if the
	// response does not say.
	Expires time.Time
	// Concat is the role of the upload in the concatenation extension. The bytes of a
	// final upload are those of its parts.
	Concat Concat
	// Response is the response of the server.
	Response *Response
}

// Concat is the role of an upload in the concatenation extension.
type Concat int

const (
	// ConcatNone is an ordinary upload.
	ConcatNone Concat = iota
	// ConcatPartial is one part of a final upload.
	ConcatPartial
	// ConcatFinal is an upload concatenated from partial uploads.
	ConcatFinal
)

// String returns the word that the protocol uses, "none" for an ordinary upload.
func (c Concat) String() string {
	switch c {
	case ConcatPartial:
		return "partial"
	case ConcatFinal:
		return "final"
	}
	return "none"
}

// CreatePartial creates a partial upload of size bytes (protocol section
// Concatenation), retrying by the client's policy. Send its bytes with [Client.Resume], and
// then concatenate it with others by [Client.CreateFinal]. No request for the capabilities
// of the server is sent: without the extension, it refuses the creation with an [*Error].
func (c *Client) CreatePartial(ctx context.Context, size int64, metadata Metadata) (*Created, error) {
	if size < 0 {
		return nil, fmt.Errorf("%w: partial upload of %d bytes", ErrInvalidInput, size)
	}
	return c.createOnly(ctx, creation{length: size, metadata: metadata, partial: true})
}

// CreateDeferred creates an upload whose length is not known yet (protocol
// section Creation, Upload-Defer-Length), retrying by the client's policy. The length is
// sent with its last bytes. Without the extension, the server refuses the creation with an
// [*Error].
func (c *Client) CreateDeferred(ctx context.Context, metadata Metadata) (*Created, error) {
	return c.createOnly(ctx, creation{deferred: true, metadata: metadata})
}

// CreateFinal makes the server concatenate partial uploads, in the order of their URLs, to
// a final upload with metadata (protocol section Concatenation). A request that failed
// temporarily is retried by the client's policy. If its outcome is unknown because the
// response was lost, it is not repeated, as that might create two final uploads: the error
// then matches [ErrUnconfirmed].
func (c *Client) CreateFinal(ctx context.Context, partialURLs []string, metadata Metadata) (*Created, error) {
	if len(partialURLs) == 0 {
		return nil, fmt.Errorf("%w: final upload of no parts", ErrInvalidInput)
	}
	for _, raw := range partialURLs {
		if _, err := parseURL("partial upload URL", raw); err != nil {
			return nil, err
		}
		if strings.ContainsAny(raw, " \t\r\n") {
			return nil, fmt.Errorf("%w: partial upload URL with a space", ErrInvalidInput)
		}
	}
	return c.createOnly(ctx, creation{metadata: metadata, final: slices.Clone(partialURLs)})
}

func (c *Client) createOnly(ctx context.Context, request creation) (*Created, error) {
	if err := request.metadata.Validate(); err != nil {
		return nil, err
	}
	q := c.requester()
	var made created
	err := q.retrying(ctx, func() (err error) {
		if ctx.Err() != nil {
			return async.ContextError(ctx)
		}
		made, err = q.create(ctx, request)
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
	q.hooks.created(result)
	return result, nil
}

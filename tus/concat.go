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

// Created is an upload that was created without sending bytes to it. Its URL can
// be given to [Client.Resume], here or in another program.
type Created struct {
	// URL is the upload URL.
	URL string
	// Expires is when the server forgets the upload if it is not complete; zero
	// if it did not say.
	Expires time.Time
	// Response is the server's answer.
	Response *Response
}

// CreatePartial creates a partial upload of size bytes (protocol section
// Concatenation), retrying by the client's policy. Send its bytes with
// [Client.Resume], and then make a whole of it and others with
// [Client.CreateFinal]. The server is not asked for its capabilities: one without
// the extension refuses with an [*Error].
func (c *Client) CreatePartial(ctx context.Context, size int64, metadata Metadata) (*Created, error) {
	if size < 0 {
		return nil, fmt.Errorf("%w: partial upload of %d bytes", ErrInvalidInput, size)
	}
	return c.createOnly(ctx, creation{length: size, metadata: metadata, partial: true})
}

// CreateDeferred creates an upload whose length is not known yet (protocol
// section Creation, Upload-Defer-Length), retrying by the client's policy. The
// length goes out with its last bytes. A server without the extension refuses
// with an [*Error].
func (c *Client) CreateDeferred(ctx context.Context, metadata Metadata) (*Created, error) {
	return c.createOnly(ctx, creation{deferred: true, metadata: metadata})
}

// CreateFinal makes the server concatenate partial uploads, in the order of
// their URLs, to a final upload with metadata (protocol section Concatenation).
// A request that was refused as temporary is retried by the client's policy. If
// its outcome is not known, because the answer was lost, it is not repeated, as
// that might make two final uploads: the error then matches [ErrUnconfirmed].
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

func (c *Client) createOnly(ctx context.Context, wish creation) (*Created, error) {
	if err := wish.metadata.Validate(); err != nil {
		return nil, err
	}
	hooks := c.hooks
	var made created
	err := c.retrying(ctx, hooks, func() (err error) {
		if ctx.Err() != nil {
			return async.ContextError(ctx)
		}
		made, err = c.create(ctx, wish, hooks, nil)
		var e *Error
		switch {
		case err == nil, wish.final == nil, unsent(err):
		case outcomeUnknown(err), !errors.As(err, &e) && ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	event := UploadURLEvent{URL: made.url.String(), Expires: made.expires}
	switch {
	case wish.partial:
		event.Concat = ConcatPartial
	case wish.final != nil:
		event.Concat = ConcatFinal
	}
	hooks.uploadURL(event)
	return &Created{URL: made.url.String(), Expires: made.expires, Response: made.response}, nil
}

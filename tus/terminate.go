package tus

import (
	"context"
	"errors"
	"net/url"
)

// Terminate deletes an upload, complete or not, on the server (protocol section
// Termination), retrying by the client's policy, for example after a 423 while another
// request holds the upload. It returns nil if the upload does not exist, which HEAD confirms
// after a 404 or 410. If the server does not support the extension, the error is an [*Error],
// for example with status 501, or with 405, which matches [ErrUnsupported].
func (c *Client) Terminate(ctx context.Context, uploadURL string) error {
	u, err := parseURL("upload URL", uploadURL)
	if err != nil {
		return err
	}
	q := c.requester()
	err = q.deleted(ctx, u)
	if !uploadGone(err) {
		return err
	}
	if _, missing := q.head(ctx, u); missing == nil {
		return withCause(err, errNotDeleted)
	}
	return nil
}

// errNotDeleted is the cause of an error if DELETE does not find the upload, but HEAD does:
// some servers respond 404 when they cannot delete a complete upload.
var errNotDeleted = errors.New("the upload still exists")

// terminate deletes an upload of which the client knows that it is not complete, or a part.
func (q requester) terminate(ctx context.Context, upload *url.URL) error {
	if err := q.deleted(ctx, upload); !uploadGone(err) {
		return err
	}
	return nil
}

// deleted deletes an upload. The error matches ErrUploadGone if it does not exist.
func (q requester) deleted(ctx context.Context, upload *url.URL) error {
	var gone absence
	return q.retrying(ctx, func(tries *budget) error {
		return gone.note(ctx, q, upload, q.delete(ctx, upload), tries)
	})
}

func (q requester) delete(ctx context.Context, upload *url.URL) error {
	got, err := q.do(ctx, upload, q.client.protocol.terminate())
	if err != nil {
		return err
	}
	return q.checkOrder(q.client.protocol.terminated(got))
}

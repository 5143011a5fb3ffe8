package tus

import (
	"context"
	"net/url"
)

// Terminate deletes an upload, complete or not, on the server (protocol section
// Termination), retrying by the client's policy, for example after a 423 while another
// request holds the upload. It returns nil if the upload does not exist. If the server does
// not support the extension, the error is an [*Error], for example with status 501, or with
// 405, which matches [ErrUnsupported].
func (c *Client) Terminate(ctx context.Context, uploadURL string) error {
	u, err := parseURL("upload URL", uploadURL)
	if err != nil {
		return err
	}
	return c.requester().terminate(ctx, u)
}

func (q requester) terminate(ctx context.Context, upload *url.URL) error {
	var gone absence
	err := q.retrying(ctx, func(tries *budget) error {
		return gone.note(ctx, q, upload, q.delete(ctx, upload), tries)
	})
	if uploadGone(err) {
		return nil
	}
	return err
}

func (q requester) delete(ctx context.Context, upload *url.URL) error {
	got, err := q.do(ctx, upload, q.client.protocol.terminate())
	if err != nil {
		return err
	}
	return q.checkOrder(q.client.protocol.terminated(got))
}

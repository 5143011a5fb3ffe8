package tus

import (
	"context"
	"net/http"
	"net/url"
)

// Terminate deletes an upload, finished or not, on the server (protocol section
// Termination), retrying by the client's policy: 423 for example means that
// another request still holds the upload. An upload that is already gone is no
// error. A server without the extension answers with an [*Error], of status 405,
// which matches [ErrUnsupported], 501 or the like.
func (c *Client) Terminate(ctx context.Context, uploadURL string) error {
	u, err := parseURL("upload URL", uploadURL)
	if err != nil {
		return err
	}
	return c.requester().terminate(ctx, u)
}

func (q requester) terminate(ctx context.Context, u *url.URL) error {
	err := q.retrying(ctx, func() error { return q.delete(ctx, u) })
	if err = q.confirmGone(ctx, u, err); uploadGone(err) {
		return nil
	}
	return err
}

func (q requester) delete(ctx context.Context, u *url.URL) error {
	r := &request{method: http.MethodDelete, url: u}
	resp, err := q.do(ctx, r)
	if err != nil {
		return err
	}
	if err := q.client.checkUpload(r, resp); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusNoContent && !ofTus(resp) {
		// A captive portal answers everything with 200 and a page.
		return r.fail(resp, errNotTus)
	}
	return nil
}

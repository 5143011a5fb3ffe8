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
	return c.terminate(ctx, u, c.hooks, nil)
}

func (c *Client) terminate(ctx context.Context, u *url.URL, hooks hookSet, m *meter) error {
	err := c.retrying(ctx, hooks, func() error { return c.delete(ctx, u, hooks, m) })
	if err = c.confirmGone(ctx, u, err, hooks, m); uploadGone(err) {
		return nil
	}
	return err
}

func (c *Client) delete(ctx context.Context, u *url.URL, hooks hookSet, m *meter) error {
	r := &request{method: http.MethodDelete, url: u, hooks: hooks, meter: m}
	resp, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	if err := c.checkUpload(r, resp); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusNoContent && !ofTus(resp) {
		// A captive portal answers everything with 200 and a page.
		return r.fail(resp, errNotTus)
	}
	return nil
}

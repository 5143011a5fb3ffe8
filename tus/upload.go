package tus

import "context"

// UploadFile is [Client.Upload] with the [File] at path.
func (c *Client) UploadFile(ctx context.Context, path string, opts *UploadOptions) (*Result, error) {
	return c.Upload(ctx, File(path), opts)
}

// Upload uploads source, retrying by the client's policy, until the server has all of it.
// When ctx ends, the upload stays resumable and the error matches ctx.Err(). opts may be
// nil. The result is never nil.
func (c *Client) Upload(ctx context.Context, source Source, opts *UploadOptions) (*Result, error) {
	u, err := c.NewUploader(source, opts)
	return upload(ctx, u, err)
}

// Resume resumes the upload at uploadURL with source, from the offset of the server. The
// upload may have been created by a backend or a hosted service: Resume never creates one.
// The error matches [ErrUploadGone] if there is no such upload, and [ErrSourceMismatch] if
// it has another length than source. Options.Header is sent only if the URL has the origin of
// the endpoint or a trusted one. opts may be nil. The result is never nil.
func (c *Client) Resume(ctx context.Context, uploadURL string, source Source, opts *UploadOptions) (*Result, error) {
	u, err := c.NewResumer(uploadURL, source, opts)
	return upload(ctx, u, err)
}

// upload runs an Uploader that no other Run can follow. err is that of its creation.
func upload(ctx context.Context, u *Uploader, err error) (*Result, error) {
	if err != nil {
		return newResult(), err
	}
	defer u.close()
	return u.Run(ctx)
}

package tus

import (
	"context"
	"path/filepath"
)

// UploadFile uploads the file at path. Without metadata in opts, the file's
// base name becomes the metadata "filename". opts may be nil. The result is
// never nil; with an error it tells how far the upload came.
func (c *Client) UploadFile(ctx context.Context, path string, opts *UploadOptions) (*Result, error) {
	o := fileOptions(path, opts)
	return c.Upload(ctx, File(path), &o)
}

// fileOptions gives opts the file's name as metadata, unless they have some.
func fileOptions(path string, opts *UploadOptions) UploadOptions {
	var o UploadOptions
	if opts != nil {
		o = *opts
	}
	if o.Metadata == nil {
		o.filename = filepath.Base(path)
	}
	return o
}

// Upload uploads source and retries by the client's policy until the server
// has all of it. When ctx ends, the upload stays resumable on the server and
// the error matches that of ctx. opts may be nil. The result is never nil.
func (c *Client) Upload(ctx context.Context, source Source, opts *UploadOptions) (*Result, error) {
	u, err := c.NewUploader(source, opts)
	if err != nil {
		return newResult(), err
	}
	defer u.close() // no other Run can follow
	return u.Run(ctx)
}

// Resume continues the upload at uploadURL with source, from where the server
// is. The URL may have been made elsewhere, by a backend or a hosted service:
// nothing is ever created. Errors match [ErrUploadGone] if there is no such
// upload, and [ErrSourceMismatch] if it has another length than source. The
// client's headers go along only if the URL has the endpoint's origin or a
// trusted one. opts may be nil. The result is never nil.
func (c *Client) Resume(ctx context.Context, uploadURL string, source Source, opts *UploadOptions) (*Result, error) {
	var o UploadOptions
	if opts != nil {
		o = *opts
	}
	o.URL = uploadURL
	if uploadURL == "" {
		_, err := parseURL("upload URL", uploadURL)
		return newResult(), err
	}
	return c.Upload(ctx, source, &o)
}

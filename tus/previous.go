package tus

import (
	"context"
	"fmt"
	"slices"

	"github.com/seed-175555ba/tus-go/storage"
)

// PreviousUploads returns the records of the unfinished uploads of source in the client's
// store, the last updated first. opts, which may be nil, must be those of the upload: the
// metadata or ResumeKey is part of the resume key. An upload resumes the one with the
// highest offset on the server, or [UploadOptions.Previous]. A record whose Lease has not
// ended may be held by another Uploader ([UploadOptions.Held]). No request is sent. Without
// a store, the result is empty. The query of an upload URL may contain secrets.
func (c *Client) PreviousUploads(ctx context.Context, source Source, opts *UploadOptions) ([]storage.Record, error) {
	u, err := c.NewUploader(source, opts)
	if err != nil || c.opts.Store == nil {
		return nil, err
	}
	if u.planner.info, err = statSource(ctx, source, c.opts.SourceTimeout); err != nil {
		return nil, err
	}
	key, err := u.planner.resumeKey(ctx)
	if err != nil || key == "" {
		return nil, err
	}
	stored, err := c.opts.Store.Find(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("tus: %w: find: %w", ErrStore, err)
	}
	return slices.DeleteFunc(slices.Clone(stored), func(rec storage.Record) bool { return !named(rec) }), nil
}

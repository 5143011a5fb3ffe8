package tus

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// Previous is a stored upload of a source. It is unfinished unless Completed is set.
type Previous struct {
	// ID and Revision are those of its record, for [storage.Store.Delete].
	ID       string
	Revision int64
	// URL is the upload URL, empty for an upload in parallel parts. It may contain
	// secrets in its query.
	URL string
	// Size is the size of the source in bytes.
	Size int64
	// Parts are the parts of a parallel upload, in the order of their offsets; nil for an
	// upload in one piece.
	Parts []storage.Part
	// Created is when the upload was created, and Updated when its record was last
	// stored.
	Created, Updated time.Time
	// Completed is when the upload was complete, zero for an unfinished one.
	Completed time.Time
	// Expires is when the server deletes the upload; zero if no response had an expiry. If
	// Completed is set, it is when the upload is no longer remembered.
	Expires time.Time
	// HeldUntil is when the lease of the upload ends; zero if no [Uploader] has one.
	HeldUntil time.Time

	key string // by which it was found
}

// PreviousUploads returns the uploads of source in the client's store, the last updated
// first: unfinished ones, and completed ones that a client remembers. opts, which may be
// nil, must be those of the upload: the metadata or ResumeKey is part of the resume key. An
// upload resumes the one with the highest offset on the server, or [UploadOptions.Previous].
// No request is sent. Without a store, the result is empty.
func (c *Client) PreviousUploads(ctx context.Context, source Source, opts *UploadOptions) ([]Previous, error) {
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
	stored, err := u.record.find(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("tus: %w: find: %w", ErrStore, err)
	}
	var all []Previous
	for _, rec := range stored {
		if (named(rec) || completed(rec)) && !outdated(rec, time.Now()) {
			all = append(all, previousOf(rec, c.clock.earliest()))
		}
	}
	return all, nil
}

func previousOf(rec storage.Record, now time.Time) Previous {
	p := Previous{
		ID: rec.ID, Revision: rec.Revision, URL: rec.UploadURL, Size: rec.Size, Parts: rec.Parts,
		Created: rec.Created, Updated: rec.Updated, Completed: rec.Completed, Expires: rec.Expires, key: rec.Fingerprint,
	}
	if leaseRuns(rec.Lease, now) {
		p.HeldUntil = rec.Lease.Until
	}
	return p
}

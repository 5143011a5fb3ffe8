package tus

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// ResumeToken resumes the upload of a token of [Uploader.Token] with source, which must have
// the same content: its name, path and times may differ. ResumeToken never starts over. If
// the server no longer has the upload, the error matches [ErrUploadGone]; a part that is gone
// is sent again. Metadata of nil means those of the token.
//
// The error matches [ErrInvalidInput] if the token cannot be used, [ErrSourceMismatch] if the
// source has another size, and [ErrSourceChanged] if a sample of its content differs. A source
// that allows only one reader is not compared where the token was made, a stream also not
// where it is resumed: [UploadOptions.Digest] compares all bytes that were hashed. A stream
// must be read again from its start.
//
// The upload is kept in [Options.Store] like any other, so that
// [Client.Upload] with the same source and options finds it after a crash. Nothing prevents the process that made the token, or another
// one without the same store, from sending at the same time: end it first. Options.Header is
// sent only to the origin of the endpoint and to trusted ones, and the bytes to whatever
// server the token names: set [Options.TokenKey] if others can change tokens.
func (c *Client) ResumeToken(ctx context.Context, token string, source Source, opts *UploadOptions) (*Result, error) {
	u, err := c.newTokenResumer(token, source, opts)
	return upload(ctx, u, err)
}

func (c *Client) newTokenResumer(token string, source Source, opts *UploadOptions) (*Uploader, error) {
	rec, err := decodeToken(token, c.opts.TokenKey)
	if err != nil {
		return nil, fmt.Errorf("%w: resume token: %w", ErrInvalidInput, err)
	}
	u, err := c.NewUploader(source, opts)
	switch {
	case err != nil:
		return nil, err
	case u.opts.Previous != nil, u.opts.Again:
		return nil, fmt.Errorf("%w: resume token together with UploadOptions.Previous or Again", ErrInvalidInput)
	}
	if u.opts.Metadata == nil {
		u.opts.Metadata = rec.Metadata
	}
	u.opts.DeferLength = u.opts.DeferLength || rec.LengthDeferred
	u.token, u.planner.existing = &rec, true
	if u.record == nil {
		u.openRecord(&storage.Memory{})
	}
	return u, nil
}

// importToken stores the record of the token, unless the store has one of the same upload,
// and makes it the only one that may be resumed. It returns the resume key. A stream, which
// has none, and a store that fails are replaced by memory.
func (u *Uploader) importToken(ctx context.Context, key string) (string, error) {
	if err := u.compareToken(ctx); err != nil {
		return "", err
	}
	rec, now := u.token.Clone(), time.Now().UTC()
	rec.ID, rec.Revision, rec.Created, rec.Updated = tokenID(rec), 0, now, now
	rec.Endpoint = httpx.RedactURL(u.client.endpoint)
	err := errStoreFailed
	if key != "" {
		rec.Fingerprint = key
		err = u.putToken(ctx, &rec)
	}
	if errors.Is(err, errStoreFailed) {
		u.record.store = &storage.Memory{}
		err = u.putToken(ctx, &rec)
	}
	u.opts.Previous = &Previous{ID: rec.ID, key: rec.Fingerprint}
	return rec.Fingerprint, err
}

// compareToken returns an error if the source is not the one of the token.
func (u *Uploader) compareToken(ctx context.Context) error {
	info := u.planner.info
	if !u.token.LengthDeferred && !info.SizeUnknown && u.token.Size != info.Size {
		return fmt.Errorf("%w: %d bytes in the resume token, %d here", ErrSourceMismatch, u.token.Size, info.Size)
	}
	if u.token.Fingerprint == noFingerprint || !info.reopens() {
		return nil
	}
	print, err := u.planner.contentFingerprint(ctx, u.planner.source, info)
	if err == nil && print != u.token.Fingerprint {
		err = fmt.Errorf("%w: its content is not that of the resume token", ErrSourceChanged)
	}
	return err
}

// putToken stores the record of the token, or sets the ID of a stored one of the same upload.
// If a store that is not required fails, the error is errStoreFailed.
func (u *Uploader) putToken(ctx context.Context, rec *storage.Record) error {
	found, err := u.record.find(ctx, rec.Fingerprint)
	if i := slices.IndexFunc(found, func(there storage.Record) bool { return sharesURL(there, *rec) }); i >= 0 {
		rec.ID = found[i].ID
		return nil
	}
	op := "find"
	if err == nil {
		op = "put"
		_, err = async.Call(ctx, func() (storage.Record, error) { return u.record.store.Put(ctx, *rec) }, nil)
	}
	if err == nil || errors.Is(err, storage.ErrConflict) { // another Uploader has just stored it
		return nil
	}
	if err := u.record.report(ctx, op, err); err != nil {
		return err
	}
	return errStoreFailed
}

// tokenID returns an ID that is the same for all tokens of an upload.
func tokenID(rec storage.Record) string {
	sum := xxh3.HashString128("token " + urlsOf(rec)[0]).Bytes()
	return hex.EncodeToString(sum[:])
}

// sharesURL reports whether a stored record is of the upload of b, which has a URL.
func sharesURL(a, b storage.Record) bool { return slices.Contains(urlsOf(a), urlsOf(b)[0]) }

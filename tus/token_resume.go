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

// givenToken is the token of an upload that is resumed by it.
type givenToken struct {
	rec     storage.Record
	planner *planner
	records *records // into which it is imported
}

// newGivenToken decodes UploadOptions.Token. The options that are not set are those of the
// token.
func newGivenToken(p *planner, all *records) (*givenToken, error) {
	rec, err := decodeToken(p.opts.Token, p.client.opts.TokenKey)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: UploadOptions.Token: %w", ErrInvalidInput, err)
	case p.opts.Previous != nil, p.opts.Again:
		return nil, fmt.Errorf("%w: UploadOptions.Token together with Previous or Again", ErrInvalidInput)
	}
	if p.opts.Metadata == nil {
		p.opts.Metadata = rec.Metadata
	}
	p.opts.DeferLength = p.opts.DeferLength || rec.LengthDeferred
	p.existing = true
	if all.store == nil {
		all.store = &storage.Memory{}
	}
	return &givenToken{rec, p, all}, nil
}

// importAs stores the record of the token under the resume key of the source, unless the store
// has one of the same upload. It returns the record that may be resumed. A stream, which has
// no key, and a store that fails are replaced by memory.
func (t *givenToken) importAs(ctx context.Context, key string) (*Previous, error) {
	if err := t.compare(ctx); err != nil {
		return nil, err
	}
	rec, now := t.rec.Clone(), time.Now().UTC()
	rec.ID, rec.Revision, rec.Created, rec.Updated = tokenID(rec), 0, now, now
	rec.Endpoint = httpx.RedactURL(t.planner.client.endpoint)
	err := errStoreFailed
	if key != "" {
		rec.Fingerprint = key
		err = t.put(ctx, &rec)
	}
	if errors.Is(err, errStoreFailed) {
		t.records.store, t.records.clock = &storage.Memory{}, newStoreClock(nil)
		err = t.put(ctx, &rec)
	}
	return &Previous{ID: rec.ID, key: rec.Fingerprint}, err
}

// compare returns an error if the source is not the one of the token.
func (t *givenToken) compare(ctx context.Context) error {
	info := t.planner.info
	if !t.rec.LengthDeferred && !info.SizeUnknown && t.rec.Size != info.Size {
		return fmt.Errorf("%w: %d bytes in UploadOptions.Token, %d here", ErrSourceMismatch, t.rec.Size, info.Size)
	}
	if t.rec.Fingerprint == noFingerprint || !info.reopens() {
		return nil
	}
	print, err := t.planner.contentFingerprint(ctx, t.planner.source, info)
	if err == nil && print != t.rec.Fingerprint {
		err = fmt.Errorf("%w: its content is not that of UploadOptions.Token", ErrSourceChanged)
	}
	return err
}

// put stores a record, or sets its ID to that of a stored one of the same upload. If a store
// that is not required fails, the error is errStoreFailed.
func (t *givenToken) put(ctx context.Context, rec *storage.Record) error {
	found, err := t.records.find(ctx, rec.Fingerprint)
	isSame := func(there storage.Record) bool { return slices.Contains(urlsOf(there), urlsOf(*rec)[0]) }
	if i := slices.IndexFunc(found, isSame); i >= 0 {
		rec.ID = found[i].ID
		return nil
	}
	op := "find"
	if err == nil {
		op = "put"
		_, err = async.Call(ctx, func() (storage.Record, error) { return t.records.store.Put(ctx, *rec) }, nil)
	}
	if err == nil || errors.Is(err, storage.ErrConflict) { // another Uploader has just stored it
		return nil
	}
	if err := t.records.report(ctx, op, err); err != nil {
		return err
	}
	return errStoreFailed
}

// tokenID returns an ID that is the same for all tokens of an upload.
func tokenID(rec storage.Record) string {
	sum := xxh3.HashString128("token " + urlsOf(rec)[0]).Bytes()
	return hex.EncodeToString(sum[:])
}

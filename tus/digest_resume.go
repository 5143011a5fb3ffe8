package tus

import (
	"bytes"
	"context"
	"encoding"
	"fmt"
	"hash"
	"io"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// saved returns the state of the digest for a record, nil if nothing is hashed.
func (d *digester) saved() *storage.Digest {
	d.hashing.Lock()
	defer d.hashing.Unlock()
	if d.stored != nil {
		return d.stored
	}
	marshaler, ok := d.hash.(encoding.BinaryMarshaler)
	if d.done == 0 || !ok {
		return nil
	}
	state, err := marshaler.MarshalBinary()
	if err != nil {
		return nil
	}
	return &storage.Digest{Algorithm: d.algorithm.Name, Offset: d.done, State: state, Source: d.source.stamp}
}

// restore continues the digest of an earlier session. Unless the source is provably the
// same, verify compares it first. A state that cannot be used is ignored: the bytes are
// then read again.
func (d *digester) restore(saved *storage.Digest) {
	if d == nil {
		return
	}
	h := d.restored(saved)
	if h == nil {
		return
	}
	d.hashing.Lock()
	defer d.hashing.Unlock()
	if saved.Source == "" || saved.Source != d.source.stamp {
		d.stored = saved
		return
	}
	d.continueWith(h, saved.Offset)
}

// restored returns a hash in a stored state, nil if that is not possible.
func (d *digester) restored(saved *storage.Digest) hash.Hash {
	if saved == nil || saved.Algorithm != d.algorithm.Name || saved.Offset > d.source.info.Size || len(saved.State) == 0 {
		return nil
	}
	h := d.algorithm.New()
	unmarshaler, ok := h.(encoding.BinaryUnmarshaler)
	if !ok || unmarshaler.UnmarshalBinary(saved.State) != nil {
		return nil
	}
	return h
}

// continueWith continues with the hash of the bytes before an offset, unless this session
// has hashed more. It requires d.hashing.
func (d *digester) continueWith(h hash.Hash, offset int64) {
	d.stored = nil
	d.mu.Lock()
	defer d.mu.Unlock()
	if offset > d.next {
		d.hash, d.done, d.next, d.pending = h, offset, offset, nil
	}
}

// ready is called before bytes are sent from an offset. It returns an error matching
// ErrSourceChanged if the bytes that an earlier session hashed differ from those of the
// source. The bytes before the offset, which are not sent again, are read.
func (d *digester) ready(ctx context.Context, offset int64) error {
	if d == nil || d.source.open == nil {
		return nil
	}
	if err := d.verify(ctx); err != nil {
		return err
	}
	if d.source.info.Sequential {
		return d.readTo(ctx, min(offset, d.source.info.Size))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limit = max(d.limit, min(offset, d.source.info.Size))
	d.follow()
	return nil
}

// verify compares the source with the state that an earlier session stored.
func (d *digester) verify(ctx context.Context) error {
	d.hashing.Lock()
	saved := d.stored
	d.hashing.Unlock()
	if saved == nil {
		return nil
	}
	fresh := d.algorithm.New()
	r := orderedReader{open: d.source.open}
	defer r.close(ctx)
	err := r.each(ctx, span{0, saved.Offset}, func(_ int64, data []byte) error {
		fresh.Write(data)
		return nil
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return async.ContextError(ctx)
	case err != nil:
		return shortSource(err, io.ErrUnexpectedEOF)
	}
	if !bytes.Equal(fresh.Sum(nil), d.restored(saved).Sum(nil)) {
		return fmt.Errorf("%w: its first %d bytes are not those that an earlier session sent", ErrSourceChanged, saved.Offset)
	}
	d.hashing.Lock()
	defer d.hashing.Unlock()
	d.continueWith(fresh, saved.Offset)
	return nil
}

package tus

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

const (
	// digestRead is how many bytes of the source are read and hashed at a time, and
	// digestClaim how many in a row.
	digestRead  = 256 << 10
	digestClaim = 16 * digestRead
	// maxDigestPending is how many bytes that passed memory wait to be hashed. Those that
	// do not fit are read again.
	maxDigestPending = 1 << 20
)

// digester computes the digest of a whole source while its bytes are sent: in order, and
// each byte once, however often it is sent. A nil *digester does nothing.
//
// Bytes that pass memory in order are hashed from there. A goroutine, the follower, reads
// the others, in step with the upload: those that the kernel sends from the page cache,
// those of parallel parts, and those that an earlier session sent. A sequential source
// allows only one reader: its bytes are hashed as they are read to be sent.
type digester struct {
	algorithm checksum.Algorithm
	source    digestSource

	hashing sync.Mutex // held while the fields below are used
	hash    hash.Hash
	done    int64           // bytes that are hashed
	stored  *storage.Digest // of an earlier session, not verified yet; nil for none
	failure error           // of the hash

	mu      sync.Mutex // held while the fields below are used
	next    int64      // end of the bytes that are hashed, pending or being read by the follower
	limit   int64      // the follower reads up to there
	pending []byte     // before next, to be hashed
	spare   []byte     // for pending
	follower
}

// digestSource is the source of a digester.
type digestSource struct {
	info  SourceInfo
	open  func(ctx context.Context, offset int64) (io.ReadCloser, error) // nil for a stream
	stamp string                                                         // identifies the version; "" if nothing does
}

// follower is the goroutine that hashes, while the upload is driven.
type follower struct {
	drive  context.Context // nil when none is in progress
	ctx    context.Context // until the follower is stopped
	cancel context.CancelFunc
	panics *async.Panics
	wake   chan struct{}
	ended  chan struct{} // closed at the end of the goroutine; nil before it starts
}

// newDigester returns nil for the name "".
func newDigester(name string) (*digester, error) {
	if name == "" {
		return nil, nil
	}
	var names []string
	for _, a := range checksum.Builtin() {
		if strings.EqualFold(a.Name, name) {
			return &digester{algorithm: a, hash: a.New(), follower: follower{wake: make(chan struct{}, 1)}}, nil
		}
		names = append(names, a.Name)
	}
	return nil, fmt.Errorf("%w: UploadOptions.Digest is %q, not one of %s", ErrInvalidInput, name, strings.Join(names, ", "))
}

// setSource sets the source, which may have been replaced since the last call.
func (d *digester) setSource(s digestSource) {
	if d == nil {
		return
	}
	drive, panics := d.drive, d.panics // only the driving goroutine changes them
	d.end()
	if drive != nil {
		defer d.begin(drive, panics)
	}
	d.hashing.Lock()
	defer d.hashing.Unlock()
	replaced := d.source.info.changed(s.info) != nil
	d.source = s
	if !replaced {
		return
	}
	d.hash.Reset()
	d.done, d.stored = 0, nil
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next, d.limit, d.pending = 0, 0, nil
}

// endsStream replaces a stream that was read to its end by its bytes.
func (d *digester) endsStream(s digestSource) {
	if d == nil {
		return
	}
	done := d.doneBytes()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.source, d.next = s, done
}

// begin permits the follower until end is called. panics keeps those of the source.
func (d *digester) begin(ctx context.Context, panics *async.Panics) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drive, d.panics = ctx, panics
	d.ctx, d.cancel = context.WithCancel(ctx)
	d.ended = nil
}

// end stops the follower.
func (d *digester) end() {
	if d == nil {
		return
	}
	d.mu.Lock()
	cancel, ended := d.cancel, d.ended
	d.drive, d.ctx, d.cancel, d.ended = nil, nil, nil, nil
	d.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	if ended != nil {
		<-ended
	}
	d.mu.Lock()
	data := d.pending
	d.pending = nil
	d.mu.Unlock()
	_ = d.add(d.doneBytes(), data) // finish returns the error
}

// passed notes that n bytes of the source at an offset are sent. data are these bytes, nil
// if they did not pass memory. part is set for the bytes of a parallel part.
func (d *digester) passed(at int64, n int, data []byte, part bool) {
	if d.source.info.Sequential {
		d.add(at, data)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	end := at + int64(n)
	switch {
	case d.take(at, data):
	case part: // the parts have no order: the follower keeps pace with them
		d.limit = min(d.limit+int64(n), d.source.info.Size)
	default:
		d.limit = max(d.limit, end)
	}
	d.follow()
}

// take makes bytes pending if they follow those before. It requires d.mu.
func (d *digester) take(at int64, data []byte) bool {
	skip := d.next - at
	switch {
	case skip < 0, len(data) == 0:
		return false
	case skip >= int64(len(data)):
		return true
	case len(d.pending)+len(data) > maxDigestPending:
		return false
	}
	d.pending = append(d.pending, data[skip:]...)
	d.next = at + int64(len(data))
	return true
}

// follow starts or wakes the follower if there is enough to do. It requires d.mu.
func (d *digester) follow() {
	if d.ctx == nil || !d.due(digestRead) {
		return
	}
	if d.ended != nil {
		select {
		case d.wake <- struct{}{}:
		default:
		}
		return
	}
	ctx, panics, ended := d.ctx, d.panics, make(chan struct{})
	d.ended = ended
	go func() {
		defer close(ended)
		panics.Run(func() {
			// finish repeats what fails.
			_ = d.work(ctx, digestRead, func() bool {
				select {
				case <-d.wake:
					return true
				case <-ctx.Done():
					return false
				}
			})
		})
	}()
}

// due reports whether bytes are pending or to be read, least at the least. It requires d.mu.
func (d *digester) due(least int64) bool {
	return int64(len(d.pending)) >= least || d.limit-d.next >= least
}

// claim returns the bytes that are hashed next, or the range to read for that.
func (d *digester) claim(least int64) (data []byte, s span) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.due(least):
	case len(d.pending) > 0:
		data, d.pending, d.spare = d.pending, d.spare[:0], nil
	default:
		s = span{d.next, min(d.limit-d.next, digestClaim)}
		d.next += s.size
	}
	return data, s
}

// work hashes what is due, and calls more when nothing is, until that returns false.
func (d *digester) work(ctx context.Context, least int64, more func() bool) (err error) {
	r := orderedReader{open: d.source.open}
	hashed := false
	defer func() {
		if !hashed { // also after a panic: what was claimed is not hashed
			d.rewind()
		}
		r.close(ctx)
	}()
	for {
		data, s := d.claim(least)
		switch {
		case data != nil:
			err = d.add(d.doneBytes(), data)
			d.mu.Lock()
			d.spare = data
			d.mu.Unlock()
		case s.size > 0:
			err = r.each(ctx, s, func(at int64, data []byte) error { return d.addRead(ctx, at, data) })
		default:
			r.close(ctx)
			if !more() {
				hashed = true
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

// rewind discards what is claimed and pending.
func (d *digester) rewind() {
	done := d.doneBytes()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next, d.pending = done, nil
}

func (d *digester) doneBytes() int64 {
	d.hashing.Lock()
	defer d.hashing.Unlock()
	return d.done
}

// add hashes bytes at an offset, except for those that are hashed already. It ignores bytes
// after a gap.
func (d *digester) add(at int64, data []byte) error {
	d.hashing.Lock()
	defer d.hashing.Unlock()
	return d.addLocked(at, data)
}

// addRead is add for bytes that were read from the source. When ctx has ended, the source may
// have been replaced.
func (d *digester) addRead(ctx context.Context, at int64, data []byte) error {
	d.hashing.Lock()
	defer d.hashing.Unlock()
	if ctx.Err() != nil {
		return async.ContextError(ctx)
	}
	return d.addLocked(at, data)
}

// addLocked requires d.hashing.
func (d *digester) addLocked(at int64, data []byte) error {
	skip := d.done - at
	if d.failure != nil || skip < 0 || skip >= int64(len(data)) {
		return d.failure
	}
	if _, err := d.hash.Write(data[skip:]); err != nil { // FIPS mode may forbid the algorithm
		d.failure = fmt.Errorf("%w: UploadOptions.Digest: %w", ErrInvalidInput, err)
		return d.failure
	}
	d.done = at + int64(len(data))
	return nil
}

// readTo reads and hashes the source up to an offset, unless it is hashed up to there.
func (d *digester) readTo(ctx context.Context, offset int64) error {
	d.mu.Lock()
	if d.source.info.Sequential {
		d.next = d.doneBytes()
	}
	d.limit = max(d.limit, offset)
	d.mu.Unlock()
	err := d.work(ctx, 1, func() bool { return false })
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return async.ContextError(ctx)
	}
	return shortSource(err, io.ErrUnexpectedEOF)
}

// finish hashes the rest of a source whose bytes are all acknowledged, and returns the
// digest of all.
func (d *digester) finish(ctx context.Context, size int64) (*storage.Digest, error) {
	if d == nil {
		return nil, nil
	}
	d.end()
	if d.source.open != nil {
		if err := d.readTo(ctx, size); err != nil {
			return nil, err
		}
	}
	d.hashing.Lock()
	defer d.hashing.Unlock()
	switch {
	case d.failure != nil:
		return nil, d.failure
	case d.done != size:
		return nil, fmt.Errorf("%w: the digest is that of %d bytes, the upload has %d", ErrSourceMismatch, d.done, size)
	}
	return &storage.Digest{Algorithm: d.algorithm.Name, Offset: size, Sum: d.hash.Sum(nil)}, nil
}

// digestText returns a digest for Result, empty if it has no sum.
func digestText(d *storage.Digest) string {
	if d == nil || len(d.Sum) == 0 {
		return ""
	}
	return d.Algorithm + ":" + hex.EncodeToString(d.Sum)
}

// tee returns a reader that hashes the bytes of a stream as they are read.
func (d *digester) tee(r io.ReadCloser) io.ReadCloser {
	if d == nil {
		return r
	}
	t := &teeReader{ReadCloser: r, digest: d}
	if limited, ok := r.(deadliner); ok {
		return struct {
			*teeReader
			deadliner
		}{t, limited}
	}
	return t
}

type teeReader struct {
	io.ReadCloser
	digest *digester
	at     int64
}

func (r *teeReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if n > 0 && n <= len(p) {
		_ = r.digest.add(r.at, p[:n]) // finish returns the error
		r.at += int64(n)
	}
	return n, err
}

// isOf reports whether a stored digest has the algorithm of d.
func (d *digester) isOf(stored *storage.Digest) bool {
	return d != nil && stored != nil && stored.Algorithm == d.algorithm.Name
}

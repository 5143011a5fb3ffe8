package tus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/hashahead"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// chunk is the body of one PATCH.
type chunk struct {
	offset, size int64
	// declare is the size of the whole upload. It is sent if declares is set, because the
	// length was deferred (section Creation, Upload-Defer-Length).
	declare  int64
	declares bool
	last     bool             // it completes the upload
	data     []byte           // nil if it is not in memory
	sum      readahead.Sum    // of data, if it was computed while reading
	checksum readahead.Sum    // to send; zero for none
	trailer  *checksumTrailer // nil for none
	payload  *send.Payload
}

func (c chunk) end() int64 { return c.offset + c.size }

// cut bounds the next chunk.
type cut struct {
	offset   int64
	most     int64 // maximum size
	stopAt   int64 // the chunk ends there at the latest; 0 for no bound
	deferred bool  // the length was not sent yet
}

// chunker cuts a source into chunks.
type chunker interface {
	// next returns the chunk at an offset, or false if nothing is left to send.
	next(ctx context.Context, at cut) (c chunk, more bool, err error)
	// payload returns a body of size bytes at offset.
	payload(offset, size int64) *send.Payload
	// hash returns the checksum of a chunk, and may replace its payload.
	hash(ctx context.Context, c *chunk, s *sums) ([]byte, error)
	// reread discards buffered bytes and checksums, so that a resent chunk is read again.
	reread()
	// canSendFrom returns an error if the bytes from offset on cannot be sent after those
	// below acknowledged were sent.
	canSendFrom(offset, acknowledged int64) error
	// endsAt reports whether the source ends at an offset.
	endsAt(ctx context.Context, offset int64) bool
	// declared sets the length that the server has, and returns the current info.
	declared(length int64) SourceInfo
	// verify returns an error if the source has changed. It is called when all bytes are
	// acknowledged.
	verify(ctx context.Context) error
	// stopAhead stops reading and hashing ahead.
	stopAhead()
	// close releases all resources. No other method is called after it.
	close()
}

// ranged cuts a source of known size that opens at any offset.
type ranged struct {
	source   Source
	info     SourceInfo                  // of the first Stat
	whole    bool                        // the source is all of the upload, not a part
	limit    Limiter                     // of the upload; nil for none
	timeout  time.Duration               // of each call of source; 0 for none
	lastByte func(context.Context) error // called before the last byte of a whole source is sent
	digest   *digester                   // of the whole; nil for none
	begin    int64                       // of the source in the whole
	content  []byte                      // all bytes, which therefore do not change; nil if they are not in memory

	pipeline *hashahead.Pipeline
	hashes   string // the algorithm of pipeline
	buffer   []byte
	buffered span // the range in buffer
}

func (r *ranged) next(_ context.Context, at cut) (chunk, bool, error) {
	end := r.info.Size
	if at.stopAt > 0 {
		end = min(end, at.stopAt)
	}
	size := min(end-at.offset, at.most)
	if held := r.buffered; held.offset <= at.offset && at.offset < held.offset+held.size {
		size = min(size, held.offset+held.size-at.offset) // end with the buffer
	}
	last := at.offset+size == r.info.Size
	return chunk{
		offset: at.offset, size: size, last: last,
		declares: at.deferred && last, declare: r.info.Size,
		payload: r.payload(at.offset, size),
	}, true, nil
}

func (r *ranged) payload(offset, size int64) *send.Payload {
	if r.content != nil {
		return r.verified(memoryPayload(r.content[offset:offset+size], offset))
	}
	p := r.verified(&send.Payload{
		Offset: offset, Size: size,
		Open: func(ctx context.Context) (io.ReadCloser, error) {
			reader, err := r.open(ctx, offset)
			if _, file := reader.(*os.File); file && r.digest != nil && r.info.Sequential {
				return struct{ io.ReadCloser }{reader}, err // sent through memory, as it cannot be read again
			}
			return reader, err
		},
	})
	p.ToEnd = r.ends(p)
	return p
}

// ends reports whether a payload completes the upload.
func (r *ranged) ends(p *send.Payload) bool { return r.whole && p.Offset+p.Size == r.info.Size }

// open opens the source. It is safe in an abandoned goroutine: no field that it reads changes.
func (r *ranged) open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if r.content != nil {
		return io.NopCloser(bytes.NewReader(r.content[offset:])), nil
	}
	return openSource(ctx, ctx, r.source, offset, r.timeout)
}

// verified sets the check of the source that runs before the last bytes of p are sent.
func (r *ranged) verified(p *send.Payload) *send.Payload {
	p.Limit, p.Verify = r.limit, r.verifyInfo
	if r.digest != nil {
		p.Passed = func(offset int64, n int, data []byte) { r.digest.passed(r.begin+offset, n, data, !r.whole) }
	}
	if r.ends(p) {
		p.Verify = func(ctx context.Context) error {
			if err := r.verifyContent(ctx); err != nil {
				return err
			}
			return r.lastByte(ctx)
		}
	}
	return p
}

// verify checks the source again after all bytes are acknowledged: with sendfile, bytes in
// the queue of the socket share the page cache of the file, and a write after the check
// before the last byte may have changed them.
func (r *ranged) verify(ctx context.Context) error {
	err := r.unchanged(ctx)
	if r.whole && errors.Is(err, errTouched) { // the content is the same
		return nil
	}
	return err
}

// unchanged returns an error if the source has changed.
func (r *ranged) unchanged(ctx context.Context) error {
	if r.whole {
		return r.verifyContent(ctx)
	}
	return r.verifyInfo(ctx)
}

// verifyInfo compares the result of Stat with the first one.
func (r *ranged) verifyInfo(ctx context.Context) error {
	if r.content != nil {
		return nil
	}
	now, err := statSource(ctx, r.source, r.timeout)
	if err != nil {
		return sourceError(err)
	}
	return r.info.changed(now)
}

// verifyContent is verifyInfo, but also compares a sample of a file.
func (r *ranged) verifyContent(ctx context.Context) error {
	file, ok := r.source.(contentVerifier)
	if !ok || r.content != nil {
		return r.verifyInfo(ctx)
	}
	_, err := callSource(ctx, r.timeout, "the final check", func() (struct{}, error) { return struct{}{}, file.verifyContent(ctx) }, nil)
	if err != nil {
		return sourceError(err)
	}
	return nil
}

// hash returns the checksum of a chunk, which in most cases was computed while the chunk
// before was sent.
func (r *ranged) hash(ctx context.Context, c *chunk, s *sums) ([]byte, error) {
	if r.info.Sequential && c.size <= maxBufferedChunk {
		if err := r.read(ctx, c); err != nil {
			return nil, err
		}
		return sumOf(s.algorithm, c.data), nil
	}
	if r.hashes != s.algorithm.Name { // the server refused the one before
		r.stopAhead()
	}
	if r.pipeline == nil {
		r.hashes = s.algorithm.Name
		r.pipeline = hashahead.New(s.algorithm, r.open)
	}
	if s.ahead && !r.info.Sequential {
		r.hashAhead(ctx, c)
	}
	sum, err := r.pipeline.Sum(ctx, c.offset, c.size)
	switch {
	case err == nil:
		return sum, nil
	case ctx.Err() != nil:
		return nil, async.ContextError(ctx)
	}
	return nil, shortSource(err, io.ErrUnexpectedEOF)
}

// hashAhead starts hashing a chunk and several after it: the times for hashing and sending
// vary.
func (r *ranged) hashAhead(ctx context.Context, c *chunk) {
	r.pipeline.Ahead(ctx, c.offset, c.size)
	next := c.end()
	for end := next + max(c.size, maxHashedAhead); next < min(end, r.info.Size); next += c.size {
		if !r.pipeline.Ahead(ctx, next, min(r.info.Size-next, c.size)) {
			return
		}
	}
}

// read reads a chunk into the buffer, unless that has it from the last attempt.
func (r *ranged) read(ctx context.Context, c *chunk) error {
	within := c.offset - r.buffered.offset
	if within < 0 || within+c.size > r.buffered.size {
		if err := r.fill(ctx, span{c.offset, c.size}); err != nil {
			return err
		}
		within = 0
	}
	c.data = r.buffer[within : within+c.size]
	c.payload = r.verified(memoryPayload(c.data, c.offset))
	return nil
}

func (r *ranged) fill(ctx context.Context, s span) error {
	r.buffered = span{}
	if int64(cap(r.buffer)) < s.size {
		r.buffer = make([]byte, s.size)
	}
	reader, err := r.open(ctx, s.offset)
	if err != nil {
		return sourceError(err)
	}
	defer async.Close(ctx, reader)
	buffer := r.buffer[:s.size]
	n, err := async.Call(ctx, func() (int, error) { return readahead.Fill(ctx, reader, buffer) }, nil)
	switch {
	case int64(n) == s.size:
		r.buffered = s
		return nil
	case ctx.Err() != nil:
		r.buffer = nil // the abandoned Read may still write to it
		return async.ContextError(ctx)
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return shortSource(err, io.ErrUnexpectedEOF)
}

func (r *ranged) reread() {
	r.buffered = span{}
	r.stopAhead()
}

func (r *ranged) canSendFrom(offset, acknowledged int64) error {
	if r.info.Sequential && offset < acknowledged {
		return ErrNotRecoverable
	}
	return nil
}

func (r *ranged) endsAt(_ context.Context, offset int64) bool { return offset == r.info.Size }

func (r *ranged) declared(int64) SourceInfo { return r.info }

// stopAhead stops hashing ahead. It abandons a Read that hangs although its reader is closed.
func (r *ranged) stopAhead() {
	if r.pipeline != nil {
		async.CloseSoon(r.pipeline)
		r.pipeline = nil
	}
}

func (r *ranged) close() {
	r.stopAhead()
	r.buffer, r.buffered = nil, span{}
}

// section is a Source for the range of one part.
type section struct {
	source Source
	whole  SourceInfo
	span   span
}

func (s section) Stat(ctx context.Context) (SourceInfo, error) {
	info, err := s.source.Stat(ctx)
	if err != nil {
		return SourceInfo{}, err
	}
	if err := s.whole.changed(info); err != nil {
		return SourceInfo{}, err
	}
	return s.info(), nil
}

func (s section) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	return s.source.Open(ctx, s.span.offset+offset)
}

func (s section) info() SourceInfo {
	info := s.whole
	info.Size = s.span.size
	return info
}

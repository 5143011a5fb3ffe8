package tus

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/hashahead"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// chunk is what one PATCH sends.
type chunk struct {
	offset, size int64
	// declare is the length of the whole upload, if the server does not know it yet and
	// this request sends it (section Creation, Upload-Defer-Length).
	declare  int64
	declares bool
	last     bool             // it completes the upload
	data     []byte           // if it is in memory
	sum      readahead.Sum    // of data, if that is known already
	checksum readahead.Sum    // to send; zero for none
	trailer  *checksumTrailer // nil for none
	payload  *send.Payload
}

func (c chunk) end() int64 { return c.offset + c.size }

// cut says where the next chunk begins and what bounds it.
type cut struct {
	offset   int64
	stopAt   int64 // the chunk ends there at the latest; 0 for no bound
	deferred bool  // the server does not know the length
}

// chunker cuts a source into chunks.
type chunker interface {
	// next returns the chunk at an offset. It is false if nothing is left to send.
	next(ctx context.Context, at cut) (c chunk, more bool, err error)
	// payload makes the body of the bytes at an offset.
	payload(offset, size int64) *send.Payload
	// hash returns the checksum of a chunk, and may replace its payload.
	hash(ctx context.Context, c *chunk, s *sums) ([]byte, error)
	// reread discards what is held or hashed of a chunk that is to be sent again.
	reread()
	// canRestart returns an error if the first byte cannot be sent again.
	canRestart() error
	// canSendFrom reports whether the bytes from offset on can be sent, after
	// those below acknowledged have been.
	canSendFrom(offset, acknowledged int64) bool
	// endsAt reports whether the source ends at an offset.
	endsAt(ctx context.Context, offset int64) bool
	// declared notes the length that the server has. It returns what is known of the
	// source by then.
	declared(length int64) SourceInfo
	// verify returns an error if the source, all bytes of which are acknowledged, is no
	// longer what it was.
	verify(ctx context.Context) error
	// rest ends what is read or hashed ahead.
	rest()
	// close frees what is held. No other method is called after it.
	close()
}

// ranged cuts a source of known size that opens at any offset.
type ranged struct {
	source   Source
	info     SourceInfo // of the first look
	whole    bool       // the upload is complete with the last byte
	sizer    *chunkSizer
	limit    Limiter                     // of the upload; nil for none
	timeout  time.Duration               // of each call of source; 0 for none
	lastByte func(context.Context) error // runs before the last byte of a whole source leaves

	pipeline *hashahead.Pipeline
	buffer   []byte
	buffered span // what is in buffer
}

func (r *ranged) next(_ context.Context, at cut) (chunk, bool, error) {
	end := r.info.Size
	if at.stopAt > 0 {
		end = min(end, at.stopAt)
	}
	size := end - at.offset
	if r.sizer.size > 0 {
		size = min(size, r.sizer.size)
	}
	if held := r.buffered; held.offset <= at.offset && at.offset < held.offset+held.size {
		size = min(size, held.offset+held.size-at.offset) // what begins in the buffer ends there
	}
	last := at.offset+size == r.info.Size
	return chunk{
		offset: at.offset, size: size, last: last,
		declares: at.deferred && last, declare: r.info.Size,
		payload: r.payload(at.offset, size),
	}, true, nil
}

func (r *ranged) payload(offset, size int64) *send.Payload {
	source, timeout := r.source, r.timeout
	p := r.verified(&send.Payload{
		Offset: offset, Size: size,
		Open: func(ctx context.Context) (io.ReadCloser, error) { return openSource(ctx, ctx, source, offset, timeout) },
	})
	p.ToEnd = r.ends(p)
	return p
}

// ends reports whether a payload completes the upload.
func (r *ranged) ends(p *send.Payload) bool { return r.whole && p.Offset+p.Size == r.info.Size }

// verified makes a payload hold its last bytes back until the source has been looked at.
func (r *ranged) verified(p *send.Payload) *send.Payload {
	source, begun, timeout := r.source, r.info, r.timeout // a Read that is left behind may ask much later
	p.Limit = r.limit
	p.Verify = func(ctx context.Context) error { return verifyInfo(ctx, source, begun, timeout) }
	if r.ends(p) {
		lastByte := r.lastByte
		p.Verify = func(ctx context.Context) error {
			if err := verifyContent(ctx, source, begun, timeout); err != nil {
				return err
			}
			return lastByte(ctx)
		}
	}
	return p
}

// verify looks at the source once more when all is acknowledged: where the kernel sends a
// file, bytes that it had taken but not sent when the last look was made are still
// the file's own memory.
func (r *ranged) verify(ctx context.Context) error {
	err := r.unchanged(ctx)
	if r.whole && errors.Is(err, errTouched) { // the content is what it was
		return nil
	}
	return err
}

// unchanged returns an error if the source is no longer what it was.
func (r *ranged) unchanged(ctx context.Context) error {
	if r.whole {
		return verifyContent(ctx, r.source, r.info, r.timeout)
	}
	return verifyInfo(ctx, r.source, r.info, r.timeout)
}

// verifyInfo compares what Stat returns with the first look.
func verifyInfo(ctx context.Context, source Source, begun SourceInfo, limit time.Duration) error {
	now, err := statSource(ctx, source, limit)
	if err != nil {
		return sourceError(err)
	}
	return begun.changed(now)
}

// verifyContent compares a file with the first look, a sample of its content included,
// and other sources as verifyInfo does.
func verifyContent(ctx context.Context, source Source, begun SourceInfo, limit time.Duration) error {
	file, ok := source.(contentVerifier)
	if !ok {
		return verifyInfo(ctx, source, begun, limit)
	}
	_, err := callSource(ctx, limit, "the last look at it", func() (struct{}, error) { return struct{}{}, file.verifyContent(ctx) }, nil)
	if err != nil {
		return sourceError(err)
	}
	return nil
}

// hash hashes a chunk, in most cases while the one before it was sent.
func (r *ranged) hash(ctx context.Context, c *chunk, s *sums) ([]byte, error) {
	if r.info.Sequential && c.size <= maxBufferedChunk {
		if err := r.read(ctx, c); err != nil {
			return nil, err
		}
		return sumOf(s.algorithm, c.data), nil
	}
	if r.pipeline == nil {
		r.pipeline = hashahead.New(s.algorithm, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
			return openSource(ctx, ctx, r.source, offset, r.timeout)
		})
	}
	if s.ahead && !r.info.Sequential {
		r.hashAhead(ctx, c)
	}
	sum, err := r.pipeline.Sum(ctx, c.offset, c.size)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, async.ContextError(ctx)
	default:
		return nil, shortSource(err, io.ErrUnexpectedEOF)
	}
	return sum, nil
}

// hashAhead begins to hash a chunk and those after it, more than one, because neither
// hashing nor sending takes the same time for each.
func (r *ranged) hashAhead(ctx context.Context, c *chunk) {
	r.pipeline.Ahead(ctx, c.offset, c.size)
	size := r.sizer.size
	next := c.end()
	for end := next + max(size, maxHashedAhead); next < min(end, r.info.Size); next += size {
		if !r.pipeline.Ahead(ctx, next, min(r.info.Size-next, size)) {
			return
		}
	}
}

// read reads a chunk into memory, unless it is there from the last attempt.
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
	reader, err := openSource(ctx, ctx, r.source, s.offset, r.timeout)
	if err != nil {
		return sourceError(err)
	}
	defer async.Close(ctx, reader)
	buffer := r.buffer[:s.size]
	n, err := async.Call(ctx, func() (int, error) { return readahead.Fill(reader, buffer) }, nil)
	switch {
	case int64(n) == s.size:
	case ctx.Err() != nil:
		r.buffer = nil // the Read may still fill it
		return async.ContextError(ctx)
	case err == io.EOF:
		return shortSource(io.ErrUnexpectedEOF, io.ErrUnexpectedEOF)
	default:
		return shortSource(err, io.ErrUnexpectedEOF)
	}
	r.buffered = s
	return nil
}

func (r *ranged) reread() {
	r.buffered = span{}
	r.rest()
}

func (r *ranged) canRestart() error { return nil }

func (r *ranged) canSendFrom(offset, acknowledged int64) bool {
	return !r.info.Sequential || offset >= acknowledged
}

func (r *ranged) endsAt(_ context.Context, offset int64) bool { return offset == r.info.Size }

func (r *ranged) declared(int64) SourceInfo { return r.info }

// rest ends what is hashed ahead. A Read that hangs although its reader was closed is
// left behind.
func (r *ranged) rest() {
	if r.pipeline != nil {
		async.CloseSoon(r.pipeline)
		r.pipeline = nil
	}
}

func (r *ranged) close() {
	r.rest()
	r.buffer, r.buffered = nil, span{}
}

// section is the range of a source that one part sends.
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

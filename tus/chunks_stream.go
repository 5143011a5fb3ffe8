package tus

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// streamed cuts a source that is read in a single pass into chunks.
type streamed struct {
	window *readahead.Window
	whole  bytes.Buffer // the bytes that readAll has read
	limit  Limiter      // of the upload; nil for none
	sums   *sums        // chunks are hashed as they are read
	info   SourceInfo
	sized  bool  // the size was known before the stream was read
	length int64 // on the server; 0 while it is deferred
}

// begin reads the first chunk.
func (s *streamed) begin(ctx context.Context) error {
	w := s.window
	if w.Start() == 0 && len(w.Data()) == 0 {
		if err := w.Advance(ctx); err != nil {
			return err
		}
	}
	if err := s.broken(); err != nil && len(w.Data()) == 0 {
		return err
	}
	if err := w.Peek(ctx); err != nil || !s.sized {
		return err
	}
	return s.matchSize(ctx, s.info.Size)
}

// broken returns the error of the reader, if the window holds the last bytes before it.
func (s *streamed) broken() error {
	if err := s.window.Err(); err != nil {
		return sourceError(err)
	}
	return nil
}

// short reports whether the first chunk is all of the stream.
func (s *streamed) short() bool { return s.window.Ended() && s.window.Start() == 0 }

// readAll reads a stream to its end and returns its bytes. If they exceed limit, the error
// wraps reason.
func (s *streamed) readAll(ctx context.Context, limit int64, reason error) ([]byte, error) {
	for w := s.window; ; {
		if int64(s.whole.Len()) == w.Start() { // false after a pause: already appended
			s.whole.Write(w.Data())
		}
		switch {
		case int64(s.whole.Len()) > limit:
			return nil, fmt.Errorf("%w, and the stream exceeds UploadOptions.BufferLimit: %d", reason, limit)
		case w.Ended():
			return s.whole.Bytes(), nil
		case s.broken() != nil:
			return nil, s.broken()
		}
		if err := w.Advance(ctx); err != nil {
			return nil, err
		}
	}
}

func (s *streamed) next(ctx context.Context, at cut) (chunk, bool, error) {
	w := s.window
	if err := s.advanceTo(ctx, at.offset); err != nil {
		return chunk{}, false, err
	}
	if err := s.canSendFrom(at.offset, 0); err != nil {
		return chunk{}, false, err
	}
	if err := s.matches(ctx, at); err != nil {
		return chunk{}, false, err
	}
	data := w.Data()[at.offset-w.Start():]
	data = data[:min(int64(len(data)), at.most)]
	if at.stopAt > 0 {
		data = data[:min(int64(len(data)), at.stopAt-at.offset)]
	}
	last := w.Ended() && at.offset+int64(len(data)) == w.End()
	if last && len(data) == 0 && !at.deferred {
		return chunk{}, false, nil
	}
	w.Algorithm = s.sums.known()
	w.Fetch()
	c := chunk{
		offset: at.offset, size: int64(len(data)), data: data, last: last,
		declares: at.deferred && last, declare: w.End(),
		payload: s.limited(memoryPayload(data, at.offset)),
	}
	if len(data) == len(w.Data()) {
		c.sum = w.Sum()
	}
	return c, true, nil
}

// advanceTo reads until the window ends after offset, or the stream ends. If the stream
// ends at offset, the window keeps the last bytes, which are resent if the server has not
// acknowledged the length.
func (s *streamed) advanceTo(ctx context.Context, offset int64) error {
	w := s.window
	for offset >= w.End() && !w.Ended() {
		if err := s.broken(); err != nil {
			return err
		}
		if err := w.Peek(ctx); err != nil {
			return err
		}
		if w.Ended() || s.broken() != nil {
			continue
		}
		if err := w.Advance(ctx); err != nil {
			return err
		}
	}
	return nil
}

// matches returns an error if the stream does not have the size of its source, or the
// length on the server.
func (s *streamed) matches(ctx context.Context, at cut) error {
	switch {
	case s.sized:
		return s.matchSize(ctx, s.info.Size)
	case s.info.SizeUnknown && !at.deferred:
		return s.matchSize(ctx, s.length)
	case at.offset > s.window.End():
		return s.ended(at.offset)
	}
	return nil
}

// matchSize returns an error if the stream ends before size, or has bytes after it. If the
// reader fails there, the last bytes may not be sent: they would complete the upload.
func (s *streamed) matchSize(ctx context.Context, size int64) error {
	w := s.window
	if w.End() == size {
		if err := w.Peek(ctx); err != nil {
			return err
		}
	}
	switch end := w.End(); {
	case end < size && w.Ended():
		return s.ended(size)
	case end > size && w.Ended():
		return fmt.Errorf("%w: reader has %d bytes, the upload %d", ErrSourceMismatch, end, size)
	case end > size, end == size && !w.Ended() && w.Err() == nil:
		return fmt.Errorf("%w: reader has at least %d bytes, the upload %d", ErrSourceMismatch, max(end, size+1), size)
	case end == size && s.sized:
		return s.broken()
	}
	return nil
}

// ended returns the error for a stream that ends before size.
func (s *streamed) ended(size int64) error {
	return fmt.Errorf("%w: reader has %d bytes, the upload %d: %w", ErrSourceMismatch, s.window.End(), size, io.ErrUnexpectedEOF)
}

// memoryPayload returns a payload of the bytes at offset.
func memoryPayload(data []byte, offset int64) *send.Payload {
	return &send.Payload{
		Offset: offset, Size: int64(len(data)), Memory: true,
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

func (s *streamed) limited(p *send.Payload) *send.Payload {
	p.Limit = s.limit
	return p
}

// payload returns an empty payload. The payloads of next have the bytes of the window.
func (s *streamed) payload(offset, _ int64) *send.Payload {
	return s.limited(memoryPayload(nil, offset))
}

func (s *streamed) hash(_ context.Context, c *chunk, sums *sums) ([]byte, error) {
	if c.sum.Algorithm == sums.algorithm.Name {
		return c.sum.Sum, nil
	}
	return sumOf(sums.algorithm, c.data), nil
}

func (s *streamed) reread() {}

func (s *streamed) canSendFrom(offset, _ int64) error {
	if offset < s.window.Start() {
		return fmt.Errorf("%w: server is at offset %d, the buffer holds %d to %d", ErrNotRecoverable, offset, s.window.Start(), s.window.End())
	}
	return nil
}

func (s *streamed) endsAt(ctx context.Context, offset int64) bool {
	return offset == s.window.End() && s.window.Peek(ctx) == nil && s.window.Ended()
}

func (s *streamed) declared(length int64) SourceInfo {
	s.length = length
	if s.window.Ended() && s.window.End() == length {
		s.info.Size, s.info.SizeUnknown = length, false
	}
	return s.info
}

func (s *streamed) verify(context.Context) error { return nil }

func (s *streamed) stopAhead() { s.window.Interrupt() }

func (s *streamed) close() { s.window.Close() }

package tus

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// streamed cuts a source of unknown size, which is read once, into chunks.
type streamed struct {
	window *stream
	sizer  *chunkSizer
	limit  Limiter // of the upload; nil for none
	sums   *sums   // chunks are hashed as they are read
	info   SourceInfo
	// length is what the server has as the length; 0 as long as it is deferred.
	length int64
}

// begin reads the first chunk.
func (s *streamed) begin(ctx context.Context) error {
	w := s.window
	if w.start == 0 && len(w.data) == 0 {
		if err := w.advance(ctx); err != nil {
			return err
		}
	}
	if err := w.broken(); err != nil && len(w.data) == 0 {
		return err
	}
	return w.peek(ctx)
}

// short reports whether the first chunk is all of the stream.
func (s *streamed) short() bool { return s.window.ended() && s.window.start == 0 }

// readAll reads to the end of a stream of at most limit bytes and returns them. A stream
// that is longer is an error that wraps reason.
func (s *streamed) readAll(ctx context.Context, limit int64, reason error) ([]byte, error) {
	for w := s.window; ; {
		if int64(w.whole.Len()) == w.start { // else a pause came in between
			w.whole.Write(w.data)
		}
		switch {
		case int64(w.whole.Len()) > limit:
			return nil, fmt.Errorf("%w, and the stream is longer than the buffer limit of %d bytes", reason, limit)
		case w.ended():
			return w.whole.Bytes(), nil
		case w.broken() != nil:
			return nil, w.broken()
		}
		if err := w.advance(ctx); err != nil {
			return nil, err
		}
	}
}

func (s *streamed) next(ctx context.Context, at cut) (chunk, bool, error) {
	w := s.window
	if err := s.advanceTo(ctx, at.offset); err != nil {
		return chunk{}, false, err
	}
	if at.offset < w.start {
		return chunk{}, false, &StreamError{Offset: at.offset, BufferStart: w.start, BufferEnd: w.end()}
	}
	if err := s.matchLength(ctx, at); err != nil {
		return chunk{}, false, err
	}
	data := w.data[at.offset-w.start:]
	if s.sizer.size > 0 {
		data = data[:min(int64(len(data)), s.sizer.size)]
	}
	if at.stopAt > 0 {
		data = data[:min(int64(len(data)), at.stopAt-at.offset)]
	}
	last := w.ended() && at.offset+int64(len(data)) == w.end()
	if last && len(data) == 0 && !at.deferred {
		return chunk{}, false, nil
	}
	w.algorithm = s.sums.known()
	w.fetch()
	c := chunk{
		offset: at.offset, size: int64(len(data)), data: data, last: last,
		declares: at.deferred && last, declare: w.end(),
		payload: s.limited(memoryPayload(data, at.offset)),
	}
	if len(data) == len(w.data) {
		c.sum = w.sum
	}
	return c, true, nil
}

// advanceTo reads on until the window ends after an offset, or the stream ends. A
// stream that ends there keeps what was sent last for as long as the server has not
// acknowledged the length.
func (s *streamed) advanceTo(ctx context.Context, offset int64) error {
	w := s.window
	for offset >= w.end() && !w.ended() {
		if err := w.broken(); err != nil {
			return err
		}
		if err := w.peek(ctx); err != nil {
			return err
		}
		if w.ended() || w.broken() != nil {
			continue
		}
		if err := w.advance(ctx); err != nil {
			return err
		}
	}
	return nil
}

// matchLength returns an error if the stream is not as long as the server has it.
func (s *streamed) matchLength(ctx context.Context, at cut) error {
	w := s.window
	if !at.deferred && w.end() == s.length { // what follows would be too much
		if err := w.peek(ctx); err != nil {
			return err
		}
	}
	differs := w.ended() && w.end() != s.length || !w.ended() && w.end() >= s.length && w.broken() == nil
	if s.info.SizeUnknown && !at.deferred && differs || at.offset > w.end() {
		return fmt.Errorf("%w: the stream has %d bytes", ErrSourceMismatch, w.end())
	}
	return nil
}

// memoryPayload makes a body of bytes that are held in memory.
func memoryPayload(data []byte, offset int64) func(context.Context) *body {
	return func(ctx context.Context) *body {
		b := newBody(ctx, offset, int64(len(data)), func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(data)), nil
		})
		b.memory = true
		return b
	}
}

func (s *streamed) limited(payload func(context.Context) *body) func(context.Context) *body {
	limit := s.limit
	return func(ctx context.Context) *body {
		b := payload(ctx)
		b.limit = limit
		return b
	}
}

// payload is that of no bytes: others are in the window, see next.
func (s *streamed) payload(offset, _ int64) func(context.Context) *body {
	return s.limited(memoryPayload(nil, offset))
}

func (s *streamed) hash(_ context.Context, c *chunk, sums *sums) ([]byte, error) {
	if c.sum.algorithm == sums.algorithm.Name {
		return c.sum.sum, nil
	}
	return sumOf(sums.algorithm, c.data), nil
}

func (s *streamed) reread() {}

func (s *streamed) canRestart() error {
	if s.window.start > 0 {
		return &StreamError{BufferStart: s.window.start, BufferEnd: s.window.end()}
	}
	return nil
}

func (s *streamed) canSendFrom(offset, _ int64) bool { return offset >= s.window.start }

func (s *streamed) endsAt(ctx context.Context, offset int64) bool {
	return offset == s.window.end() && s.window.peek(ctx) == nil && s.window.ended()
}

func (s *streamed) declared(length int64) SourceInfo {
	s.length = length
	if s.window.ended() && s.window.end() == length {
		s.info.Size, s.info.SizeUnknown = length, false
	}
	return s.info
}

func (s *streamed) verify(context.Context) error { return nil }

func (s *streamed) rest() { s.window.rest() }

func (s *streamed) close() { s.window.close() }

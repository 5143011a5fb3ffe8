package tus

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// defaultStreamChunk is the size of the two buffers of a stream where no chunk
// size is set, and what they begin with where a larger one is.
const defaultStreamChunk = 8 << 20

// StreamError is an upload from a stream whose server is at an offset that the
// stream cannot be sent from any more. It matches [ErrNotRecoverable].
type StreamError struct {
	// Offset is where the server is, in bytes.
	Offset int64
	// BufferStart and BufferEnd are the offsets of the bytes that are still held.
	BufferStart, BufferEnd int64
}

// Error tells the offsets.
func (e *StreamError) Error() string {
	return fmt.Sprintf("tus: %v: server is at offset %d, the buffer holds %d to %d",
		ErrNotRecoverable, e.Offset, e.BufferStart, e.BufferEnd)
}

// Unwrap returns ErrNotRecoverable.
func (e *StreamError) Unwrap() error { return ErrNotRecoverable }

// Reader is a stream of unknown length, sent as a single upload. r is read once,
// from where it is to its end, by one goroutine at a time, and not closed. A
// Read that blocks when the context ends is left behind until it returns, unless
// r has a SetReadDeadline method as connections and pipes do.
func Reader(r io.Reader) Source { return &readerSource{r: r} }

// UploadReader uploads r, a stream of unknown length, such as a pipe. A stream
// that fits one chunk (8 MiB unless ChunkSize says otherwise) is sent like any
// other source. A longer one needs a server that lets the length be deferred
// (protocol section Creation, Upload-Defer-Length), or
// [UploadOptions.BufferLimit]; otherwise the error matches [ErrUnsupported].
//
// Two chunks are held in memory: the one being sent, and the next. If the server
// loses bytes that were confirmed before these, the error matches
// [ErrNotRecoverable]. If r fails, its error is returned and the upload stays on
// the server as it is. No later session finds it in a store, as r is read only once.
// opts may be nil. The result is never nil.
func (c *Client) UploadReader(ctx context.Context, r io.Reader, opts *UploadOptions) (*Result, error) {
	if r == nil {
		return newResult(), fmt.Errorf("%w: no reader", ErrInvalidInput)
	}
	return c.Upload(ctx, Reader(r), opts)
}

type readerSource struct {
	r    io.Reader
	used bool
}

func (s *readerSource) Stat(context.Context) (SourceInfo, error) {
	if s.r == nil {
		return SourceInfo{}, fmt.Errorf("%w: no reader", ErrInvalidInput)
	}
	return SourceInfo{SizeUnknown: true, Sequential: true}, nil
}

func (s *readerSource) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	if s.used || offset != 0 {
		return nil, fmt.Errorf("%w: it was read already", ErrNotRecoverable)
	}
	s.used = true
	if d, ok := s.r.(deadliner); ok {
		return deadlineReader{s.r, d}, nil
	}
	return io.NopCloser(s.r), nil
}

// deadliner is a reader whose Read can be ended from outside.
type deadliner interface{ SetReadDeadline(time.Time) error }

type deadlineReader struct {
	io.Reader
	deadliner
}

func (deadlineReader) Close() error { return nil }

// stream is the window of a stream that is uploaded.
type stream struct {
	*readahead.Window
	whole bytes.Buffer // all from the start, while the length is being found out
}

// broken is the error of the reader, if the data is the last before it.
func (s *stream) broken() error {
	if err := s.Err(); err != nil {
		return sourceError(err)
	}
	return nil
}

func (u *Uploader) closeStream() {
	if u.stream != nil {
		u.stream.Close()
	}
}

// beginStream reads the first chunk of a source of unknown length. If that is
// all, the source is an ordinary one.
func (u *Uploader) beginStream(ctx context.Context) error {
	if u.stream == nil {
		if !u.info.SizeUnknown {
			return nil
		}
		// The reader lives as long as the upload, over pauses.
		reader, err := openSource(ctx, context.WithoutCancel(ctx), u.source, 0, u.client.sourceTimeout)
		if err != nil {
			return sourceError(err)
		}
		size := u.chunks.size
		if size == 0 {
			size = defaultStreamChunk
		}
		u.stream = &stream{Window: readahead.New(reader, size, defaultStreamChunk)}
	}
	s := u.stream
	if s.Start() == 0 && len(s.Data()) == 0 {
		if err := s.Advance(ctx); err != nil {
			return err
		}
	}
	if err := s.broken(); err != nil && len(s.Data()) == 0 {
		return err
	}
	if err := s.Peek(ctx); err != nil {
		return err
	}
	if s.Ended() && s.Start() == 0 && !u.given {
		return u.becomeBytes(ctx, s.Data())
	}
	return nil
}

// becomeBytes goes on with a stream that was read to its end.
func (u *Uploader) becomeBytes(ctx context.Context, data []byte) error {
	u.stream.Close()
	u.stream = nil
	name := u.info.Name
	u.source = Bytes(data)
	info, err := statSource(ctx, u.source, u.client.sourceTimeout)
	info.Name = name
	u.mu.Lock()
	u.info = info
	u.mu.Unlock()
	return err
}

// deferLength makes sure that the server takes an upload without its length,
// if that is how it has to be created.
func (u *Uploader) deferLength(ctx context.Context, caps Capabilities) error {
	if !u.info.SizeUnknown && !u.opts.DeferLength || caps.Supports(ExtensionCreationDeferLength) {
		return nil
	}
	unsupported := fmt.Errorf("%w: %s, which an upload of unknown length needs", ErrUnsupported, ExtensionCreationDeferLength)
	if !u.info.SizeUnknown || u.opts.BufferLimit == 0 {
		return unsupported
	}
	for s := u.stream; ; {
		if int64(s.whole.Len()) == s.Start() { // else a pause came in between
			s.whole.Write(s.Data())
		}
		switch {
		case int64(s.whole.Len()) > u.opts.BufferLimit:
			return fmt.Errorf("%w, and the stream is longer than the buffer limit of %d bytes", unsupported, u.opts.BufferLimit)
		case s.Ended():
			return u.becomeBytes(ctx, s.whole.Bytes())
		case s.broken() != nil:
			return s.broken()
		}
		if err := s.Advance(ctx); err != nil {
			return err
		}
	}
}

// chooseStream is what an upload from a stream does in StateReady.
func (u *Uploader) chooseStream(ctx context.Context) (State, error) {
	s, offset := u.stream, u.Offset()
	if u.stopAt > 0 && offset >= u.stopAt {
		u.stopAt = 0
		return StatePaused, ErrPaused
	}
	for offset >= s.End() && !s.Ended() {
		if err := s.broken(); err != nil {
			return StateFailed, err
		}
		// A stream that ends here keeps what it sent last for as long as the
		// server has not confirmed the length.
		if err := s.Peek(ctx); err != nil {
			return u.after(ctx, StateReady, err), err
		}
		if s.Ended() || s.broken() != nil {
			continue
		}
		if err := s.Advance(ctx); err != nil {
			return u.after(ctx, StateReady, err), err
		}
	}
	if offset < s.Start() {
		return StateFailed, &StreamError{Offset: offset, BufferStart: s.Start(), BufferEnd: s.End()}
	}
	if !u.deferred && s.End() == u.declared { // what follows would be too much
		if err := s.Peek(ctx); err != nil {
			return u.after(ctx, StateReady, err), err
		}
	}
	wrong := u.info.SizeUnknown && !u.deferred && (s.End() >= u.declared && !s.Ended() && s.broken() == nil || s.Ended() && s.End() != u.declared)
	if wrong || offset > s.End() {
		return StateFailed, fmt.Errorf("%w: the stream has %d bytes", ErrSourceMismatch, s.End())
	}
	data := s.Data()[offset-s.Start():]
	if u.chunks.size > 0 {
		data = data[:min(int64(len(data)), u.chunks.size)]
	}
	if u.stopAt > 0 {
		data = data[:min(int64(len(data)), u.stopAt-offset)]
	}
	last := s.Ended() && offset+int64(len(data)) == s.End()
	if last && len(data) == 0 && !u.deferred {
		u.lengthIs(offset)
		return StateFinishing, nil
	}
	s.Algorithm = u.sums.ahead()
	s.Fetch()
	var sum readahead.Sum
	if len(data) == len(s.Data()) {
		sum = s.Sum()
	}
	u.next = chunk{
		offset: offset, size: int64(len(data)), data: data, sum: sum, last: last,
		declares: u.deferred && last, declare: s.End(),
		payload: u.limited(memoryPayload(data, offset)),
	}
	return StateSending, nil
}

// memoryPayload is data, which is at offset.
func memoryPayload(data []byte, offset int64) *send.Payload {
	return &send.Payload{
		Offset: offset, Size: int64(len(data)), Memory: true,
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

// lengthIs notes the length of a stream that ended.
func (u *Uploader) lengthIs(size int64) {
	u.mu.Lock()
	u.info.Size, u.info.SizeUnknown = size, false
	u.mu.Unlock()
}

// declaredLength takes over what the server knows of the length of a stream.
func (u *Uploader) declaredLength(info Info) {
	if u.stream == nil || info.LengthDeferred {
		return
	}
	u.declared = info.Length
	if u.stream.Ended() && u.stream.End() == info.Length {
		u.lengthIs(info.Length)
	}
}

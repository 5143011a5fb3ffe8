package tus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

// Writer uploads the bytes that are written to it. Create it with [Client.NewWriter], and
// always call Close or CloseWithError, or cancel the context.
//
// Write blocks while two chunks (8 MiB each unless [UploadOptions.ChunkSize] is set) are in
// memory. If the upload fails or its context ends, Write returns the error. The upload then
// stays on the server: it is resumed with [Client.Resume], the URL in Result and a source of
// all bytes. What is said about [Reader] applies, or about [ReaderN] if Size is set.
// [Options.SourceTimeout] limits the wait for the next Write.
//
// Write and ReadFrom must not be called concurrently. Close and CloseWithError may be called
// during a Write, which then returns.
type Writer struct {
	// Size, if above 0, is the number of bytes that will be written. The server then does
	// not have to support a deferred length, and fewer or more bytes are an error matching
	// [ErrSourceMismatch]. Set it before the first Write. 0 means that the size is unknown;
	// it is not required for content that fits one chunk. A negative Size is an error
	// matching [ErrInvalidInput].
	Size int64

	ctx      context.Context
	uploader *Uploader // nil if an option is invalid

	writing sync.Mutex // held during Write and ReadFrom
	begin   sync.Once  // starts the upload
	done    chan struct{}
	result  *Result // set when done is closed, as err
	err     error
	panics  async.Panics // of the upload; moved to the next call

	buffers chan []byte   // of the Read of the source that waits for bytes
	filled  chan int      // number of bytes in that buffer
	gone    chan struct{} // closed when the upload no longer reads
	leave   sync.Once     // closes gone
	closed  chan struct{} // closed by Close and CloseWithError
	mu      sync.Mutex
	ending  error // of the source after the last byte; nil until closed
}

// NewWriter returns a Writer to a new upload, for content that a program produces, such as
// an archive. The upload starts with the first Write and stops when ctx ends. opts may be
// nil; if an option is invalid, Write and Close return an error matching [ErrInvalidInput].
func (c *Client) NewWriter(ctx context.Context, opts *UploadOptions) *Writer {
	w := &Writer{
		ctx: ctx, done: make(chan struct{}), closed: make(chan struct{}), gone: make(chan struct{}),
		buffers: make(chan []byte), filled: make(chan int, 1),
	}
	if w.uploader, w.err = c.NewUploader(&writerSource{w}, opts); w.err != nil {
		w.begin.Do(func() { close(w.done) })
		return w
	}
	w.uploader.once = true
	return w
}

// Write writes all of p, or returns an error. It returns [io.ErrClosedPipe] after Close.
func (w *Writer) Write(p []byte) (n int, err error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.ended(); err != nil {
		return 0, err
	}
	for n < len(p) {
		buffer, err := w.nextBuffer()
		if err != nil {
			return n, err
		}
		m := copy(buffer, p[n:])
		w.filled <- m
		n += m
	}
	return n, nil
}

// ReadFrom writes the bytes of r until it ends, without a copy in between: [io.Copy] calls
// it. If r fails, it returns the error of r, and the upload waits for the next Write,
// Close or CloseWithError. A Read of r that blocks is not interrupted.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	for {
		buffer, err := w.nextBuffer()
		if err != nil {
			return n, err
		}
		m, err := w.fillFrom(buffer, r)
		n += int64(m)
		switch {
		case err == io.EOF:
			return n, w.ended()
		case err != nil:
			return n, err
		}
	}
}

// fillFrom reads some bytes of r into the buffer.
func (w *Writer) fillFrom(buffer []byte, r io.Reader) (n int, err error) {
	defer func() { w.filled <- n }() // also if r panics
	return readahead.Some(r, buffer)
}

// nextBuffer waits until the upload reads, and returns its buffer.
func (w *Writer) nextBuffer() ([]byte, error) {
	if err := w.ended(); err != nil {
		return nil, err
	}
	w.start()
	select {
	case buffer := <-w.buffers:
		return buffer, nil
	case <-w.closed:
	case <-w.done:
	}
	return nil, w.ended()
}

func (w *Writer) start() {
	w.begin.Do(func() {
		go func() {
			defer close(w.done)
			w.err = async.ErrPanicked
			w.panics.Run(func() { w.result, w.err = w.uploader.Run(w.ctx) })
		}()
	})
}

// ended returns the error for a Write after the upload or the Writer has ended, and nil
// before. It repeats a panic of the upload once.
func (w *Writer) ended() error {
	select {
	case <-w.done:
		if err := w.failure(); err != nil {
			return err
		}
		return io.ErrClosedPipe
	default:
	}
	end := w.end()
	if end == io.EOF {
		return io.ErrClosedPipe
	}
	return end
}

// failure returns the error of the upload, which has ended.
func (w *Writer) failure() error {
	var panics async.Panics
	w.panics.MoveTo(&panics)
	panics.Repanic()
	if end := w.end(); end != nil && end != io.EOF && (errors.Is(w.err, ErrPaused) || errors.Is(w.err, end)) {
		return end // of CloseWithError, without the state in which it ended the upload
	}
	return w.err
}

// Close completes the upload. It returns nil if the server has acknowledged all bytes; the
// upload is not complete before. Otherwise it returns the error of the upload, which stays on
// the server. Without a Write, the upload is empty. Further calls return the same error.
//
// If another goroutine is in Write or ReadFrom, both return [io.ErrClosedPipe], and the
// upload is not completed.
func (w *Writer) Close() error {
	ending := io.EOF
	if w.writing.TryLock() {
		w.writing.Unlock()
	} else {
		ending = io.ErrClosedPipe
	}
	w.endWith(ending)
	w.start()
	<-w.done
	return w.failure()
}

// CloseWithError stops the upload and deletes it on the server, as [Uploader.Abort] does. It
// returns the error of the deletion; if the context of the Writer has ended, that is the
// error of the context, and the upload stays on the server. Later calls of Write and Close
// return err. With a nil err, CloseWithError is Close. After a Close that completed the
// upload, it does nothing.
func (w *Writer) CloseWithError(err error) error {
	if err == nil {
		return w.Close()
	}
	w.endWith(err)
	unsent := w.uploader == nil
	w.begin.Do(func() {
		unsent, w.err = true, err
		close(w.done)
	})
	if unsent {
		return nil
	}
	failed := w.uploader.Abort(w.ctx)
	<-w.done
	if w.uploader.State() == StateComplete {
		return nil
	}
	return failed
}

// Result returns the result of the upload, after Close or an error, and before that what is
// known of it, such as its URL. It is never nil.
func (w *Writer) Result() *Result {
	select {
	case <-w.done:
		if w.result != nil {
			return w.result
		}
	default:
	}
	if w.uploader == nil {
		return newResult()
	}
	return w.uploader.result()
}

// endWith sets what the upload reads after the last byte. Only the first call has an effect.
func (w *Writer) endWith(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ending == nil {
		w.ending = err
		close(w.closed)
	}
}

// end returns the error that the upload reads after the last byte, nil if it is not closed.
func (w *Writer) end() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ending
}

// filledBytes waits until a Write has filled the buffer that it took.
func (w *Writer) filledBytes() (int, error) {
	select {
	case n := <-w.filled:
		return n, nil
	case <-w.gone:
		return 0, io.ErrClosedPipe
	case <-w.closed:
	}
	select {
	case n := <-w.filled: // before the Close
		return n, nil
	default: // the Close is during a Write, which may still fill the buffer
		return 0, w.end()
	}
}

// writerSource is the source of the upload of a Writer.
type writerSource struct{ w *Writer }

func (s *writerSource) Stat(context.Context) (SourceInfo, error) {
	size := s.w.Size
	if size < 0 {
		return SourceInfo{}, fmt.Errorf("%w: negative Writer.Size: %d", ErrInvalidInput, size)
	}
	return SourceInfo{Size: size, SizeUnknown: size == 0, SinglePass: true}, nil
}

func (s *writerSource) Open(context.Context, int64) (io.ReadCloser, error) { return s, nil }

// Read lets a Write fill p.
func (s *writerSource) Read(p []byte) (int, error) {
	for {
		select {
		case s.w.buffers <- p:
		case <-s.w.closed:
			return 0, s.w.end()
		case <-s.w.gone:
			return 0, io.ErrClosedPipe
		}
		if n, err := s.w.filledBytes(); n > 0 || err != nil {
			return n, err
		}
	}
}

func (s *writerSource) Close() error {
	s.w.leave.Do(func() { close(s.w.gone) })
	return nil
}

// Package readahead reads a stream ahead of its use and keeps the part of it that may have
// to be read again.
package readahead

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// Window keeps a chunk of a stream, its data, in memory and reads the next chunk ahead. It
// uses at most two chunks of memory. The methods must not be called concurrently.
type Window struct {
	// Algorithm, unless it is zero, computes the checksums of chunks as they are read.
	Algorithm checksum.Algorithm

	reader io.ReadCloser
	chunk  int64 // maximum size of data and ahead
	start  int64 // offset of data
	data   []byte
	ahead  []byte // buffer for the bytes after data
	filled int    // bytes of ahead that are read
	eof    bool   // the stream ends after these
	err    error  // of the reader, after these

	reading     <-chan *async.Outcome[filling] // the read-ahead in flight; nil for none
	interrupted bool                           // its error may be the timeout of Interrupt
	open        context.Context                // until Close
	end         context.CancelFunc             // ends open

	sum  Sum // of data
	next Sum // of ahead
}

// Sum is a checksum with the name of its algorithm. The zero value is none.
type Sum struct {
	Algorithm string
	Sum       []byte
}

// filling is the result of a read-ahead.
type filling struct {
	buffer []byte // may be larger than before
	n      int    // bytes that were read
	sum    Sum    // of all filled bytes of buffer
}

// New returns a Window of the stream r, without data. chunk is the maximum size of the
// data. The two buffers have the size initial and grow up to chunk.
func New(r io.ReadCloser, chunk, initial int64) *Window {
	initial = min(chunk, initial)
	open, end := context.WithCancel(context.Background())
	return &Window{reader: r, chunk: chunk, data: make([]byte, 0, initial), ahead: make([]byte, initial), open: open, end: end}
}

// Start returns the offset at which the data starts.
func (w *Window) Start() int64 { return w.start }

// End returns the offset at which the data ends.
func (w *Window) End() int64 { return w.start + int64(len(w.data)) }

// Data returns the data, which is valid until Advance is called.
func (w *Window) Data() []byte { return w.data }

// Sum returns the checksum of the data, if there is one.
func (w *Window) Sum() Sum { return w.sum }

// Ended reports whether the stream is known to end after the data.
func (w *Window) Ended() bool { return w.eof && w.filled == 0 }

// Err returns the error of the reader, if it occurred right after the data.
func (w *Window) Err() error {
	if w.filled > 0 {
		return nil
	}
	return w.err
}

// Fetch starts reading the chunk after the data.
func (w *Window) Fetch() { w.read(w.chunk) }

// read starts reading until size bytes of ahead are filled.
func (w *Window) read(size int64) {
	if w.reading != nil || w.eof || w.err != nil || int64(w.filled) >= size {
		return
	}
	open, reader, buffer, from, algorithm := w.open, w.reader, w.ahead, w.filled, w.Algorithm
	w.reading = async.Go(func() (filling, error) {
		got, err := fillUpTo(open, reader, buffer, from, size)
		if algorithm.New != nil && from+got.n > 0 {
			h := algorithm.New()
			h.Write(got.buffer[:from+got.n])
			got.sum = Sum{algorithm.Name, h.Sum(nil)}
		}
		return got, err
	})
}

// fillUpTo is Fill with a buffer that grows up to size bytes as bytes are read: the chunk
// size may be much larger than the stream.
func fillUpTo(ctx context.Context, r io.Reader, buffer []byte, from int, size int64) (got filling, err error) {
	for at := from; int64(at) < size && err == nil; at = from + got.n {
		if at == len(buffer) {
			grown := make([]byte, min(size, 2*int64(len(buffer))))
			copy(grown, buffer)
			buffer = grown
		}
		var n int
		n, err = Fill(ctx, r, buffer[at:min(int64(len(buffer)), size)])
		got.n += n
	}
	got.buffer = buffer
	return got, err
}

// Fill reads until p is full, r returns an error or ctx ends: r may then be closed. Unlike
// [io.ReadFull], it returns io.EOF also after some bytes.
func Fill(ctx context.Context, r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		if ctx.Err() != nil {
			return n, async.ContextError(ctx)
		}
		var m int
		m, err = Some(r, p[n:])
		n += m
	}
	return n, err
}

// Some reads at least one byte, or returns an error.
func Some(r io.Reader, p []byte) (int, error) {
	const maxEmptyReads = 100
	for range maxEmptyReads {
		n, err := r.Read(p)
		if n < 0 || n > len(p) {
			return 0, fmt.Errorf("reader returned %d bytes of %d", n, len(p))
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// wait waits for the read-ahead in flight.
func (w *Window) wait(ctx context.Context) error {
	if w.reading == nil {
		return nil
	}
	select {
	case outcome := <-w.reading:
		w.take(outcome)
		return nil
	case <-ctx.Done():
		return async.ContextError(ctx)
	}
}

// Advance replaces the data by the chunk after it. It returns the error of ctx; Err returns
// that of the reader.
func (w *Window) Advance(ctx context.Context) error {
	if err := w.wait(ctx); err != nil { // for a Peek
		return err
	}
	w.Fetch()
	if err := w.wait(ctx); err != nil {
		return err
	}
	w.start = w.End()
	old := w.data
	w.data = w.ahead[:w.filled]
	w.sum, w.next = w.next, Sum{}
	w.ahead, w.filled = old[:cap(old)], 0
	return nil
}

// Peek waits for one byte after the data, so that Ended is known. It returns the error of
// ctx.
func (w *Window) Peek(ctx context.Context) error {
	w.read(1)
	return w.wait(ctx)
}

// take adds the result of a read-ahead.
func (w *Window) take(outcome *async.Outcome[filling]) {
	w.reading = nil
	w.err = async.ErrPanicked // if Get panics, the bytes that were read are lost
	got, err := outcome.Get()
	w.err = nil
	var timeout net.Error
	if w.interrupted && errors.As(err, &timeout) && timeout.Timeout() {
		err = nil
	}
	w.interrupted = false
	w.ahead = got.buffer
	w.filled += got.n
	w.next = got.sum
	switch {
	case err == io.EOF:
		w.eof = true
	case err != nil:
		w.err = err
	}
}

// interruptGrace is how long a Read may take to return after its deadline.
const interruptGrace = time.Second

// Interrupt ends a read-ahead in flight, if the reader has a SetReadDeadline that ends a
// Read. The window keeps the bytes that were read and can be used again.
func (w *Window) Interrupt() {
	d, ok := w.reader.(interface{ SetReadDeadline(time.Time) error })
	if w.reading == nil || !ok || d.SetReadDeadline(time.Unix(1, 0)) != nil {
		return
	}
	outcome, ok := async.ReceiveWithin(interruptGrace, w.reading)
	_ = d.SetReadDeadline(time.Time{})
	w.interrupted = true
	if ok { // otherwise the reader ignores its deadline
		w.take(outcome)
	}
}

// Close stops reading and closes the reader. It may be called more than once.
func (w *Window) Close() {
	if w.open.Err() == nil {
		w.end()
		defer async.CloseSoon(w.reader) // also if Interrupt repeats a panic of the reader
	}
	w.Interrupt()
}

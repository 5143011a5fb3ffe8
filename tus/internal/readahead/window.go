// Package readahead reads a stream ahead of its use and holds the part of it that may
// be needed again.
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

// Window is a part of a stream, its data, in memory, and reads what follows. It takes
// at most two chunks of memory. The methods are for one goroutine.
type Window struct {
	// Algorithm, unless it is zero, is what chunks are summed with as they are read.
	Algorithm checksum.Algorithm

	reader io.ReadCloser
	chunk  int64  // the most bytes of data and ahead
	start  int64  // offset of data
	data   []byte // may be needed again
	ahead  []byte // buffer for what follows data
	filled int    // bytes of ahead that are read
	over   bool   // the stream ends after these
	err    error  // of the reader, after these
	coming <-chan *async.Outcome[filling]
	rested bool // Rest may have ended what is coming
	closed bool

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
	n      int
	sum    Sum // of all that was filled
}

// New returns the window of a stream that begins where r is, without data. chunk is the
// most that is read at once, for which the two buffers grow from initial.
func New(r io.ReadCloser, chunk, initial int64) *Window {
	initial = min(chunk, initial)
	return &Window{reader: r, chunk: chunk, data: make([]byte, 0, initial), ahead: make([]byte, initial)}
}

// Start returns the offset of the data, and End the offset of what follows it.
func (w *Window) Start() int64 { return w.start }

// End returns the offset at which the data ends.
func (w *Window) End() int64 { return w.start + int64(len(w.data)) }

// Data returns the data, which is valid until Advance is called.
func (w *Window) Data() []byte { return w.data }

// Sum returns the checksum of the data, if there is one.
func (w *Window) Sum() Sum { return w.sum }

// Ended reports whether the stream is known to end with the data.
func (w *Window) Ended() bool { return w.over && w.filled == 0 }

// Err returns the error of the reader, if the data is the last before it.
func (w *Window) Err() error {
	if w.filled > 0 {
		return nil
	}
	return w.err
}

// Fetch begins to read the chunk after the data.
func (w *Window) Fetch() {
	w.read(w.chunk)
}

// read begins to read until size bytes of ahead are filled.
func (w *Window) read(size int64) {
	if w.coming != nil || w.over || w.err != nil || int64(w.filled) >= size {
		return
	}
	reader, buffer, from, algorithm := w.reader, w.ahead, w.filled, w.Algorithm
	w.coming = async.Go(func() (filling, error) {
		got, err := fillUpTo(reader, buffer, from, size)
		if algorithm.New != nil && from+got.n > 0 {
			h := algorithm.New()
			h.Write(got.buffer[:from+got.n])
			got.sum = Sum{algorithm.Name, h.Sum(nil)}
		}
		return got, err
	})
}

// fillUpTo is Fill for a buffer that grows with what is read, up to size bytes: the
// chunk size may be much larger than the stream.
func fillUpTo(r io.Reader, buffer []byte, from int, size int64) (got filling, err error) {
	for at := from; int64(at) < size && err == nil; at = from + got.n {
		if at == len(buffer) {
			grown := make([]byte, min(size, 2*int64(len(buffer))))
			copy(grown, buffer)
			buffer = grown
		}
		var n int
		n, err = Fill(r, buffer[at:min(int64(len(buffer)), size)])
		got.n += n
	}
	got.buffer = buffer
	return got, err
}

// Fill reads until p is full or the stream ends, with io.EOF for any end.
func Fill(r io.Reader, p []byte) (n int, err error) {
	const maxEmptyReads = 100
	for empty := 0; n < len(p) && err == nil; {
		var m int
		m, err = r.Read(p[n:])
		if m < 0 || m > len(p)-n {
			return n, fmt.Errorf("reader returned %d bytes of %d", m, len(p)-n)
		}
		n += m
		if m > 0 {
			empty = 0
		} else if empty++; empty > maxEmptyReads && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

// arrive waits for what is being read.
func (w *Window) arrive(ctx context.Context) error {
	if w.coming == nil {
		return nil
	}
	select {
	case read := <-w.coming:
		w.take(read)
		return nil
	case <-ctx.Done():
		return async.ContextError(ctx)
	}
}

// Advance replaces the data by what follows it. The error is that of ctx; that of the
// reader is Err.
func (w *Window) Advance(ctx context.Context) error {
	if err := w.arrive(ctx); err != nil { // of a Peek
		return err
	}
	w.Fetch()
	if err := w.arrive(ctx); err != nil {
		return err
	}
	w.start = w.End()
	old := w.data
	w.data = w.ahead[:w.filled]
	w.sum, w.next = w.next, Sum{}
	w.ahead, w.filled = old[:cap(old)], 0
	return nil
}

// Peek waits for one byte after the data, so that Ended is known. The error is that of
// ctx.
func (w *Window) Peek(ctx context.Context) error {
	w.read(1)
	return w.arrive(ctx)
}

func (w *Window) take(read *async.Outcome[filling]) {
	w.coming = nil
	failed := w.err
	w.err = async.ErrPanicked // if Get panics: what was read is lost
	got, err := read.Get()
	w.err = failed
	var timeout net.Error
	if w.rested && errors.As(err, &timeout) && timeout.Timeout() { // of Rest
		err = nil
	}
	w.rested = false
	w.ahead = got.buffer
	w.filled += got.n
	w.next = got.sum
	switch {
	case err == io.EOF:
		w.over = true
	case err != nil:
		w.err = err
	}
}

// restGrace is how long a Read may take to return after its deadline.
const restGrace = time.Second

// Rest ends a read-ahead in flight, if the reader has a SetReadDeadline that ends a Read.
// The bytes that were read are kept, so that the window can be used again.
func (w *Window) Rest() {
	d, ok := w.reader.(interface{ SetReadDeadline(time.Time) error })
	if w.coming == nil || !ok || d.SetReadDeadline(time.Unix(1, 0)) != nil {
		return
	}
	read, ok := async.ReceiveWithin(restGrace, w.coming)
	_ = d.SetReadDeadline(time.Time{})
	w.rested = true
	if ok { // otherwise the reader ignores its deadline
		w.take(read)
	}
}

// Close ends the reading and closes the reader. It may be called more than once.
func (w *Window) Close() {
	if !w.closed {
		w.closed = true
		defer async.CloseSoon(w.reader) // also when Rest panics as the reader did
	}
	w.Rest()
}

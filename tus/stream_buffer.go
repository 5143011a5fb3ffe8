package tus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// stream holds the part of a stream that may have to be sent again, and reads
// ahead. Its methods are for the goroutine that drives the upload.
type stream struct {
	reader io.ReadCloser
	chunk  int64  // the most bytes of data and ahead
	start  int64  // offset of data
	data   []byte // being sent
	ahead  []byte // buffer for what follows data
	filled int    // bytes of ahead that are read already
	over   bool   // nothing comes after these
	err    error  // of the reader, after these
	coming <-chan *async.Outcome[filling]
	closed bool
	rested bool // what is coming may have been ended by rest

	algorithm checksum.Algorithm // that chunks are added up with as they are read
	sum       chunkSum           // of data
	next      chunkSum           // of ahead

	whole bytes.Buffer // all from the start, while the length is being found out
}

// chunkSum is a checksum that is known already. An empty algorithm is none.
type chunkSum struct {
	algorithm string
	sum       []byte
}

// filling is what a read-ahead brought.
type filling struct {
	buffer []byte // that was filled, perhaps a larger one than before
	n      int
	sum    chunkSum // of all that was filled
}

func (s *stream) end() int64 { return s.start + int64(len(s.data)) }

// ended reports whether data is the last of the stream.
func (s *stream) ended() bool { return s.over && s.filled == 0 }

// broken is the error of the reader, if data is the last before it.
func (s *stream) broken() error {
	if s.err == nil || s.filled > 0 {
		return nil
	}
	return sourceError(s.err)
}

// fetch begins to read the chunk after data, unless that is done already.
func (s *stream) fetch() {
	s.read(s.chunk)
}

// read begins to read until size bytes of ahead are filled.
func (s *stream) read(size int64) {
	if s.coming != nil || s.over || s.err != nil || int64(s.filled) >= size {
		return
	}
	reader, buffer, from, algorithm := s.reader, s.ahead, s.filled, s.algorithm
	s.coming = async.Go(func() (filling, error) {
		got, err := fillUpTo(reader, buffer, from, size)
		if algorithm.New != nil && from+got.n > 0 {
			got.sum = chunkSum{algorithm.Name, sumOf(algorithm, got.buffer[:from+got.n])}
		}
		return got, err
	})
}

// fillUpTo is fill for a buffer that grows with what is read, up to size bytes: a
// chunk size may be far above what the stream has.
func fillUpTo(r io.Reader, buffer []byte, from int, size int64) (got filling, err error) {
	for at := from; int64(at) < size && err == nil; at = from + got.n {
		if at == len(buffer) {
			grown := make([]byte, min(size, 2*int64(len(buffer))))
			copy(grown, buffer)
			buffer = grown
		}
		var n int
		n, err = fill(r, buffer[at:min(int64(len(buffer)), size)])
		got.n += n
	}
	got.buffer = buffer
	return got, err
}

// arrive waits for what is being read.
func (s *stream) arrive(ctx context.Context) error {
	if s.coming == nil {
		return nil
	}
	select {
	case read := <-s.coming:
		s.took(read)
		return nil
	case <-ctx.Done():
		return async.ContextError(ctx)
	}
}

// fill reads until p is full. io.EOF is the end of the stream, wherever it is.
func fill(r io.Reader, p []byte) (n int, err error) {
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

// advance replaces data by what follows it. The old data must not be needed any
// more.
func (s *stream) advance(ctx context.Context) error {
	if err := s.arrive(ctx); err != nil { // perhaps of a peek only
		return err
	}
	s.fetch()
	if err := s.arrive(ctx); err != nil {
		return err
	}
	s.start = s.end()
	old := s.data
	s.data = s.ahead[:s.filled]
	s.sum, s.next = s.next, chunkSum{}
	s.ahead, s.filled = old[:cap(old)], 0
	return nil
}

// peek waits for one byte after data, to notice a stream that ends with it.
func (s *stream) peek(ctx context.Context) error {
	s.read(1)
	return s.arrive(ctx)
}

func (s *stream) took(read *async.Outcome[filling]) {
	s.coming = nil
	failed := s.err
	s.err = async.ErrPanicked // what the reader delivered before it panicked is lost
	got, err := read.Get()
	s.err = failed
	var timeout net.Error
	if s.rested && errors.As(err, &timeout) && timeout.Timeout() { // as we wanted
		err = nil
	}
	s.rested = false
	s.ahead = got.buffer
	s.filled += got.n
	s.next = got.sum
	switch {
	case err == io.EOF:
		s.over = true
	case err != nil:
		s.err = err
	}
}

// restGrace is how long a reader may take to notice that its deadline has passed.
const restGrace = time.Second

// rest ends a read-ahead that still runs, if the reader lets it. What it read is
// kept, so that the upload can go on.
func (s *stream) rest() {
	d, ok := s.reader.(deadliner)
	if s.coming == nil || !ok || d.SetReadDeadline(time.Unix(1, 0)) != nil {
		return
	}
	read, ok := async.ReceiveWithin(restGrace, s.coming)
	_ = d.SetReadDeadline(time.Time{})
	s.rested = true
	if ok { // else the reader does not mind its deadline, and is left behind
		s.took(read)
	}
}

// close ends the reading for good. It may be called again.
func (s *stream) close() {
	if !s.closed {
		s.closed = true
		defer async.CloseSoon(s.reader) // also when rest panics as the reader did
	}
	s.rest()
}

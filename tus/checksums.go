package tus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/hashahead"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

const (
	// defaultChecksumChunk is the chunk size of uploads with checksums where none
	// is set: a chunk that does not arrive whole cannot be verified, so all of it
	// is lost.
	defaultChecksumChunk = 8 << 20
	// minChecksumChunk is the least that it becomes where connections do not last for
	// that long.
	minChecksumChunk = 256 << 10
	// maxBufferedChunk is how much of a source with only one reader is held in
	// memory, so that it is read once: opening it again may be dear, or impossible.
	maxBufferedChunk = 16 << 20
	// maxHashedAhead is how much of a file may be hashed and not sent yet, if it
	// is more than one chunk. It should still be in the page cache when it is sent.
	maxHashedAhead = 32 << 20
	// maxMismatches is how often a chunk is sent again that did not arrive as it
	// was sent.
	maxMismatches = 3
)

// sums is what an upload does about checksums (protocol section Checksum).
type sums struct {
	decided    bool
	on         bool
	algorithm  checksum.Algorithm
	trailer    bool     // the checksum follows the body
	needsSize  bool     // something refuses requests that do not tell their size
	refused    []string // algorithms that the server offered and then refused
	pipeline   *hashahead.Pipeline
	last       summed
	mismatches int // in a row, of the chunk sent last
	buffer     []byte
	buffered   span // what is in buffer
}

// summed is a range of the source and its checksum.
type summed struct {
	span
	sum []byte
}

// ahead is the algorithm that is used before sending, none if the checksum
// follows the bytes.
func (s *sums) ahead() checksum.Algorithm {
	if s.trailer {
		return checksum.Algorithm{}
	}
	return s.algorithm
}

// negotiateChecksum chooses the algorithm by what the caller wants and the
// server offers. An upload URL that the caller gave may be of another server
// than the endpoint, so nobody is asked for it unless the caller insists.
func (u *Uploader) negotiateChecksum(ctx context.Context) error {
	if u.sums.decided {
		return nil
	}
	var caps Capabilities
	var err error
	switch choice := u.opts.Checksum; {
	case choice == checksum.Off(), choice == checksum.Auto() && (u.isEmpty() || len(u.client.checksums.Names()) == 0):
		u.sums.decided = true
		return nil
	case choice != checksum.Auto():
		if caps, err = u.required(ctx); err != nil {
			return fmt.Errorf("asking for checksum algorithms: %w", err)
		}
	case u.given:
		caps, _ = u.client.probe.state()
	default:
		if caps, err = u.client.advertised(ctx, u.hooks, u.meter); err != nil {
			return err
		}
	}
	return u.chooseChecksum(caps)
}

// isEmpty reports whether there are no bytes to protect.
func (u *Uploader) isEmpty() bool { return !u.info.SizeUnknown && u.info.Size == 0 }

func (u *Uploader) chooseChecksum(caps Capabilities) error {
	s := &u.sums
	var offered []string
	if caps.Supports(ExtensionChecksum) || caps.Supports(ExtensionChecksumTrailer) {
		offered = caps.ChecksumAlgorithms
	}
	offered = slices.DeleteFunc(slices.Clone(offered), func(name string) bool { return slices.Contains(s.refused, name) })
	algorithm, on, err := u.client.checksums.Negotiate(u.opts.Checksum, offered)
	if err != nil {
		return err
	}
	s.decided, s.on, s.algorithm = true, on, algorithm
	s.trailer = caps.Supports(ExtensionChecksumTrailer) && !s.needsSize
	u.mu.Lock()
	u.checksum = algorithm.Name
	u.mu.Unlock()
	if on {
		u.chunks.bound(max(minChecksumChunk, u.opts.MinChunkSize), defaultChecksumChunk)
	}
	return nil
}

// checksumOf prepares the checksum of a range: the header that goes with it, or
// the trailer that makes the transport add it up as it sends.
func (u *Uploader) checksumOf(ctx context.Context, c *chunk) error {
	s := &u.sums
	c.checksum, c.trailer = "", nil
	if !s.on || c.size == 0 {
		return nil
	}
	if s.trailer {
		c.trailer = &checksumTrailer{algorithm: s.algorithm}
		return nil
	}
	sum, err := u.readSum(ctx, c)
	if err != nil {
		return err
	}
	if err := u.sameSum(c, sum); err != nil {
		return err
	}
	c.checksum = checksum.FormatHeader(s.algorithm.Name, sum)
	return nil
}

func sumOf(a checksum.Algorithm, data []byte) []byte {
	h := a.New()
	h.Write(data)
	return h.Sum(nil)
}

// readSum adds up a chunk, in most cases while the one before it was sent.
func (u *Uploader) readSum(ctx context.Context, c *chunk) ([]byte, error) {
	s := &u.sums
	if c.sum.Algorithm == s.algorithm.Name {
		return c.sum.Sum, nil
	}
	if c.data == nil && u.info.Sequential && c.size <= maxBufferedChunk {
		if err := u.bufferChunk(ctx, c); err != nil {
			return nil, err
		}
	}
	if c.data != nil {
		return sumOf(s.algorithm, c.data), nil
	}
	if s.pipeline == nil {
		s.pipeline = hashahead.New(s.algorithm, u.open)
	}
	// The next chunks are added up while this one is on the wire, more than one,
	// because neither hashing nor sending takes the same time for each, and while
	// this one is waited for. A source with only one reader needs that for sending,
	// and nothing outlives a Step.
	if !u.info.Sequential && u.running {
		s.pipeline.Ahead(ctx, c.offset, c.size)
		next := c.offset + c.size
		for end := next + max(u.chunks.size, maxHashedAhead); next < min(end, u.info.Size); next += u.chunks.size {
			if !s.pipeline.Ahead(ctx, next, min(u.info.Size-next, u.chunks.size)) {
				break
			}
		}
	}
	sum, err := s.pipeline.Sum(ctx, c.offset, c.size)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, async.ContextError(ctx)
	default:
		return nil, shortSource(err, io.ErrUnexpectedEOF)
	}
	return sum, nil
}

// open opens the source for the pipeline.
func (u *Uploader) open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	return openSource(ctx, ctx, u.source, offset, u.client.sourceTimeout)
}

// bufferChunk reads a chunk into memory, unless it is there from the last attempt.
func (u *Uploader) bufferChunk(ctx context.Context, c *chunk) error {
	s := &u.sums
	within := c.offset - s.buffered.offset
	if within < 0 || within+c.size > s.buffered.size {
		s.buffered = span{}
		if int64(cap(s.buffer)) < c.size {
			s.buffer = make([]byte, c.size)
		}
		r, err := openSource(ctx, ctx, u.source, c.offset, u.client.sourceTimeout)
		if err != nil {
			return sourceError(err)
		}
		defer async.Close(ctx, r)
		buffer := s.buffer[:c.size]
		n, err := async.Call(ctx, func() (int, error) { return readahead.Fill(r, buffer) }, nil)
		switch {
		case int64(n) == c.size:
		case ctx.Err() != nil:
			s.buffer = nil // the Read may still fill it
			return async.ContextError(ctx)
		case err == io.EOF:
			return shortSource(io.ErrUnexpectedEOF, io.ErrUnexpectedEOF)
		default:
			return shortSource(err, io.ErrUnexpectedEOF)
		}
		s.buffered, within = span{c.offset, c.size}, 0
	}
	c.data = s.buffer[within : within+c.size]
	c.payload = u.verified(memoryPayload(c.data, c.offset))
	return nil
}

// sameSum notices a chunk that is not what it was when it was sent before.
func (u *Uploader) sameSum(c *chunk, sum []byte) error {
	s := &u.sums
	this := summed{span{c.offset, c.size}, sum}
	if s.last.span == this.span && !bytes.Equal(s.last.sum, sum) {
		return fmt.Errorf("%w: %d bytes at offset %d are not what they were", ErrSourceChanged, c.size, c.offset)
	}
	s.last = this
	return nil
}

// checksumSent looks at what a trailer said, as its checksum is known only now.
func (u *Uploader) checksumSent(c *chunk) error {
	if c.trailer == nil || c.trailer.sum == nil {
		return nil
	}
	return u.sameSum(c, c.trailer.sum)
}

// checksumRefused judges a chunk that the server refused for its checksum. It
// returns true if the chunk is to be sent again without a wait.
func (u *Uploader) checksumRefused(err error) (again bool, fatal error) {
	s := &u.sums
	var e *Error
	if !s.on || !errors.As(err, &e) {
		return false, nil
	}
	switch code := e.StatusCode; {
	case code != 0 && errors.Is(e.Err, ErrChecksumMismatch):
		s.buffered = span{} // to be read again
		if s.mismatches++; s.mismatches > maxMismatches {
			return false, fmt.Errorf("tus: %d bytes at offset %d arrived damaged %d times, with one and the same %s checksum: %w",
				u.next.size, u.next.offset, s.mismatches, s.algorithm.Name, err)
		}
	case code == http.StatusLengthRequired, code == http.StatusNotImplemented:
		// A proxy or server does not take what a trailer needs (Transfer-Encoding:
		// chunked; RFC 9112, 6.1).
		caps, _ := u.client.probe.state()
		if s.trailer && caps.Supports(ExtensionChecksum) {
			s.trailer, s.needsSize = false, true
			return true, nil
		}
	case code == http.StatusBadRequest:
		// The server does not know the algorithm after all (section Checksum).
		if u.opts.Checksum != checksum.Auto() || e.Temporary() {
			return false, nil
		}
		s.refused = append(s.refused, s.algorithm.Name)
		caps, _ := u.client.probe.state()
		u.closePipeline()
		s.last = summed{}
		if u.chooseChecksum(caps) == nil {
			return true, nil
		}
	}
	return false, nil
}

// closePipeline ends what is being added up ahead. A Read that hangs although its
// reader was closed is left behind.
func (u *Uploader) closePipeline() {
	pipeline := u.sums.pipeline
	if pipeline == nil {
		return
	}
	u.sums.pipeline = nil
	async.CloseSoon(pipeline)
}

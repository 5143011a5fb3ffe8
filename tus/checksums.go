package tus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/checksums"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

const (
	// defaultChecksumChunk is the default chunk size of uploads with checksums: a chunk
	// that is cut off cannot be verified, so all of it is lost.
	defaultChecksumChunk = 8 << 20
	// minChecksumChunk is the minimum to which that size adapts if connections break
	// earlier.
	minChecksumChunk = 256 << 10
	// maxBufferedChunk is the maximum size of a chunk of a sequential source that is
	// buffered, so that it is read once: reopening may be expensive or impossible.
	maxBufferedChunk = 16 << 20
	// maxHashedAhead is the number of bytes hashed ahead of sending, if chunks are smaller:
	// they should still be in the page cache when they are sent.
	maxHashedAhead = 32 << 20
	// maxMismatches is how often a chunk is resent after a checksum mismatch.
	maxMismatches = 3
)

// sums computes the checksums of the chunks of one transfer and handles their refusal
// (protocol section Checksum).
type sums struct {
	choice     string        // UploadOptions.Checksum
	client     checksums.Set // the algorithms of the client
	decided    bool
	on         bool
	algorithm  checksum.Algorithm
	trailer    bool     // the checksum follows the body
	needsSize  bool     // the server or a proxy refuses requests without Content-Length
	refused    []string // algorithms that the server advertises and refuses
	ahead      bool     // chunks may be hashed ahead of sending
	last       summed
	mismatches int // in a row, of the last chunk
}

// summed is a range of the source and its checksum.
type summed struct {
	span
	sum []byte
}

// ofPart returns sums of a part, with the same algorithm.
func (s *sums) ofPart() *sums {
	return &sums{choice: s.choice, client: s.client, decided: true, on: s.on, algorithm: s.algorithm, trailer: s.trailer, ahead: true}
}

// known returns the algorithm of checksums in a header, none if they are in a trailer.
func (s *sums) known() checksum.Algorithm {
	if s.trailer {
		return checksum.Algorithm{}
	}
	return s.algorithm
}

// choose selects an algorithm that the options allow and the server advertises.
func (s *sums) choose(caps Capabilities) error {
	var offered []string
	if caps.supports(extensionChecksum) || caps.supports(extensionChecksumTrailer) {
		offered = slices.DeleteFunc(slices.Clone(caps.ChecksumAlgorithms), func(name string) bool { return slices.Contains(s.refused, name) })
	}
	algorithm, on, err := s.client.Select(s.choice, offered)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	s.decided, s.on, s.algorithm = true, on, algorithm
	s.trailer = caps.supports(extensionChecksumTrailer) && !s.needsSize
	return nil
}

// seal sets the checksum of a chunk: in a header, or in a trailer that is computed as the
// bytes are sent.
func (s *sums) seal(ctx context.Context, c *chunk, chunks chunker) error {
	c.checksum, c.trailer = readahead.Sum{}, nil
	if !s.on || c.size == 0 {
		return nil
	}
	if s.trailer {
		c.trailer = &checksumTrailer{algorithm: s.algorithm}
		return nil
	}
	sum, err := chunks.hash(ctx, c, s)
	if err != nil {
		return err
	}
	if err := s.same(c, sum); err != nil {
		return err
	}
	c.checksum = readahead.Sum{Algorithm: s.algorithm.Name, Sum: sum}
	return nil
}

func sumOf(a checksum.Algorithm, data []byte) []byte {
	h := a.New()
	h.Write(data)
	return h.Sum(nil)
}

// same returns an error if a resent chunk has another checksum than before.
func (s *sums) same(c *chunk, sum []byte) error {
	this := summed{span{c.offset, c.size}, sum}
	if s.last.span == this.span && !bytes.Equal(s.last.sum, sum) {
		return fmt.Errorf("%w: %d bytes at offset %d differ", ErrSourceChanged, c.size, c.offset)
	}
	s.last = this
	return nil
}

// sent is same for a checksum in a trailer, which is known only after the chunk was sent.
func (s *sums) sent(c *chunk) error {
	if c.trailer == nil || c.trailer.sum == nil {
		return nil
	}
	return s.same(c, c.trailer.sum)
}

// refusal handles a chunk that the server refused because of its checksum. It returns true
// if the chunk is to be resent without a wait.
func (s *sums) refusal(err error, c chunk, caps Capabilities) (again bool, fatal error) {
	var e *Error
	if !s.on || !errors.As(err, &e) {
		return false, nil
	}
	switch {
	case e.StatusCode != 0 && errors.Is(e.Err, ErrChecksumMismatch):
		if s.mismatches++; s.mismatches > maxMismatches {
			return false, fmt.Errorf("tus: %d bytes at offset %d arrived corrupt %d times with the same %s checksum: %w",
				c.size, c.offset, s.mismatches, s.algorithm.Name, err)
		}
	case e.verdict.unsized:
		// A trailer requires Transfer-Encoding: chunked, which a proxy or server may
		// refuse (RFC 9112, 6.1).
		if s.trailer && caps.supports(extensionChecksum) {
			s.trailer, s.needsSize = false, true
			return true, nil
		}
	case e.verdict.malformed:
		// The server advertises the algorithm but does not support it (section Checksum).
		if s.choice != "" || e.retryable() {
			return false, nil
		}
		s.refused = append(s.refused, s.algorithm.Name)
		s.last = summed{}
		return s.choose(caps) == nil, nil
	}
	return false, nil
}

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
	// defaultChecksumChunk is the chunk size of uploads with checksums where none
	// is set: a chunk that does not arrive whole cannot be verified, so all of it
	// is lost.
	defaultChecksumChunk = 8 << 20
	// minChecksumChunk is the least that it becomes where connections do not last for
	// that long.
	minChecksumChunk = 256 << 10
	// maxBufferedChunk is how much of a source with only one reader is held in
	// memory, so that it is read once: opening it again may be expensive, or impossible.
	maxBufferedChunk = 16 << 20
	// maxHashedAhead is how much of a file may be hashed and not sent yet, if it
	// is more than one chunk. It should still be in the page cache when it is sent.
	maxHashedAhead = 32 << 20
	// maxMismatches is how often a chunk is sent again that did not arrive as it
	// was sent.
	maxMismatches = 3
)

// sums computes the checksums of the chunks of one transfer, and judges what the server
// does about them (protocol section Checksum).
type sums struct {
	choice     string        // UploadOptions.Checksum
	client     checksums.Set // the algorithms of the client
	decided    bool
	on         bool
	algorithm  checksum.Algorithm
	trailer    bool     // the checksum follows the body
	needsSize  bool     // something refuses requests that do not declare their size
	refused    []string // algorithms that the server advertised and then refused
	ahead      bool     // chunks may be hashed before they are due
	last       summed
	mismatches int // in a row, of the chunk sent last
}

// summed is a range of the source and its checksum.
type summed struct {
	span
	sum []byte
}

// ofPart returns the checksums of a part, which uses the same algorithm.
func (s *sums) ofPart() *sums {
	return &sums{choice: s.choice, client: s.client, decided: true, on: s.on, algorithm: s.algorithm, trailer: s.trailer, ahead: true}
}

// off decides that nothing is hashed.
func (s *sums) off() { s.decided = true }

// known is the algorithm of checksums that are known before the bytes are sent, none if
// the checksum follows the bytes.
func (s *sums) known() checksum.Algorithm {
	if s.trailer {
		return checksum.Algorithm{}
	}
	return s.algorithm
}

// choose chooses the algorithm by what the caller wants and the server advertises.
func (s *sums) choose(caps Capabilities) error {
	var offered []string
	if caps.Supports(extensionChecksum) || caps.Supports(extensionChecksumTrailer) {
		offered = caps.ChecksumAlgorithms
	}
	offered = slices.DeleteFunc(slices.Clone(offered), func(name string) bool { return slices.Contains(s.refused, name) })
	algorithm, on, err := s.client.Select(s.choice, offered)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	s.decided, s.on, s.algorithm = true, on, algorithm
	s.trailer = caps.Supports(extensionChecksumTrailer) && !s.needsSize
	return nil
}

// seal gives a chunk its checksum: the header that goes with it, or the trailer that is
// computed as the bytes are sent.
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

// same returns an error if a chunk is not what it was when it was sent before.
func (s *sums) same(c *chunk, sum []byte) error {
	this := summed{span{c.offset, c.size}, sum}
	if s.last.span == this.span && !bytes.Equal(s.last.sum, sum) {
		return fmt.Errorf("%w: %d bytes at offset %d differ", ErrSourceChanged, c.size, c.offset)
	}
	s.last = this
	return nil
}

// sent returns an error if the trailer, which is known only now, shows a chunk that is
// not what it was when it was sent before.
func (s *sums) sent(c *chunk) error {
	if c.trailer == nil || c.trailer.sum == nil {
		return nil
	}
	return s.same(c, c.trailer.sum)
}

// refusal judges a chunk that the server refused for its checksum. It returns true if the
// chunk is to be sent again without a wait.
func (s *sums) refusal(err error, c chunk, caps Capabilities) (again bool, fatal error) {
	var e *Error
	if !s.on || !errors.As(err, &e) {
		return false, nil
	}
	switch {
	case e.StatusCode != 0 && errors.Is(e.Err, ErrChecksumMismatch):
		if s.mismatches++; s.mismatches > maxMismatches {
			return false, fmt.Errorf("tus: %d bytes at offset %d arrived damaged %d times, with one and the same %s checksum: %w",
				c.size, c.offset, s.mismatches, s.algorithm.Name, err)
		}
	case e.verdict.unsized:
		// A proxy or server does not take what a trailer needs (Transfer-Encoding:
		// chunked; RFC 9112, 6.1).
		if s.trailer && caps.Supports(extensionChecksum) {
			s.trailer, s.needsSize = false, true
			return true, nil
		}
	case e.verdict.malformed:
		// The server does not know the algorithm after all (section Checksum).
		if s.choice != "" || e.retryable() {
			return false, nil
		}
		s.refused = append(s.refused, s.algorithm.Name)
		s.last = summed{}
		return s.choose(caps) == nil, nil
	}
	return false, nil
}

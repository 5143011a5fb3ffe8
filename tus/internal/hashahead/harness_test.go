package hashahead_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/hashahead"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func lookup(t testing.TB, name string) checksum.Algorithm {
	t.Helper()
	for _, a := range checksum.Builtin() {
		if a.Name == name {
			return a
		}
	}
	t.Fatalf("no algorithm %q", name)
	return checksum.Algorithm{}
}

// source is data that counts its opened and closed readers.
type source struct {
	data []byte
	// reader, if non-nil, returns the reader of the nth open, counted from 0.
	reader func(ctx context.Context, n int, offset int64) (io.ReadCloser, error)

	mu     sync.Mutex
	opens  int
	closes int
	twice  bool  // a reader was closed twice
	end    int64 // the largest offset read
}

func patterned(size int) *source {
	s := &source{data: make([]byte, size)}
	for i := range s.data {
		s.data[i] = byte(uint64(i) * 0x9E3779B97F4A7C15 >> 56)
	}
	return s
}

func (s *source) open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	s.mu.Lock()
	n := s.opens
	s.opens++
	s.mu.Unlock()
	if s.reader != nil {
		r, err := s.reader(ctx, n, offset)
		if err != nil {
			s.closed()
			return nil, err
		}
		if r != nil {
			return &trackedReader{source: s, r: r}, nil
		}
	}
	r := bytes.NewReader(s.data[min(offset, int64(len(s.data))):])
	return &trackedReader{source: s, r: io.NopCloser(r), offset: offset}, nil
}

func (s *source) closed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closes++
}

// opened returns how often the source was opened.
func (s *source) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opens
}

// leftOpen returns the number of open readers.
func (s *source) leftOpen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opens - s.closes
}

// want returns the right checksum of a range.
func (s *source) want(offset, size int64) []byte {
	sum := sha256.Sum256(s.data[offset : offset+size])
	return sum[:]
}

type trackedReader struct {
	source *source
	r      io.ReadCloser
	offset int64

	mu     sync.Mutex
	closed bool
}

func (r *trackedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.source.mu.Lock()
	defer r.source.mu.Unlock()
	r.offset += int64(n)
	r.source.end = max(r.source.end, r.offset)
	return n, err
}

func (r *trackedReader) Close() error {
	r.mu.Lock()
	twice := r.closed
	r.closed = true
	r.mu.Unlock()
	if twice {
		r.source.mu.Lock()
		r.source.twice = true
		r.source.mu.Unlock()
	} else {
		r.source.closed()
	}
	return r.r.Close()
}

// valueOf records the value of the key in the context of each open.
func valueOf(s *source, key any) *any {
	got := new(any)
	s.reader = func(ctx context.Context, _ int, _ int64) (io.ReadCloser, error) {
		*got = ctx.Value(key)
		return nil, nil
	}
	return got
}

// newPipeline returns a pipeline for sha256 and checks at the end of the test that it
// closed each reader exactly once.
func newPipeline(t *testing.T, s *source) *hashahead.Pipeline {
	t.Helper()
	return newPipelineOf(t, s, lookup(t, "sha256"))
}

func newPipelineOf(t *testing.T, s *source, algorithm checksum.Algorithm) *hashahead.Pipeline {
	t.Helper()
	p := hashahead.New(algorithm, s.open)
	t.Cleanup(func() {
		p.Close()
		if n := s.leftOpen(); n != 0 || s.twice {
			t.Errorf("%d readers left open; one closed twice: %v", n, s.twice)
		}
	})
	return p
}

func checkSum(t *testing.T, p *hashahead.Pipeline, s *source, offset, size int64) {
	t.Helper()
	got, err := p.Sum(context.Background(), offset, size)
	if err != nil {
		t.Fatalf("%d bytes from %d: %v", size, offset, err)
	}
	if !bytes.Equal(got, s.want(offset, size)) {
		t.Fatalf("%d bytes from %d: sum is %x, want %x", size, offset, got, s.want(offset, size))
	}
}

// pipe is a reader that blocks until data is written or it is closed.
type pipe struct {
	*io.PipeReader
	w *io.PipeWriter
}

func newPipe() pipe {
	r, w := io.Pipe()
	return pipe{r, w}
}

// hangingReader is a reader whose Read blocks until it is released, even after Close.
type hangingReader struct{ release chan struct{} }

func (d hangingReader) Read([]byte) (int, error) {
	<-d.release
	return 0, errors.New("released")
}

func (hangingReader) Close() error { return nil }

package checksum_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
)

// oneBuffer is read at once, and takes a slowHash a second.
const oneBuffer = 256 << 10

type slowHash struct{ hash.Hash }

func (h slowHash) Write(p []byte) (int, error) {
	time.Sleep(time.Duration(len(p)) * time.Second / oneBuffer)
	return h.Hash.Write(p)
}

// slowRead takes its time for every buffer.
type slowRead struct {
	io.Reader
	took time.Duration
}

func (r slowRead) Read(p []byte) (int, error) {
	time.Sleep(r.took)
	return r.Reader.Read(p)
}

func (slowRead) Close() error { return nil }

// fourBuffers is the size of most ranges.
const fourBuffers = 4 * oneBuffer

func newSlowPipeline(t *testing.T, s *source) *checksum.Pipeline {
	t.Helper()
	return newPipelineOf(t, s, checksum.Algorithm{Name: "slow", New: func() hash.Hash { return slowHash{sha256.New()} }})
}

// withProcessors runs f in a bubble where the program may use n processors.
func withProcessors(t *testing.T, n int, f func(t *testing.T)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	synctest.Test(t, f)
}

// sumAll asks for one range after the other, as if sending took no time.
func sumAll(t *testing.T, p *checksum.Pipeline, s *source, from, to int64) time.Duration {
	t.Helper()
	begin := time.Now()
	for i := from; i < to; i++ {
		for next := i; next < min(to, i+5) && p.Ahead(t.Context(), next*fourBuffers, fourBuffers); next++ {
		}
		checkSum(t, p, s, i*fourBuffers, fourBuffers)
	}
	return time.Since(begin)
}

func TestTwoRangesAreHashedAtOnceWhileASumWaits(t *testing.T) {
	withProcessors(t, 2, func(t *testing.T) {
		s := patterned(8 * fourBuffers)
		s.reader = func(_ context.Context, _ int, offset int64) (io.ReadCloser, error) {
			return slowRead{bytes.NewReader(s.data[offset:]), 100 * time.Millisecond}, nil
		}
		if took := sumAll(t, newSlowPipeline(t, s), s, 0, 8); took > 22*time.Second {
			t.Errorf("8 ranges of 4.4 s took %v, want about half of 35 s", took)
		}
	})
}

func TestOneProcessorIsNotShared(t *testing.T) {
	withProcessors(t, 1, func(t *testing.T) {
		s := patterned(8 * fourBuffers)
		if took := sumAll(t, newSlowPipeline(t, s), s, 0, 8); took != 32*time.Second {
			t.Errorf("8 ranges of 4 s took %v", took)
		}
	})
}

// Another reader makes a disk slower, not faster. What is in memory later on is not
// read from a disk.
func TestRangesAreReadOneByOneWhereReadingIsSlower(t *testing.T) {
	withProcessors(t, 2, func(t *testing.T) {
		s := patterned(24 * fourBuffers)
		s.reader = func(_ context.Context, n int, offset int64) (io.ReadCloser, error) {
			took := 2 * time.Second
			if n >= 12 {
				took = 0
			}
			return slowRead{bytes.NewReader(s.data[offset:]), took}, nil
		}
		p := newSlowPipeline(t, s)
		if took := sumAll(t, p, s, 0, 8); took != 8*12*time.Second {
			t.Errorf("8 ranges of 12 s took %v", took)
		}
		sumAll(t, p, s, 8, 20)
		if took := sumAll(t, p, s, 20, 24); took > 12*time.Second {
			t.Errorf("4 ranges of 4 s took %v, want about half of 16 s", took)
		}
	})
}

// firstRange ends while the second hasher is at its first buffer, of the next range.
const firstRange = oneBuffer * 3 / 2

// pausedSecond asks for the first range, and returns a pipeline whose second hasher
// waits after one buffer of the second range.
func pausedSecond(t *testing.T, s *source) *checksum.Pipeline {
	t.Helper()
	p := newSlowPipeline(t, s)
	p.Ahead(t.Context(), 0, firstRange)
	for offset := int64(firstRange); offset < int64(len(s.data)); offset += fourBuffers {
		p.Ahead(t.Context(), offset, fourBuffers)
	}
	checkSum(t, p, s, 0, firstRange)
	time.Sleep(time.Second)
	if s.opened() != 3 || s.leftOpen() != 2 {
		t.Fatalf("opened %d times, %d left open, want three and two", s.opened(), s.leftOpen())
	}
	return p
}

// While a chunk is sent, the second processor is not used.
func TestSecondHasherRestsWhileNobodyWaits(t *testing.T) {
	withProcessors(t, 2, func(t *testing.T) {
		s := patterned(firstRange + 5*fourBuffers)
		var second atomic.Int64 // bytes of the second range
		s.reader = func(_ context.Context, _ int, offset int64) (io.ReadCloser, error) {
			r := io.NewSectionReader(bytes.NewReader(s.data), offset, fourBuffers)
			if offset == firstRange {
				return io.NopCloser(io.TeeReader(r, counter{&second})), nil
			}
			return io.NopCloser(r), nil
		}
		p := pausedSecond(t, s)
		time.Sleep(8 * time.Second)
		if n := second.Load(); n != oneBuffer || s.opened() != 5 {
			t.Errorf("the second hasher read %d bytes, want one buffer; %d ranges are begun, want 5", n, s.opened())
		}
		time.Sleep(20 * time.Second) // until the other has nothing left to do
		if n := second.Load(); n != fourBuffers {
			t.Errorf("the second hasher has read %d bytes though the other is done", n)
		}
		for offset := int64(firstRange); offset < int64(len(s.data)); offset += fourBuffers {
			checkSum(t, p, s, offset, fourBuffers)
		}
		if s.opened() != 6 {
			t.Errorf("opened %d times, want each range once", s.opened())
		}
	})
}

func TestSecondHasherGoesOnForASum(t *testing.T) {
	withProcessors(t, 2, func(t *testing.T) {
		s := patterned(firstRange + 5*fourBuffers)
		p := pausedSecond(t, s)
		begin := time.Now()
		checkSum(t, p, s, firstRange, fourBuffers)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("the other three buffers took %v", took)
		}
	})
}

func TestSecondHasherBeginsNothingIfNobodyWaits(t *testing.T) {
	withProcessors(t, 2, func(t *testing.T) {
		s := patterned(firstRange + 3*oneBuffer)
		p := newSlowPipeline(t, s)
		p.Ahead(t.Context(), 0, firstRange)
		for i := range int64(3) {
			p.Ahead(t.Context(), firstRange+i*oneBuffer, oneBuffer)
		}
		checkSum(t, p, s, 0, firstRange)
		time.Sleep(700 * time.Millisecond) // the second hasher is done, the other is not
		if s.opened() != 3 || s.leftOpen() != 1 {
			t.Errorf("opened %d times, %d left open", s.opened(), s.leftOpen())
		}
	})
}

func TestSecondHasherThatRestsEndsWithItsRange(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, p *checksum.Pipeline, s *source){
		"another sum": func(t *testing.T, p *checksum.Pipeline, s *source) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			p.Sum(ctx, 0, 1000)
		},
		"another look-ahead": func(t *testing.T, p *checksum.Pipeline, s *source) {
			p.Ahead(t.Context(), 1, 1000)
		},
		"sum that is canceled": func(t *testing.T, p *checksum.Pipeline, s *source) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := p.Sum(ctx, firstRange, fourBuffers); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		},
		"closed": func(_ *testing.T, p *checksum.Pipeline, _ *source) { go p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			withProcessors(t, 2, func(t *testing.T) {
				s := patterned(firstRange + 3*fourBuffers)
				hung := deaf{make(chan struct{})} // the other one has not ended
				s.reader = func(_ context.Context, _ int, offset int64) (io.ReadCloser, error) {
					if offset == firstRange+fourBuffers {
						return hung, nil
					}
					return nil, nil
				}
				p := pausedSecond(t, s)
				end(t, p, s)
				time.Sleep(3 * time.Second)
				if s.leftOpen() > 1 {
					t.Errorf("%d readers are open, want that which hangs", s.leftOpen())
				}
				close(hung.release)
			})
		})
	}
}

func TestWhatTheSecondHasherMeetsReachesSum(t *testing.T) {
	broken := errors.New("disk on fire")
	withProcessors(t, 2, func(t *testing.T) {
		s := patterned(4 * fourBuffers)
		s.reader = func(_ context.Context, _ int, offset int64) (io.ReadCloser, error) {
			switch offset / fourBuffers {
			case 1:
				return nil, broken
			case 2:
				panic(broken)
			}
			return nil, nil
		}
		p := newSlowPipeline(t, s)
		for i := range int64(4) {
			p.Ahead(t.Context(), i*fourBuffers, fourBuffers)
		}
		checkSum(t, p, s, 0, fourBuffers)
		if s.opened() < 3 {
			t.Fatalf("opened %d times while the first Sum waited", s.opened())
		}
		if _, err := p.Sum(t.Context(), fourBuffers, fourBuffers); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		func() {
			defer func() {
				if recover() != broken {
					t.Error("the panic was lost")
				}
				s.closed()
			}()
			p.Sum(t.Context(), 2*fourBuffers, fourBuffers)
		}()
		checkSum(t, p, s, 3*fourBuffers, fourBuffers)
	})
}

func TestLookAheadKeepsTheValuesOfItsContextOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		s := patterned(10)
		var got any
		s.reader = func(ctx context.Context, _ int, _ int64) (io.ReadCloser, error) {
			got = ctx.Value(key{})
			return nil, nil
		}
		p := newPipeline(t, s)
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		cancel()
		p.Ahead(ctx, 0, 10)
		checkSum(t, p, s, 0, 10)
		if got != "value" || s.opened() != 1 {
			t.Errorf("context holds %v, opened %d times", got, s.opened())
		}
	})
}

// counter counts what is written to it.
type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

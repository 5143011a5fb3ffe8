package hashahead_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/hashahead"
)

// oneBuffer is the size of the buffer of a hasher. A slowHash takes a second for it.
const oneBuffer = 256 << 10

type slowHash struct{ hash.Hash }

func (h slowHash) Write(p []byte) (int, error) {
	time.Sleep(time.Duration(len(p)) * time.Second / oneBuffer)
	return h.Hash.Write(p)
}

// slowRead is a reader whose Read takes the time took.
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

func newSlowPipeline(t *testing.T, s *source) *hashahead.Pipeline {
	t.Helper()
	return newPipelineOf(t, s, checksum.Algorithm{Name: "slow", New: func() hash.Hash { return slowHash{sha256.New()} }})
}

// lookAhead queues n ranges of four buffers.
func lookAhead(t *testing.T, p *hashahead.Pipeline, offset int64, n int) {
	t.Helper()
	for range n {
		p.Ahead(t.Context(), offset, fourBuffers)
		offset += fourBuffers
	}
}

// withProcessors runs f in a synctest bubble with GOMAXPROCS n.
func withProcessors(t *testing.T, n int, f func(t *testing.T)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	synctest.Test(t, f)
}

// sumAll calls Sum for one range after the other, as if sending took no time.
func sumAll(t *testing.T, p *hashahead.Pipeline, s *source, from, to int64) time.Duration {
	t.Helper()
	begin := time.Now()
	for i := from; i < to; i++ {
		for next := i; next < min(to, i+5) && p.Ahead(t.Context(), next*fourBuffers, fourBuffers); next++ {
		}
		checkSum(t, p, s, i*fourBuffers, fourBuffers)
	}
	return time.Since(begin)
}

func TestSum_WaitHashesTwoRangesAtOnce(t *testing.T) {
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

func TestSum_OneProcessorHashesOneRangeAtATime(t *testing.T) {
	withProcessors(t, 1, func(t *testing.T) {
		s := patterned(8 * fourBuffers)
		if took := sumAll(t, newSlowPipeline(t, s), s, 0, 8); took != 32*time.Second {
			t.Errorf("8 ranges of 4 s took %v", took)
		}
	})
}

// To open a reader, some sources read up to the offset or send a request.
func TestSum_SlowOpenReadsOneRangeAtATime(t *testing.T) {
	withProcessors(t, 2, func(t *testing.T) {
		s := patterned(4 * fourBuffers)
		s.reader = func(context.Context, int, int64) (io.ReadCloser, error) { time.Sleep(time.Minute); return nil, nil }
		if took := sumAll(t, newSlowPipeline(t, s), s, 0, 4); took != 4*64*time.Second {
			t.Errorf("4 ranges of 64 s took %v", took)
		}
	})
}

// A second reader does not make a slow disk faster. The last ranges are read from
// memory.
func TestSum_SlowReadReadsOneRangeAtATime(t *testing.T) {
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

// Two hashers would slow down sending. The one that has begun a range completes it,
// because that range is needed next.
func TestAhead_HashesOneRangeAtATimeWithoutSum(t *testing.T) {
	withProcessors(t, 2, func(t *testing.T) {
		const first = oneBuffer * 3 / 2 // completed while the first buffer of the next range is hashed
		s := patterned(first + 5*fourBuffers)
		p := newSlowPipeline(t, s)
		p.Ahead(t.Context(), 0, first)
		lookAhead(t, p, first, 5)
		checkSum(t, p, s, 0, first)
		for i := range 4 { // the second range began after a second, 0.5 s ago
			if synctest.Wait(); s.opened() != i+2 || s.leftOpen() != 1 {
				t.Fatalf("range %d: opened %d times, %d left open", i+1, s.opened(), s.leftOpen())
			}
			time.Sleep(4 * time.Second)
		}
		begin := time.Now()
		for i := range int64(5) {
			checkSum(t, p, s, first+i*fourBuffers, fourBuffers)
		}
		if took := time.Since(begin); took != 3500*time.Millisecond || s.opened() != 6 {
			t.Errorf("took %v, want 3.5s for the last range; opened %d times", took, s.opened())
		}
	})
}

func TestSum_NextSumHashesTwoRangesAgain(t *testing.T) {
	withProcessors(t, 2, func(t *testing.T) {
		s := patterned(8 * fourBuffers)
		p := newSlowPipeline(t, s)
		lookAhead(t, p, 0, 8)
		begin := time.Now()
		for i := range int64(8) {
			checkSum(t, p, s, i*fourBuffers, fourBuffers)
			time.Sleep(500 * time.Millisecond) // sending
		}
		if took := time.Since(begin); took > 24*time.Second || s.opened() != 8 {
			t.Errorf("8 ranges took %v, want less than the 32 s of one hasher; opened %d times", took, s.opened())
		}
	})
}

// limitedSource is a source with a limited number of readers, as a host with a limited number of
// connections.
type limitedSource struct {
	*source
	free chan struct{}
}

func (s limitedSource) open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	select {
	case s.free <- struct{}{}:
		return limitedReader{bytes.NewReader(s.data[offset:]), sync.OnceFunc(func() { <-s.free })}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type limitedReader struct {
	io.Reader
	release func()
}

func (r limitedReader) Close() error { r.release(); return nil }

func TestAhead_WaitingRangeHoldsNoReader(t *testing.T) {
	for _, n := range []int{1, 2, 3} {
		withProcessors(t, 2, func(t *testing.T) {
			limited := limitedSource{patterned(6 * fourBuffers), make(chan struct{}, n)}
			s := patterned(len(limited.data))
			s.reader = func(ctx context.Context, _ int, offset int64) (io.ReadCloser, error) {
				return limited.open(ctx, offset)
			}
			p := newSlowPipeline(t, s)
			lookAhead(t, p, 0, 6)
			for i := range int64(6) {
				checkSum(t, p, s, i*fourBuffers, fourBuffers)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				r, err := limited.open(ctx, i*fourBuffers) // to send it
				if err != nil {
					t.Fatalf("limit of %d readers: cannot open range %d: %v", n, i, err)
				}
				time.Sleep(time.Second)
				r.Close()
			}
		})
	}
}

func TestPipeline_CancelsRangesOfBothHashers(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, p *hashahead.Pipeline, s *source){
		"another sum":        func(t *testing.T, p *hashahead.Pipeline, s *source) { checkSum(t, p, s, 1, 1000) },
		"another look-ahead": func(t *testing.T, p *hashahead.Pipeline, s *source) { p.Ahead(t.Context(), 1, 1000) },
		"closed":             func(_ *testing.T, p *hashahead.Pipeline, _ *source) { p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			withProcessors(t, 2, func(t *testing.T) {
				s := patterned(4 * fourBuffers)
				p := newSlowPipeline(t, s)
				lookAhead(t, p, 0, 4)
				ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
				defer cancel()
				if _, err := p.Sum(ctx, 0, fourBuffers); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("got %v", err)
				}
				if s.opened() != 2 {
					t.Fatalf("opened %d times, want two at once", s.opened())
				}
				end(t, p, s)
				time.Sleep(2 * time.Second)
				if s.leftOpen() != 0 {
					t.Errorf("%d readers are open", s.leftOpen())
				}
			})
		})
	}
}

func TestSum_ReturnsErrorOfSecondHasher(t *testing.T) {
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
		lookAhead(t, p, 0, 4)
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

// goexitReader is a reader that calls runtime.Goexit, as FailNow of a test does.
type goexitReader struct{}

func (goexitReader) Read([]byte) (int, error) { runtime.Goexit(); return 0, nil }
func (goexitReader) Close() error             { return nil }

func TestSum_SourceCallingGoexitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := patterned(1000)
		s.reader = func(_ context.Context, _ int, offset int64) (io.ReadCloser, error) {
			if offset == 0 {
				return goexitReader{}, nil
			}
			return nil, nil
		}
		p := newPipeline(t, s)
		p.Ahead(t.Context(), 0, 10)
		p.Ahead(t.Context(), 10, 10)
		if sum, err := p.Sum(t.Context(), 0, 10); err == nil {
			t.Errorf("sum is %x", sum)
		}
		checkSum(t, p, s, 10, 10)
		p.Ahead(t.Context(), 20, 10)
		checkSum(t, p, s, 20, 10)
	})
}

func TestAhead_KeepsOnlyValuesOfContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		s := patterned(10)
		got := valueOf(s, key{})
		p := newPipeline(t, s)
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		cancel()
		p.Ahead(ctx, 0, 10)
		checkSum(t, p, s, 0, 10)
		if *got != "value" || s.opened() != 1 {
			t.Errorf("context holds %v, opened %d times", *got, s.opened())
		}
	})
}

package hashahead_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
)

func TestSum_MatchesHashOfRange(t *testing.T) {
	s := patterned(2_000_000)
	p := newPipeline(t, s)
	for _, size := range []int64{0, 1, 256<<10 - 1, 256 << 10, 256<<10 + 1, 512 << 10, 1_500_000, 3} {
		for _, offset := range []int64{0, 1, 2_000_000 - size} {
			checkSum(t, p, s, offset, size)
		}
	}
}

func TestSum_ReadsOnlyTheRange(t *testing.T) {
	s := patterned(1_000_000)
	p := newPipeline(t, s)
	checkSum(t, p, s, 10, 300_000)
	if s.end != 300_010 {
		t.Errorf("read up to byte %d, want 300010", s.end)
	}
}

func TestSum_UsesLookAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := patterned(1000)
		p := newPipeline(t, s)
		checkSum(t, p, s, 0, 400)
		p.Ahead(context.Background(), 400, 400)
		p.Ahead(context.Background(), 400, 400) // no effect
		synctest.Wait()
		if s.opened() != 2 || s.leftOpen() != 0 {
			t.Fatalf("opened %d times, %d left open, want the look-ahead completed", s.opened(), s.leftOpen())
		}
		checkSum(t, p, s, 400, 400)
		if s.opened() != 2 {
			t.Errorf("opened %d times: the look-ahead was not used", s.opened())
		}
	})
}

func TestSum_WaitsForRunningLookAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := patterned(1000)
		slow := newPipe()
		s.reader = func(context.Context, int, int64) (io.ReadCloser, error) { return slow, nil }
		p := newPipeline(t, s)
		p.Ahead(context.Background(), 0, 1000)
		go func() {
			synctest.Wait() // until Sum waits
			slow.w.Write(s.data)
		}()
		checkSum(t, p, s, 0, 1000)
		if s.opened() != 1 {
			t.Errorf("opened %d times, want one open for the look-ahead", s.opened())
		}
	})
}

// A chunk that is resent is hashed from the current content of the source.
func TestSum_SecondSumReadsSourceAgain(t *testing.T) {
	s := patterned(1000)
	p := newPipeline(t, s)
	p.Ahead(context.Background(), 0, 1000)
	checkSum(t, p, s, 0, 1000)
	s.data[500] ^= 1
	checkSum(t, p, s, 0, 1000)
	if s.opened() != 2 {
		t.Errorf("opened %d times, want 2", s.opened())
	}
}

func TestSum_OfOtherRangeCancelsLookAhead(t *testing.T) {
	for _, other := range []struct{ offset, size int64 }{{0, 500}, {500, 400}, {499, 500}} {
		synctest.Test(t, func(t *testing.T) {
			s := patterned(1000)
			s.reader = func(_ context.Context, n int, _ int64) (io.ReadCloser, error) {
				if n == 0 {
					return newPipe(), nil // blocks
				}
				return nil, nil
			}
			p := newPipeline(t, s)
			p.Ahead(context.Background(), 500, 500)
			synctest.Wait()
			checkSum(t, p, s, other.offset, other.size)
			synctest.Wait()
			if s.opened() != 2 || s.leftOpen() != 0 {
				t.Errorf("opened %d times, %d left open", s.opened(), s.leftOpen())
			}
		})
	}
}

func TestAhead_NonadjacentRangeReplacesQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := patterned(1000)
		s.reader = func(_ context.Context, n int, _ int64) (io.ReadCloser, error) {
			if n < 2 {
				return newPipe(), nil
			}
			return nil, nil
		}
		p := newPipeline(t, s)
		p.Ahead(context.Background(), 0, 400)
		p.Ahead(context.Background(), 400, 50)
		p.Ahead(context.Background(), 450, 20) // waits for the others
		synctest.Wait()
		p.Ahead(context.Background(), 500, 500)
		synctest.Wait()
		if s.opened() != 3 || s.leftOpen() != 0 {
			t.Fatalf("opened %d times, %d left open, want the last look-ahead completed", s.opened(), s.leftOpen())
		}
		checkSum(t, p, s, 500, 500)
		if s.opened() != 3 {
			t.Errorf("opened %d times: the last look-ahead was not used", s.opened())
		}
	})
}

// recordOffsets returns a function that returns the offsets of all opens of a source, in
// ascending order.
func recordOffsets(s *source) func() []int64 {
	var mu sync.Mutex
	var offsets []int64
	s.reader = func(_ context.Context, _ int, offset int64) (io.ReadCloser, error) {
		mu.Lock()
		defer mu.Unlock()
		offsets = append(offsets, offset)
		return nil, nil
	}
	return func() []int64 {
		mu.Lock()
		defer mu.Unlock()
		return slices.Sorted(slices.Values(offsets))
	}
}

func TestAhead_QueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := patterned(1000)
		offsets := recordOffsets(s)
		p := newPipeline(t, s)
		for range 2 { // the second time changes nothing
			for offset := int64(0); offset < 1000; offset += 100 {
				if queued := p.Ahead(context.Background(), offset, 100); queued != (offset < 800) {
					t.Errorf("range from %d: queued is %v", offset, queued)
				}
			}
		}
		synctest.Wait()
		want := []int64{0, 100, 200, 300, 400, 500, 600, 700}
		if got := offsets(); !slices.Equal(got, want) {
			t.Fatalf("read from %v, want %v", got, want)
		}
		for _, offset := range want {
			checkSum(t, p, s, offset, 100)
		}
		if s.opened() != len(want) {
			t.Errorf("opened %d times: look-aheads were not used", s.opened())
		}
	})
}

func TestSum_OfLaterLookAheadDropsEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := patterned(1000)
		offsets := recordOffsets(s)
		p := newPipeline(t, s)
		for offset := int64(0); offset < 400; offset += 100 {
			p.Ahead(context.Background(), offset, 100)
		}
		synctest.Wait()
		checkSum(t, p, s, 200, 100)
		checkSum(t, p, s, 300, 100)
		checkSum(t, p, s, 100, 100) // again
		if got, want := offsets(), []int64{0, 100, 100, 200, 300}; !slices.Equal(got, want) {
			t.Errorf("read from %v, want %v", got, want)
		}
	})
}

func TestClose_CancelsQueueBehindHangingRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := patterned(1000)
		s.reader = func(context.Context, int, int64) (io.ReadCloser, error) { return newPipe(), nil }
		p := newPipeline(t, s)
		p.Ahead(context.Background(), 0, 100)
		p.Ahead(context.Background(), 100, 100)
		p.Ahead(context.Background(), 200, 100)
		synctest.Wait()
		if s.opened() != 2 {
			t.Errorf("%d ranges are read at the same time", s.opened())
		}
	})
}

func TestAhead_RunsAfterWaitingSum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := patterned(1000)
		slow := newPipe()
		s.reader = func(_ context.Context, n int, _ int64) (io.ReadCloser, error) {
			if n == 0 {
				return slow, nil
			}
			return nil, nil
		}
		p := newPipeline(t, s)
		go func() {
			synctest.Wait()
			p.Ahead(context.Background(), 500, 500) // is queued and does not cancel the Sum
			synctest.Wait()
			slow.w.Write(s.data[:500])
		}()
		checkSum(t, p, s, 0, 500)
		checkSum(t, p, s, 500, 500)
		if s.opened() != 2 {
			t.Errorf("opened %d times, want 2", s.opened())
		}
	})
}

func TestSum_ReturnsSourceErrorOnce(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, reader := range map[string]func() (io.ReadCloser, error){
		"open":  func() (io.ReadCloser, error) { return nil, broken },
		"read":  func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(broken)), nil },
		"later": func() (io.ReadCloser, error) { return io.NopCloser(dataThenError(broken)), nil },
	} {
		for _, lookAhead := range []bool{false, true} {
			s := patterned(1000)
			s.reader = func(_ context.Context, n int, _ int64) (io.ReadCloser, error) {
				if n > 0 {
					return nil, nil
				}
				return reader()
			}
			p := newPipeline(t, s)
			if lookAhead {
				p.Ahead(context.Background(), 0, 1000)
			}
			if sum, err := p.Sum(context.Background(), 0, 1000); !errors.Is(err, broken) || sum != nil {
				t.Errorf("%s, ahead %v: %x, %v", name, lookAhead, sum, err)
			}
			checkSum(t, p, s, 0, 1000) // the second open succeeds
		}
	}
}

func dataThenError(err error) io.Reader {
	return io.MultiReader(bytes.NewReader(make([]byte, 100)), iotest.ErrReader(err))
}

func TestSum_ShortSourceIsUnexpectedEOF(t *testing.T) {
	for _, r := range []struct{ offset, size int64 }{{0, 1001}, {999, 2}, {1000, 1}, {5000, 1}, {0, math.MaxInt64}} {
		for _, lookAhead := range []bool{false, true} {
			s := patterned(1000)
			p := newPipeline(t, s)
			if lookAhead {
				p.Ahead(context.Background(), r.offset, r.size)
			}
			if _, err := p.Sum(context.Background(), r.offset, r.size); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes from %d of 1000, ahead %v: %v", r.size, r.offset, lookAhead, err)
			}
		}
	}
}

func TestSum_ShortReadsAreCompleted(t *testing.T) {
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"bytes":         iotest.OneByteReader,
		"end with data": iotest.DataErrReader,
		"empty reads":   func(r io.Reader) io.Reader { return &stutteringReader{r: r} },
	} {
		s := patterned(5000)
		s.reader = func(_ context.Context, _ int, offset int64) (io.ReadCloser, error) {
			return io.NopCloser(wrap(bytes.NewReader(s.data[offset:]))), nil
		}
		p := newPipeline(t, s)
		t.Run(name, func(t *testing.T) {
			checkSum(t, p, s, 100, 4000)
			checkSum(t, p, s, 0, 5000)
		})
	}
}

// stutteringReader returns 0 bytes from every other Read.
type stutteringReader struct {
	r io.Reader
	n int
}

func (h *stutteringReader) Read(p []byte) (int, error) {
	if h.n++; h.n%2 == 1 {
		return 0, nil
	}
	return h.r.Read(p[:min(len(p), 10)])
}

type emptyReader struct{}

func (emptyReader) Read([]byte) (int, error) { return 0, nil }
func (emptyReader) Close() error             { return nil }

func TestSum_EmptyReadsFail(t *testing.T) {
	s := patterned(10)
	s.reader = func(context.Context, int, int64) (io.ReadCloser, error) { return emptyReader{}, nil }
	p := newPipeline(t, s)
	if _, err := p.Sum(context.Background(), 0, 10); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

func TestSum_ResultsShareNoMemory(t *testing.T) {
	s := patterned(1000)
	p := newPipeline(t, s)
	first, err := p.Sum(context.Background(), 0, 500)
	if err != nil {
		t.Fatal(err)
	}
	p.Ahead(context.Background(), 500, 500)
	second, err := p.Sum(context.Background(), 500, 500)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, s.want(0, 500)) {
		t.Error("the first sum changed when the second was computed")
	}
	clear(first)
	if !bytes.Equal(second, s.want(500, 500)) {
		t.Error("the second sum changed with the first")
	}
}

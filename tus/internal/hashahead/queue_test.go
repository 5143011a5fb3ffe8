package hashahead_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/hashahead"
)

// ranges is the number of ranges of a source that is read slowly.
const ranges, rangeSize = 6, 100_000

// slowSource is a source whose reads of a range take a second.
func slowSource() *source {
	s := patterned(ranges * rangeSize)
	s.reader = func(_ context.Context, _ int, offset int64) (io.ReadCloser, error) {
		return slowReader{bytes.NewReader(s.data[offset:])}, nil
	}
	return s
}

type slowReader struct{ io.Reader }

func (r slowReader) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return r.Reader.Read(p)
}

func (slowReader) Close() error { return nil }

// lookAhead queues n ranges.
func lookAhead(t *testing.T, p *hashahead.Pipeline, n int64) {
	t.Helper()
	for i := range n {
		p.Ahead(t.Context(), i*rangeSize, rangeSize)
	}
}

func TestAhead_HashesWhileChunkIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slowSource()
		p := newPipeline(t, s)
		lookAhead(t, p, ranges)
		begin := time.Now()
		for i := range int64(ranges) {
			checkSum(t, p, s, i*rangeSize, rangeSize)
			time.Sleep(time.Second) // sending
		}
		if took := time.Since(begin); took != (ranges+1)*time.Second || s.opened() != ranges {
			t.Errorf("took %v, opened %d times", took, s.opened())
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
		synctest.Test(t, func(t *testing.T) {
			limited := limitedSource{patterned(ranges * rangeSize), make(chan struct{}, n)}
			s := patterned(len(limited.data))
			s.reader = func(ctx context.Context, _ int, offset int64) (io.ReadCloser, error) {
				return limited.open(ctx, offset)
			}
			p := newPipeline(t, s)
			lookAhead(t, p, ranges)
			for i := range int64(ranges) {
				checkSum(t, p, s, i*rangeSize, rangeSize)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				r, err := limited.open(ctx, i*rangeSize) // to send it
				if err != nil {
					t.Fatalf("limit of %d readers: cannot open range %d: %v", n, i, err)
				}
				time.Sleep(time.Second)
				r.Close()
			}
		})
	}
}

func TestPipeline_CancelsRunningRange(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, p *hashahead.Pipeline, s *source){
		"another sum":        func(t *testing.T, p *hashahead.Pipeline, s *source) { checkSum(t, p, s, 1, 1000) },
		"another look-ahead": func(t *testing.T, p *hashahead.Pipeline, s *source) { p.Ahead(t.Context(), 1, 1000) },
		"closed":             func(_ *testing.T, p *hashahead.Pipeline, _ *source) { p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := slowSource()
				p := newPipeline(t, s)
				lookAhead(t, p, ranges)
				checkSum(t, p, s, 0, rangeSize)
				synctest.Wait()
				if s.opened() != 4 || s.leftOpen() != 2 {
					t.Fatalf("opened %d times, %d left open", s.opened(), s.leftOpen())
				}
				end(t, p, s)
				time.Sleep(time.Minute)
				if s.leftOpen() != 0 {
					t.Errorf("%d readers are open", s.leftOpen())
				}
			})
		})
	}
}

func TestSum_ReturnsErrorOfLookAhead(t *testing.T) {
	broken := errors.New("disk on fire")
	synctest.Test(t, func(t *testing.T) {
		s := patterned(4 * rangeSize)
		s.reader = func(_ context.Context, _ int, offset int64) (io.ReadCloser, error) {
			switch offset / rangeSize {
			case 1:
				return nil, broken
			case 2:
				panic(broken)
			}
			return nil, nil
		}
		p := newPipeline(t, s)
		lookAhead(t, p, 4)
		synctest.Wait()
		checkSum(t, p, s, 0, rangeSize)
		if _, err := p.Sum(t.Context(), rangeSize, rangeSize); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		func() {
			defer func() {
				if recover() != broken {
					t.Error("the panic was lost")
				}
				s.closed()
			}()
			p.Sum(t.Context(), 2*rangeSize, rangeSize)
		}()
		checkSum(t, p, s, 3*rangeSize, rangeSize)
	})
}

// goexitReader is a reader that calls runtime.Goexit, as FailNow of a test does.
type goexitReader struct{}

func (goexitReader) Read([]byte) (int, error) { runtime.Goexit(); return 0, nil }
func (goexitReader) Close() error             { return nil }

func TestSum_GoexitOfSourceReachesCaller(t *testing.T) {
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
		returned, ended := false, make(chan struct{})
		go func() {
			defer close(ended)
			p.Sum(t.Context(), 0, 10)
			returned = true
		}()
		if <-ended; returned {
			t.Error("Sum returned")
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

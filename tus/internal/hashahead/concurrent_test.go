package hashahead_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/internal/hashahead"
)

// A concurrent Sum returns the right checksum, or the error of its canceled context.
func TestPipeline_ConcurrentUse(t *testing.T) {
	s := patterned(400_000)
	p := newPipeline(t, s)
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, 0))
			for range 100 {
				offset := random.Int64N(4) * 100_000
				size := random.Int64N(2) * 100_000
				switch random.IntN(4) {
				case 0:
					p.Ahead(context.Background(), offset, size)
				case 1:
					ctx, cancel := context.WithCancel(context.Background())
					go cancel()
					sum, err := p.Sum(ctx, offset, size)
					if err != nil && !errors.Is(err, context.Canceled) || err == nil && !bytes.Equal(sum, s.want(offset, size)) {
						t.Errorf("%d bytes from %d, canceled: %x, %v", size, offset, sum, err)
					}
				default:
					sum, err := p.Sum(context.Background(), offset, size)
					if err != nil || !bytes.Equal(sum, s.want(offset, size)) {
						t.Errorf("%d bytes from %d: %x, %v", size, offset, sum, err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestClose_ConcurrentUse(t *testing.T) {
	s := patterned(200_000)
	for range 100 {
		p := hashahead.New(lookup(t, "sha256"), s.open)
		var wg sync.WaitGroup
		wg.Go(func() { p.Ahead(context.Background(), 100_000, 100_000) })
		wg.Go(func() {
			if _, err := p.Sum(context.Background(), 0, 100_000); err != nil && !errors.Is(err, hashahead.ErrClosed) {
				t.Error(err)
			}
		})
		wg.Go(func() { p.Close() })
		wg.Go(func() { p.Close() })
		wg.Wait()
		if n := s.leftOpen(); n != 0 {
			t.Fatalf("%d readers open after Close", n)
		}
	}
}

// A chunk of any size costs a few small objects, but no buffer and no hash.
func TestPipeline_MemoryPerChunkIsBounded(t *testing.T) {
	const chunk = 200_000
	for _, chunks := range []int64{64, 512} {
		s := &source{data: make([]byte, chunk)}
		p := hashahead.New(lookup(t, "crc32"), func(ctx context.Context, _ int64) (io.ReadCloser, error) {
			return s.open(ctx, 0)
		})
		run := func(n int64) {
			for i := range n {
				if _, err := p.Sum(context.Background(), i*chunk, chunk); err != nil {
					t.Fatal(err)
				}
				p.Ahead(context.Background(), (i+1)*chunk, chunk)
			}
		}
		run(1)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run(chunks)
		runtime.ReadMemStats(&after)
		p.Close()
		if each := int64(after.TotalAlloc-before.TotalAlloc) / chunks; each > 8<<10 {
			t.Errorf("%d chunks: %d bytes of memory for each", chunks, each)
		}
	}
}

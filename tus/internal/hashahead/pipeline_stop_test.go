package hashahead_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/hashahead"
)

func TestSum_CancelClosesReader(t *testing.T) {
	for _, lookAhead := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := patterned(1000)
			s.reader = func(_ context.Context, n int, _ int64) (io.ReadCloser, error) {
				if n == 0 {
					return newPipe(), nil
				}
				return nil, nil
			}
			p := newPipeline(t, s)
			if lookAhead {
				p.Ahead(context.Background(), 0, 1000)
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				synctest.Wait()
				cancel()
			}()
			if _, err := p.Sum(ctx, 0, 1000); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			synctest.Wait()
			if s.leftOpen() != 0 {
				t.Error("the reader was not closed")
			}
			checkSum(t, p, s, 0, 1000)
		})
	}
}

// panickingCloser is a reader that hangs in Read and panics in Close.
type panickingCloser struct{ hangingReader }

func (r panickingCloser) Close() error { panic("a bug") }

func TestSum_PanicInCloseReachesCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := patterned(1000)
		hung := panickingCloser{hangingReader{make(chan struct{})}}
		s.reader = func(_ context.Context, n int, _ int64) (io.ReadCloser, error) {
			if n == 0 {
				return hung, nil
			}
			return nil, nil
		}
		p := newPipeline(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Sum(ctx, 0, 1000); !errors.Is(err, context.DeadlineExceeded) { // without waiting for the reader
			t.Errorf("got %v", err)
		}
		close(hung.release)
		synctest.Wait()
		func() {
			defer func() {
				if recover() != "a bug" {
					t.Error("the panic was lost")
				}
			}()
			p.Sum(t.Context(), 0, 1000)
		}()
		checkSum(t, p, s, 0, 1000)
	})
}

func TestSum_PanicAfterCancelIsNoResult(t *testing.T) {
	for range 100_000 { // in some, the job is done before Sum waits for it
		ctx, cancel := context.WithCancel(t.Context())
		p := hashahead.New(lookup(t, "sha256"), func(context.Context, int64) (io.ReadCloser, error) {
			cancel()
			panic("a bug")
		})
		func() {
			defer func() { recover() }()
			if sum, err := p.Sum(ctx, 0, 1000); err == nil {
				t.Errorf("got %x without an error", sum)
			}
		}()
		p.Close()
	}
}

// Waiting for the reader would be a deadlock in the synctest bubble.
func TestSum_CancelReturnsWhileSourceHangs(t *testing.T) {
	for _, lookAhead := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := patterned(1000)
			hung := hangingReader{make(chan struct{})}
			s.reader = func(_ context.Context, n int, _ int64) (io.ReadCloser, error) {
				if n < 2 {
					return hung, nil
				}
				return nil, nil
			}
			p := newPipeline(t, s)
			if lookAhead {
				p.Ahead(context.Background(), 0, 1000)
			}
			for range 4 { // the third and fourth wait for the others
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					synctest.Wait()
					cancel()
				}()
				if _, err := p.Sum(ctx, 0, 1000); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			}
			p.Ahead(context.Background(), 0, 500)
			p.Ahead(context.Background(), 500, 500)
			synctest.Wait()
			if s.opened() != 2 {
				t.Errorf("opened %d times while two readers hung", s.opened())
			}
			close(hung.release)
			checkSum(t, p, s, 500, 500)
		})
	}
}

func TestSum_CanceledContextReadsNothing(t *testing.T) {
	s := patterned(10)
	p := newPipeline(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Sum(ctx, 0, 10); !errors.Is(err, context.Canceled) || s.opened() != 0 {
		t.Errorf("%v, opened %d times", err, s.opened())
	}
}

func TestSum_OpensSourceWithItsContext(t *testing.T) {
	type key struct{}
	s := patterned(10)
	got := valueOf(s, key{})
	p := newPipeline(t, s)
	if _, err := p.Sum(context.WithValue(context.Background(), key{}, "value"), 0, 10); err != nil || *got != "value" {
		t.Errorf("%v, context holds %v", err, *got)
	}
}

func TestClose_CancelsLookAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := patterned(1000)
		s.reader = func(context.Context, int, int64) (io.ReadCloser, error) { return newPipe(), nil }
		p := newPipeline(t, s)
		p.Ahead(context.Background(), 0, 1000)
		synctest.Wait()
		p.Close()
		if s.opened() != 1 || s.leftOpen() != 0 {
			t.Errorf("opened %d times, %d left open", s.opened(), s.leftOpen())
		}
		p.Ahead(context.Background(), 0, 500)
		synctest.Wait()
		if s.opened() != 1 {
			t.Error("a closed pipeline looks ahead")
		}
		if _, err := p.Sum(t.Context(), 0, 500); !errors.Is(err, hashahead.ErrClosed) {
			t.Errorf("sum of a closed pipeline: %v", err)
		}
	})
}

func TestClose_EndsWaitingSum(t *testing.T) {
	for _, lookAhead := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := patterned(1000)
			s.reader = func(context.Context, int, int64) (io.ReadCloser, error) { return newPipe(), nil }
			p := newPipeline(t, s)
			if lookAhead {
				p.Ahead(context.Background(), 0, 1000)
			}
			go func() {
				synctest.Wait()
				p.Close()
			}()
			if _, err := p.Sum(t.Context(), 0, 1000); !errors.Is(err, hashahead.ErrClosed) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestClose_WaitsForReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := patterned(1000)
		hung := hangingReader{make(chan struct{})}
		s.reader = func(context.Context, int, int64) (io.ReadCloser, error) { return hung, nil }
		p := newPipeline(t, s)
		p.Ahead(context.Background(), 0, 1000)
		synctest.Wait()
		closed := make(chan struct{})
		go func() {
			p.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned while the reader was in use")
		default:
		}
		close(hung.release)
		<-closed
	})
}

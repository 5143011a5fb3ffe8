package tusdtest

import (
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/tus/tusd/v2/pkg/handler"
)

// tusd 2.9.1 has a data race: a request that interrupts another one reads the body
// field of that request while it is being set. The race detector would fail the
// test, so an interruption waits here until the body is being read. Without the
// race detector such an interruption is lost, and the interrupting request waits
// for tusd's lock timeout.

// bodyStarted closes c at the first read of the body of a request, or at the end
// of the request.
type bodyStarted struct {
	once sync.Once
	c    chan struct{}
}

func (b *bodyStarted) signal() { b.once.Do(func() { close(b.c) }) }

type bodyStartedKey struct{}

// signalBodies puts a bodyStarted into the context of each request.
func signalBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := &bodyStarted{c: make(chan struct{})}
		defer started.signal()
		if r.Method != http.MethodPatch && r.Method != http.MethodPost {
			started.signal()
		}
		r = r.WithContext(context.WithValue(r.Context(), bodyStartedKey{}, started))
		r.Body = signalingBody{r.Body, started}
		next.ServeHTTP(w, r)
	})
}

type signalingBody struct {
	io.ReadCloser
	started *bodyStarted
}

func (b signalingBody) Read(p []byte) (int, error) {
	b.started.signal()
	return b.ReadCloser.Read(p)
}

// delayedLocker delays interruptions until the body is being read.
type delayedLocker struct{ handler.Locker }

func (l delayedLocker) NewLock(id string) (handler.Lock, error) {
	lock, err := l.Locker.NewLock(id)
	if err != nil {
		return nil, err
	}
	return delayedLock{lock}, nil
}

type delayedLock struct{ inner handler.Lock }

func (l delayedLock) Unlock() error { return l.inner.Unlock() }

func (l delayedLock) Lock(ctx context.Context, requestRelease func()) error {
	started, ok := ctx.Value(bodyStartedKey{}).(*bodyStarted)
	if !ok {
		return l.inner.Lock(ctx, requestRelease)
	}
	return l.inner.Lock(ctx, func() {
		<-started.c
		requestRelease()
	})
}

package tusdtest

import (
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/tus/tusd/v2/pkg/handler"
)

// tusd 2.9.1 has a data race: a request that interrupts another one looks for
// its body while that is being set up. The race detector would blame the test
// for it, so an interruption waits here until the body is being read. Outside of
// the race detector an interruption in that moment is lost, and the one who
// interrupts waits for tusd's lock timeout.

// bodyBegun is closed when the body of a request is being read, or the request
// is over.
type bodyBegun struct {
	once sync.Once
	c    chan struct{}
}

func (b *bodyBegun) note() { b.once.Do(func() { close(b.c) }) }

type bodyBegunKey struct{}

// noteBodies tells the locks of a request when its body is being read.
func noteBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := &bodyBegun{c: make(chan struct{})}
		defer begun.note()
		if r.Method != http.MethodPatch && r.Method != http.MethodPost {
			begun.note()
		}
		r = r.WithContext(context.WithValue(r.Context(), bodyBegunKey{}, begun))
		r.Body = noticedBody{r.Body, begun}
		next.ServeHTTP(w, r)
	})
}

type noticedBody struct {
	io.ReadCloser
	begun *bodyBegun
}

func (b noticedBody) Read(p []byte) (int, error) {
	b.begun.note()
	return b.ReadCloser.Read(p)
}

// patientLocker hands interruptions on when they can be heard.
type patientLocker struct{ handler.Locker }

func (l patientLocker) NewLock(id string) (handler.Lock, error) {
	lock, err := l.Locker.NewLock(id)
	if err != nil {
		return nil, err
	}
	return patientLock{lock}, nil
}

type patientLock struct{ inner handler.Lock }

func (l patientLock) Unlock() error { return l.inner.Unlock() }

func (l patientLock) Lock(ctx context.Context, requestRelease func()) error {
	begun, ok := ctx.Value(bodyBegunKey{}).(*bodyBegun)
	if !ok {
		return l.inner.Lock(ctx, requestRelease)
	}
	return l.inner.Lock(ctx, func() {
		<-begun.c
		requestRelease()
	})
}

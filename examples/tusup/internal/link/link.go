// Package link has the state of the way to the server, for commands that upload until they are
// interrupted, and attributes failed uploads to the file, to the server or to the store.
package link

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/seed-175555ba/tus-go/tus"
)

// Link is the state of the way to the server. While it is down, one upload at a time is
// tried, after a back-off. It may be used from several goroutines.
type Link struct {
	mu      sync.Mutex
	outage  Outage
	until   time.Time // no upload starts before
	retries *backoff.ExponentialBackOff
	changed chan struct{} // has a value after a change of outage
}

// Outage is why no upload can succeed; the zero value is none.
type Outage struct{ What, Cause string }

func (o Outage) String() string {
	if o.What == "" {
		return ""
	}
	return o.What + ": " + o.Cause
}

// New returns a link without an outage.
func New() *Link {
	return &Link{retries: NewBackoff(), changed: make(chan struct{}, 1)}
}

// Changed returns a channel that receives after a change of the outage.
func (l *Link) Changed() <-chan struct{} { return l.changed }

// Failed reports a failure that an upload in flight retries on its own.
func (l *Link) Failed(err error) {
	if v := Judge(err); v == ServerDown || v == StoreDown {
		l.set(outageOf(err))
	}
}

// Reached reports that the server acknowledged bytes or completed an upload.
func (l *Link) Reached() {
	l.set(Outage{})
}

// Fail reports an upload that failed. It delays the next one.
func (l *Link) Fail(err error, now time.Time) {
	l.set(outageOf(err))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = now.Add(l.retries.NextBackOff())
}

func (l *Link) set(o Outage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o == (Outage{}) {
		l.retries.Reset()
		l.until = time.Time{}
	}
	if l.outage == o {
		return
	}
	l.outage = o
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// State returns the outage, and when an upload may be tried despite it.
func (l *Link) State() (Outage, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outage, l.until
}

// outageOf describes an error that concerns all files.
func outageOf(err error) Outage {
	var e *tus.Error
	switch {
	case errors.Is(err, tus.ErrStore):
		return Outage{"resume database failed", err.Error()}
	case !errors.As(err, &e):
		return Outage{"uploads fail", err.Error()}
	case e.StatusCode != 0:
		return Outage{"server refuses uploads", fmt.Sprintf("%d %s", e.StatusCode, http.StatusText(e.StatusCode))}
	case e.Err == nil:
		return Outage{"server unreachable", e.Error()}
	}
	cause := e.Err
	var errno syscall.Errno // without the addresses, which differ for each connection
	if errors.As(err, &errno) {
		cause = errno
	}
	return Outage{"server unreachable", cause.Error()}
}

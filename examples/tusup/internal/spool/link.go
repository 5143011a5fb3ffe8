package spool

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
	outage  outage
	until   time.Time // no upload starts before
	retries *backoff.ExponentialBackOff
	changed chan struct{} // has a value after a change of outage
}

// outage is why no upload can succeed; the zero value is none.
type outage struct{ what, cause string }

func (o outage) String() string {
	if o.what == "" {
		return ""
	}
	return o.what + ": " + o.cause
}

func newLink() *Link {
	return &Link{retries: newBackoff(), changed: make(chan struct{}, 1)}
}

// Failed reports a failure that an upload in flight retries on its own.
func (l *Link) Failed(err error) {
	if v := judge(err); v == serverDown || v == storeDown {
		l.set(outageOf(err))
	}
}

// Reached reports that the server acknowledged bytes or completed an upload.
func (l *Link) Reached() {
	l.set(outage{})
}

// fail reports an upload that failed. It delays the next one.
func (l *Link) fail(err error, now time.Time) {
	l.set(outageOf(err))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = now.Add(l.retries.NextBackOff())
}

func (l *Link) set(o outage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o == (outage{}) {
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

// state returns the outage, and when an upload may be tried despite it.
func (l *Link) state() (outage, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outage, l.until
}

// outageOf describes an error that concerns all files.
func outageOf(err error) outage {
	var e *tus.Error
	switch {
	case errors.Is(err, tus.ErrStore):
		return outage{"resume database failed", err.Error()}
	case !errors.As(err, &e):
		return outage{"uploads fail", err.Error()}
	case e.StatusCode != 0:
		return outage{"server refuses uploads", fmt.Sprintf("%d %s", e.StatusCode, http.StatusText(e.StatusCode))}
	case e.Err == nil:
		return outage{"server unreachable", e.Error()}
	}
	cause := e.Err
	var errno syscall.Errno // without the addresses, which differ for each connection
	if errors.As(err, &errno) {
		cause = errno
	}
	return outage{"server unreachable", cause.Error()}
}

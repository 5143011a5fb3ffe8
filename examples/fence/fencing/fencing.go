// Package fencing protects uploads of a tus server from a client that has lost its lease
// and does not know it yet, such as a process that was suspended in the middle of a PATCH.
//
// Clients send the revision of the stored record of an upload with their requests
// (Options.FenceHeader of package tus). It increases with each takeover, so that a [Fence]
// before the server recognizes the requests of earlier holders:
//
//   - A request with a lower fence than the highest one of its upload is refused with 409.
//     A client of package tus then confirms its lease, and ends with ErrLeaseLost.
//   - A request with the same or a higher fence ends the request in flight, and waits until
//     the server has returned from it. The server therefore handles one fenced request of an
//     upload at a time, and no byte of an earlier one is stored after a HEAD has returned
//     the offset. The same fence is that of the same client, whose connection broke.
//   - A PATCH or DELETE without a fence is refused with 428 if the upload has a fence.
//     Without a fence in any request, an upload is not protected. HEAD without a fence
//     changes nothing and is always passed on.
//
// Fences are only in memory. After a restart the next request of the holder sets them again,
// and until then an earlier holder sends the bytes of the same source. All requests of an
// upload have to pass the same Fence.
package fencing

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Options are options of a Fence.
type Options struct {
	// Header is the name of the header field. Empty means Upload-Fence.
	Header string
	// Key identifies the upload of a request. nil means the path of its URL. If a server has
	// the ID of an upload in the query, it must be part of the key.
	Key func(*http.Request) string
	// Wait limits how long a request waits for the end of an earlier one, before it is
	// refused with 423. 0 means 10 seconds.
	Wait time.Duration
	// Idle is how long an upload is remembered after its last request. It bounds the memory:
	// an upload needs about 200 bytes. 0 means 24 hours.
	Idle time.Duration
}

// A Fence passes requests on to a tus server.
type Fence struct {
	next http.Handler
	opts Options

	mu      sync.Mutex
	uploads map[string]*upload
	swept   time.Time
}

// upload is what is known about an upload. It is removed after its last request, unless the
// server accepted one with a fence: URLs that do not exist need no memory.
type upload struct {
	highest  int64   // fence
	calls    []*call // in flight
	accepted bool
	used     time.Time
}

// New returns a Fence before next, which is a server in this process or a [Proxy].
func New(next http.Handler, opts Options) *Fence {
	opts.Header = cmp.Or(opts.Header, "Upload-Fence")
	opts.Wait = cmp.Or(opts.Wait, 10*time.Second)
	opts.Idle = cmp.Or(opts.Idle, 24*time.Hour)
	if opts.Key == nil {
		opts.Key = func(r *http.Request) string { return r.URL.Path }
	}
	return &Fence{next: next, opts: opts, uploads: map[string]*upload{}, swept: time.Now()}
}

// ServeHTTP handles a request.
func (f *Fence) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method, values := methodOf(r), r.Header.Values(f.opts.Header)
	known := method == http.MethodHead || method == http.MethodPatch || method == http.MethodDelete
	if !known || method == http.MethodHead && len(values) == 0 {
		f.next.ServeHTTP(w, r)
		return
	}
	var n int64
	if len(values) > 0 {
		var err error
		if n, err = strconv.ParseInt(values[0], 10, 64); err != nil || n <= 0 || len(values) > 1 {
			refuse(w, http.StatusBadRequest, f.opts.Header+" is not one positive number")
			return
		}
	}
	c, key := newCall(w, method == http.MethodPatch, n), f.opts.Key(r)
	if status, reason := f.enter(r.Context(), key, c); status != 0 {
		refuse(w, status, reason)
		return
	}
	f.pass(&response{ResponseWriter: w, call: c}, r, key)
	if c.replaced() {
		clear(w.Header()) // of the server
		refuse(w, http.StatusConflict, endedEarly)
	}
}

// pass lets the server handle a request.
func (f *Fence) pass(w *response, r *http.Request, key string) {
	defer func() { // also if the server panics
		status, deletes := w.status, methodOf(r) == http.MethodDelete
		gone := status == http.StatusNotFound || status == http.StatusGone || deletes && status < 300
		f.leave(key, w.call, gone, status < 400)
	}()
	passed := *r
	passed.Body = &body{r.Body, w.call}
	f.next.ServeHTTP(w, &passed)
}

const endedEarly = "ended early: another request has the same or a higher fence, or the fence shuts down"

// methodOf returns the method of a request, which a client without PATCH and DELETE sends as
// POST.
func methodOf(r *http.Request) string {
	if override := r.Header.Get("X-HTTP-Method-Override"); override != "" && r.Method == http.MethodPost {
		return override
	}
	return r.Method
}

// enter waits until the server may handle a request. Otherwise it returns the status and
// reason of the refusal.
func (f *Fence) enter(ctx context.Context, key string, c *call) (status int, reason string) {
	wait := time.NewTimer(f.opts.Wait)
	defer wait.Stop()
	for {
		earlier, status, reason := f.tryEnter(key, c)
		if earlier == nil {
			return status, reason
		}
		earlier.end()
		select {
		case <-earlier.done:
		case <-ctx.Done():
			return http.StatusConflict, "the client has disconnected"
		case <-wait.C: // whether the server still stores bytes is unknown
			return http.StatusLocked, "an earlier request of this upload has not ended yet"
		}
	}
}

// tryEnter adds a call to those that the server handles, unless it is refused or has to wait
// for an earlier one.
func (f *Fence) tryEnter(key string, c *call) (earlier *call, status int, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, u := time.Now(), f.uploads[key]
	switch {
	case u == nil:
		f.sweep(now)
		u = &upload{}
		f.uploads[key] = u
	case c.fence == 0 && u.highest > 0:
		return nil, http.StatusPreconditionRequired, "the upload requires " + f.opts.Header
	case c.fence < u.highest:
		return nil, http.StatusConflict, "fence " + strconv.FormatInt(c.fence, 10) + " is lower than that of another request"
	}
	u.highest, u.used = max(u.highest, c.fence), now
	if c.fence > 0 && len(u.calls) > 0 {
		return u.calls[0], 0, ""
	}
	u.calls = append(u.calls, c)
	return nil, 0, ""
}

// leave removes a call that the server has handled, and the upload if that is gone or was
// never accepted.
func (f *Fence) leave(key string, c *call, gone, accepted bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.uploads[key] // it has at least this call
	u.calls = slices.DeleteFunc(u.calls, func(other *call) bool { return other == c })
	u.used, u.accepted = time.Now(), u.accepted || accepted
	if len(u.calls) == 0 && (gone || !u.accepted || u.highest == 0) {
		delete(f.uploads, key)
	}
	c.finish()
}

// sweep removes idle uploads, at most twice in the time after which they are idle.
func (f *Fence) sweep(now time.Time) {
	if now.Sub(f.swept) < f.opts.Idle/2 {
		return
	}
	f.swept = now
	for key, u := range f.uploads {
		if len(u.calls) == 0 && now.Sub(u.used) >= f.opts.Idle {
			delete(f.uploads, key)
		}
	}
}

// EndAll ends the body of every PATCH in flight, so that a shutdown does not have to wait
// for them and the server stores what it has received.
func (f *Fence) EndAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, u := range f.uploads {
		for _, c := range u.calls {
			c.end()
		}
	}
}

// refuse responds with an error. Without Tus-Resumable a client may take it for the response
// of an unrelated proxy.
func refuse(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Tus-Resumable", "1.0.0")
	http.Error(w, reason, status)
}

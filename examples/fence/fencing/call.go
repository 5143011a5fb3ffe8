package fencing

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// call is a request that the server handles.
type call struct {
	fence   int64
	patch   bool
	control *http.ResponseController
	done    chan struct{} // closed when the server has returned

	mu       sync.Mutex
	ended    bool // the body ends
	finished bool // the server has returned
	started  bool // the response of the server has been sent
}

func newCall(w http.ResponseWriter, patch bool, fence int64) *call {
	return &call{fence: fence, patch: patch, control: http.NewResponseController(w), done: make(chan struct{})}
}

// end ends the body of a PATCH. A read that waits for a client that is suspended is
// interrupted. The context is not canceled: a proxy would disconnect from the server, which
// may still store what its socket has received.
func (c *call) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.finished || !c.patch {
		return
	}
	c.ended = true
	// If the deadline is not supported, the body ends when the read in flight has returned.
	_ = c.control.SetReadDeadline(time.Unix(1, 0))
}

func (c *call) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finished = true
	close(c.done)
}

func (c *call) isEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// replaced reports whether the response of the server was discarded or missing because the
// body ended early.
func (c *call) replaced() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended && !c.started
}

// body is the body of a call. When the call ends, the server sees a client that
// disconnected.
type body struct {
	io.ReadCloser
	call *call
}

func (b *body) Read(p []byte) (int, error) {
	if b.call.isEnded() { // more bytes may be in a buffer
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && b.call.isEnded() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// response is the response of the server to a call. It is discarded if the call has ended,
// as it would be about the body that ended early.
type response struct {
	http.ResponseWriter
	call      *call
	status    int
	discarded bool
}

// Unwrap returns the ResponseWriter for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader starts the response.
func (w *response) WriteHeader(status int) {
	if w.start(status) {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write writes a part of the response.
func (w *response) Write(p []byte) (int, error) {
	if !w.start(http.StatusOK) {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// FlushError flushes the response, as http.ResponseController does.
func (w *response) FlushError() error {
	if !w.start(http.StatusOK) {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// SetReadDeadline sets the deadline of the body, unless the call has ended: a server that
// extends the deadline with each read would undo that.
func (w *response) SetReadDeadline(deadline time.Time) error {
	w.call.mu.Lock()
	defer w.call.mu.Unlock()
	if w.call.ended {
		return nil
	}
	return w.call.control.SetReadDeadline(deadline)
}

// start notes the first status that is not informational. It reports whether the response
// is sent.
func (w *response) start(status int) bool {
	w.call.mu.Lock()
	defer w.call.mu.Unlock()
	switch {
	case w.status == 0 && status < 200:
		return !w.call.ended
	case w.status == 0:
		w.status, w.discarded = status, w.call.ended
		w.call.started = !w.discarded
	}
	return !w.discarded
}

package tustest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Fault is misbehaviour for certain requests.
type Fault struct {
	// Method is which requests are meant; "" means all.
	Method string
	// From is the lowest Upload-Offset that is meant.
	From int64
	// Skip is how many requests of this kind are served properly first.
	Skip int
	// Times is how many requests are then hit: 0 means one, a negative value all
	// that follow.
	Times int
	// Action is what happens instead of an answer.
	Action Action
}

// Action handles a request in place of the server. It may let the server do it
// with [Handler.Serve].
type Action func(w http.ResponseWriter, r *http.Request, h *Handler)

// Inject adds faults. For each request the first fault that is meant and not
// used up decides.
func (h *Handler) Inject(faults ...Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range faults {
		if f.Times == 0 {
			f.Times = 1
		}
		h.faults = append(h.faults, &f)
	}
}

// Serve answers properly, for use in an Action.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request) { h.serve(w, r) }

func (h *Handler) pick(r *http.Request) *Fault {
	method := r.Method
	if override := r.Header.Get("X-HTTP-Method-Override"); override != "" {
		method = override
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.faults {
		if f.Method != "" && f.Method != method || f.Times == 0 {
			continue
		}
		if f.From > 0 {
			if at, err := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64); err != nil || at < f.From {
				continue
			}
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		f.Times-- // a negative count never ends
		return f
	}
	return nil
}

// Respond answers with a status, header fields given as name and value in turn,
// and a body. The request's body is not read.
func Respond(status int, body string, header ...string) Action {
	return func(w http.ResponseWriter, _ *http.Request, _ *Handler) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// RespondAfter is Respond, but reads (and drops) the request's body first.
func RespondAfter(status int, body string, header ...string) Action {
	respond := Respond(status, body, header...)
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		io.Copy(io.Discard, r.Body)
		respond(w, r, h)
	}
}

// SetHeader lets the server do its work and then replaces header fields of the
// answer, given as name and value in turn. An empty value removes the field.
func SetHeader(header ...string) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.serve(&headerWriter{ResponseWriter: w, replace: header}, r)
	}
}

// SetStatus lets the server do its work, but tells another status.
func SetStatus(status int) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.serve(&headerWriter{ResponseWriter: w, status: status}, r)
	}
}

// CutBefore closes the connection before anything is stored.
func CutBefore() Action {
	return func(w http.ResponseWriter, _ *http.Request, _ *Handler) { cut(w) }
}

// CutAfter stores the first n bytes of the body, then closes the connection.
func CutAfter(n int64) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		r.Body = &shortBody{ReadCloser: r.Body, left: n}
		h.serve(mute{}, r)
		cut(w)
	}
}

// LoseResponse lets the server do all its work, then closes the connection
// instead of answering.
func LoseResponse() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.serve(mute{}, r)
		cut(w)
	}
}

// AcceptOnly stores the first n bytes of the body, reads the rest and drops it,
// and answers with the offset that results: a short write.
func AcceptOnly(n int64) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		whole := r.Body
		r.Body = io.NopCloser(io.LimitReader(whole, n))
		h.serve(w, r)
		io.Copy(io.Discard, whole)
	}
}

// Stall neither reads nor answers until the client or the server is gone. That the
// client is gone shows only where the body was read, or there is none.
func Stall() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.waitForEnd(r)
		cut(w)
	}
}

// StallAfter stores the first n bytes of the body and then does nothing more
// until the server is gone, or the client if that was all.
func StallAfter(n int64) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		r.Body = &shortBody{ReadCloser: r.Body, left: n}
		h.serve(mute{}, r)
		h.waitForEnd(r)
		cut(w)
	}
}

// Delay waits before the server does its work.
func Delay(d time.Duration) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			h.serve(w, r)
		case <-r.Context().Done():
			cut(w)
		case <-h.closing:
			cut(w)
		}
	}
}

func (h *Handler) waitForEnd(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-h.closing:
	}
}

// cut closes the connection of w without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or nothing to hijack
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) // a reset, as from a machine that crashed
	}
	conn.Close()
}

// shortBody ends with an error after left bytes.
type shortBody struct {
	io.ReadCloser
	left int64
}

func (b *shortBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("cut")
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// mute swallows an answer.
type mute struct{}

func (mute) Header() http.Header         { return http.Header{} }
func (mute) Write(p []byte) (int, error) { return len(p), nil }
func (mute) WriteHeader(int)             {}

// headerWriter changes header fields or the status before they go out.
type headerWriter struct {
	http.ResponseWriter
	replace []string
	status  int
}

func (w *headerWriter) WriteHeader(status int) {
	for i := 0; i+1 < len(w.replace); i += 2 {
		w.Header().Del(w.replace[i])
	}
	for i := 0; i+1 < len(w.replace); i += 2 {
		if w.replace[i+1] != "" {
			w.Header().Add(w.replace[i], w.replace[i+1])
		}
	}
	if w.status != 0 {
		status = w.status
	}
	w.ResponseWriter.WriteHeader(status)
}

// statusWriter remembers the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// countingBody counts what is read of a body.
type countingBody struct {
	io.ReadCloser
	n int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

func (h *Handler) begin(r *http.Request) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = append(h.log, Request{Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone()})
	h.open++
	h.maxOpen = max(h.maxOpen, h.open)
	return len(h.log) - 1
}

func (h *Handler) end(n int, body int64, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log[n].Body, h.log[n].Status = body, status
	h.open--
}

package tustest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Fault replaces the server's handling of certain requests.
type Fault struct {
	// Method selects requests by their method; "" means all.
	Method string
	// From, if positive, selects requests with at least this Upload-Offset.
	From int64
	// Skip is the number of selected requests that are handled normally first.
	Skip int
	// Times is the number of requests that get Action after that. 0 means one, a
	// negative value all.
	Times int
	// Action handles the request instead of the server.
	Action Action
}

// Action handles a request instead of the server. It may call [Handler.Serve].
type Action func(w http.ResponseWriter, r *http.Request, h *Handler)

// Inject adds faults. Each request gets the first fault that selects it and is not
// used up.
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

// Serve handles a request without faults. It is for use in an Action.
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

// Respond responds with a status, header fields and a body. header alternates names
// and values. The request's body is not read.
func Respond(status int, body string, header ...string) Action {
	return func(w http.ResponseWriter, _ *http.Request, _ *Handler) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// RespondAfter is [Respond], but it reads and discards the request's body first.
func RespondAfter(status int, body string, header ...string) Action {
	respond := Respond(status, body, header...)
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		io.Copy(io.Discard, r.Body)
		respond(w, r, h)
	}
}

// SetHeader lets the server handle the request and replaces header fields of the
// response. header alternates names and values; an empty value removes the field.
func SetHeader(header ...string) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.serve(&headerWriter{ResponseWriter: w, replace: header}, r)
	}
}

// SetStatus lets the server handle the request, but replaces the status.
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

// LoseResponse lets the server handle the request, then closes the connection
// without a response.
func LoseResponse() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.serve(mute{}, r)
		cut(w)
	}
}

// AcceptOnly stores the first n bytes of the body, discards the rest, and responds
// with the resulting offset: a short write.
func AcceptOnly(n int64) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		whole := r.Body
		r.Body = io.NopCloser(io.LimitReader(whole, n))
		h.serve(w, r)
		io.Copy(io.Discard, whole)
	}
}

// Stall neither reads nor responds until the client disconnects or the server is
// closed. It notices that the client disconnects only if the request has no body or
// the body was read.
func Stall() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.waitForEnd(r)
		cut(w)
	}
}

// StallAfter stores the first n bytes of the body and then stalls until the server
// is closed, or the client disconnects if n bytes are the whole body.
func StallAfter(n int64) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		r.Body = &shortBody{ReadCloser: r.Body, left: n}
		h.serve(mute{}, r)
		h.waitForEnd(r)
		cut(w)
	}
}

// Delay waits before the server handles the request.
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

// cut closes the connection of w without a response.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or nothing to hijack
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) // sends a reset
	}
	conn.Close()
}

// shortBody returns an error after left bytes.
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

// mute discards a response.
type mute struct{}

func (mute) Header() http.Header         { return http.Header{} }
func (mute) Write(p []byte) (int, error) { return len(p), nil }
func (mute) WriteHeader(int)             {}

// headerWriter replaces header fields and the status before they are sent.
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

// statusWriter records the status for the log.
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

// countingBody counts the bytes read of a body.
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

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

// Action handles a request instead of the server. It may call [Handler.Serve]. The
// context of the request is done when the client disconnects, which net/http notices
// only if the request has no body or the body was read, and after [Handler.Release].
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

// pick returns the fault for a request, or nil.
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

// SetHeader lets the server handle the request and replaces header fields of the
// response. header alternates names and values; an empty value removes the field.
func SetHeader(header ...string) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.Serve(&headerWriter{ResponseWriter: w, replace: header}, r)
	}
}

// headerWriter replaces header fields before they are sent.
type headerWriter struct {
	http.ResponseWriter
	replace []string
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
	w.ResponseWriter.WriteHeader(status)
}

// CutBefore closes the connection before anything is stored.
func CutBefore() Action {
	return func(w http.ResponseWriter, _ *http.Request, _ *Handler) { cut(w) }
}

// CutAfter stores the first n bytes of the body, then closes the connection. Interim
// responses are sent.
func CutAfter(n int64) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		r.Body = &shortBody{ReadCloser: r.Body, left: n}
		h.Serve(newInterimWriter(w), r)
		cut(w)
	}
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

// LoseResponse lets the server handle the request, then closes the connection
// without a final response.
func LoseResponse() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.Serve(newInterimWriter(w), r)
		cut(w)
	}
}

// Stall neither reads nor responds until the context of the request is done.
func Stall() Action {
	return func(w http.ResponseWriter, r *http.Request, _ *Handler) {
		<-r.Context().Done()
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
			h.Serve(w, r)
		case <-r.Context().Done():
			cut(w)
		}
	}
}

// headerWriter and other writers are unwrapped for deadlines and hijacking.
func (w *headerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

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

package tustest

import (
	"io"
	"net/http"
	"strconv"
)

// These actions are faults and events of the IETF draft. Those with next, which may be nil
// for no other fault, can be combined with an action for the rest of the request.

func (a Action) orServe() Action {
	if a != nil {
		return a
	}
	return func(w http.ResponseWriter, r *http.Request, h *Handler) { h.Serve(w, r) }
}

// LoseNotices drops all interim responses, like a proxy that does not forward them.
func LoseNotices(next Action) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		next.orServe()(finalWriter{w}, r, h)
	}
}

// finalWriter drops interim responses.
type finalWriter struct{ http.ResponseWriter }

func (w finalWriter) WriteHeader(status int) {
	if status >= 200 {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w finalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// interimWriter sends interim responses only.
type interimWriter struct {
	http.ResponseWriter
	header http.Header // of the response that is dropped
	final  bool        // the final response began
}

func newInterimWriter(w http.ResponseWriter) *interimWriter {
	return &interimWriter{ResponseWriter: w, header: http.Header{}}
}

func (w *interimWriter) Header() http.Header { return w.header }

func (w *interimWriter) Write(p []byte) (int, error) { w.final = true; return len(p), nil }

func (w *interimWriter) WriteHeader(status int) {
	if w.final = w.final || status >= 200; w.final {
		return
	}
	to := w.ResponseWriter.Header()
	clear(to)
	for name, values := range w.header {
		to[name] = values
	}
	w.ResponseWriter.WriteHeader(status)
	clear(to)
}

func (w *interimWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Notify sends a 104 with the offset after every bytes of the content, once they are stored,
// but not at the end of content of known length. every must be positive. Versions before 5 and [DialectMute] have no such 104.
func Notify(every int64, next Action) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		if e, ok := h.exchange(w, r); ok && e.version >= 5 && !e.is(DialectMute) {
			at, _, _ := e.size("Upload-Offset")
			r.Body = &notifyingBody{ReadCloser: r.Body, w: w, interop: e.interop, every: every, at: at, left: every}
		}
		next.orServe()(w, r, h)
	}
}

// notifyingBody sends a 104 when the bytes before it are stored, which is when the next ones
// are read.
type notifyingBody struct {
	io.ReadCloser
	w           http.ResponseWriter
	interop     int
	every, left int64
	at          int64
}

func (b *notifyingBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		inform(b.w, b.interop, "Upload-Offset", strconv.FormatInt(b.at, 10))
		b.left = b.every
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.at += int64(n)
	b.left -= int64(n)
	return n, err
}

// MoveLocation replaces Location in the final response, after a 104 with the right one.
func MoveLocation(location string, next Action) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		next.orServe()(&changingWriter{ResponseWriter: w, change: func(status int) (int, bool) {
			if w.Header().Get("Location") != "" {
				w.Header().Set("Location", location)
			}
			return status, false
		}}, r, h)
	}
}

// Finish lets the server handle the request. If that completes the upload, the response is
// that of the target: the status, header fields and body, with Upload-Complete: ?1. A status
// from 400 on rejects the upload. header alternates names and values. [Respond] with
// Upload-Complete rejects an upload before its content was read.
func Finish(status int, body string, header ...string) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.Serve(&changingWriter{ResponseWriter: w, body: body, change: func(served int) (int, bool) {
			yes, _ := readBoolean(w.Header().Values(headerComplete))
			no, err := readBoolean(w.Header().Values(headerIncomplete))
			if !yes && (no || err != nil) {
				return served, false
			}
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			return status, true
		}}, r)
	}
}

// changingWriter changes the final response.
type changingWriter struct {
	http.ResponseWriter
	// change changes the header, and returns the status and whether body is the body.
	change   func(status int) (newStatus int, replace bool)
	body     string
	started  bool
	replaced bool
}

func (w *changingWriter) WriteHeader(status int) {
	if status < 200 || w.started {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.started = true
	status, w.replaced = w.change(status)
	w.ResponseWriter.WriteHeader(status)
	if w.replaced {
		io.WriteString(w.ResponseWriter, w.body)
	}
}

func (w *changingWriter) Write(p []byte) (int, error) {
	if w.replaced {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

func (w *changingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

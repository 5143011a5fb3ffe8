package tustest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Inform sends an interim answer (a status from 102 to 199, with header fields
// given as name and value in turn) so many times, and then lets the server do
// its work. The fields are not repeated in the final answer.
func Inform(times, status int, header ...string) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		for range times {
			w.WriteHeader(status)
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Del(header[i])
		}
		h.serve(w, r)
	}
}

// RespondEarly is [Respond], but the answer leaves before the body has come,
// which is then read and dropped.
func RespondEarly(status int, body string, header ...string) Action {
	respond := Respond(status, body, header...)
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		leaveEarly(w, r, func(w http.ResponseWriter) { respond(w, r, h) })
	}
}

// AcceptEarly stores the first n bytes of the body and answers with the offset
// that results while the rest is still to come. The rest is read and dropped.
func AcceptEarly(n int64) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		whole := r.Body
		leaveEarly(w, r, func(w http.ResponseWriter) {
			part := *r
			part.Body = io.NopCloser(io.LimitReader(whole, n))
			h.serve(w, &part)
		})
	}
}

// leaveEarly sends an answer at once and whole, and reads the body after it.
func leaveEarly(w http.ResponseWriter, r *http.Request, answer func(http.ResponseWriter)) {
	recorded := &recordedAnswer{header: w.Header(), status: http.StatusOK}
	answer(recorded)
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // else net/http reads the body first
	if recorded.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(recorded.body.Len()))
	}
	w.WriteHeader(recorded.status)
	w.Write(recorded.body.Bytes())
	_ = control.Flush()
	io.Copy(io.Discard, r.Body)
}

// Redirect reads the body and answers with a redirect to the same path of
// another origin, such as "https://example.org", with "?redirected" added. ""
// is the same origin, for which the Location is a path alone.
func Redirect(status int, origin string) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		RespondAfter(status, "", "Location", strings.TrimSuffix(origin, "/")+r.URL.Path+"?redirected")(w, r, h)
	}
}

// AnswerSlowly lets the server do its work and sends the answer, from its
// status line on, n bytes at a time with a pause before each.
func AnswerSlowly(n int, pause time.Duration) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.answerByHand(w, r, func(conn net.Conn, answer []byte) {
			for len(answer) > 0 && h.pause(r, pause) {
				some := min(max(1, n), len(answer))
				if _, err := conn.Write(answer[:some]); err != nil {
					return
				}
				answer = answer[some:]
			}
		})
	}
}

// CutAnswer lets the server do its work, sends the first n bytes of the answer,
// counted from its status line on, and closes the connection.
func CutAnswer(n int) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.answerByHand(w, r, func(conn net.Conn, answer []byte) {
			conn.Write(answer[:min(max(0, n), len(answer))])
		})
	}
}

// AnswerTwice lets the server do its work and sends the answer two times, so
// that the second may be taken for the answer to the request that follows.
func AnswerTwice() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.answerByHand(w, r, func(conn net.Conn, answer []byte) {
			conn.Write(bytes.Repeat(answer, 2))
			h.waitForRequest(conn)
		})
	}
}

// AnswerRaw reads the body, drops it, and sends text as it is, which need not be
// HTTP, before it closes the connection.
func AnswerRaw(text string) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer conn.Close()
		io.WriteString(conn, text)
	}
}

// EndlessAnswer lets the server do its work and then sends a body in chunks that
// never ends. A 204, which has no body, becomes a 200. The answer to a HEAD is
// not changed.
func EndlessAnswer() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		answer := &recordedAnswer{header: w.Header(), status: http.StatusOK}
		h.serve(answer, r)
		if r.Method == http.MethodHead {
			w.WriteHeader(answer.status)
			return
		}
		if answer.status == http.StatusNoContent {
			answer.status = http.StatusOK
		}
		w.WriteHeader(answer.status)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 16<<10)); err != nil {
				return
			}
		}
	}
}

// EndlessHeader lets the server do its work and then sends a header that never
// ends.
func EndlessHeader() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.answerByHand(w, r, func(conn net.Conn, answer []byte) {
			head, _, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
			_, err := conn.Write(append(head, "\r\n"...))
			for i := 0; err == nil; i++ {
				_, err = fmt.Fprintf(conn, "X-%d: %01000d\r\n", i, i)
			}
		})
	}
}

// answerByHand lets the server do its work and gives the answer, as it would go
// over an HTTP/1 connection, to write together with that connection, which is
// closed afterwards.
func (h *Handler) answerByHand(w http.ResponseWriter, r *http.Request, write func(conn net.Conn, answer []byte)) {
	recorded := &recordedAnswer{header: http.Header{}, status: http.StatusOK}
	h.serve(recorded, r)
	if log, ok := w.(*statusWriter); ok {
		log.status = recorded.status
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or nothing to hijack
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	write(conn, recorded.bytes(r))
}

// waitForRequest waits until the client sends something more, or is gone.
func (h *Handler) waitForRequest(conn net.Conn) {
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-h.closing:
			conn.Close()
		case <-over:
		}
	}()
	conn.Read(make([]byte, 1))
}

// pause waits. It is false if the client or the server is gone.
func (h *Handler) pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-h.closing:
	}
	return false
}

// recordedAnswer keeps an answer for later.
type recordedAnswer struct {
	header  http.Header
	status  int
	decided bool
	body    bytes.Buffer
}

func (a *recordedAnswer) Header() http.Header { return a.header }

func (a *recordedAnswer) WriteHeader(status int) {
	if !a.decided && status >= 200 {
		a.status, a.decided = status, true
	}
}

func (a *recordedAnswer) Write(p []byte) (int, error) {
	a.decided = true
	return a.body.Write(p)
}

// bytes is the answer as HTTP/1.1 writes it.
func (a *recordedAnswer) bytes(r *http.Request) []byte {
	var b bytes.Buffer
	resp := http.Response{
		StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: a.header, Request: r,
		Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()),
	}
	_ = resp.Write(&b) // to memory
	return b.Bytes()
}

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

// Inform sends an interim response (a status from 102 to 199) the given number of
// times before the server handles the request. header alternates names and values
// of fields, which are not repeated in the final response.
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

// RespondEarly is [Respond], but it sends the response before it reads the body,
// which it discards.
func RespondEarly(status int, body string, header ...string) Action {
	respond := Respond(status, body, header...)
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		respondFirst(w, r, func(w http.ResponseWriter) { respond(w, r, h) })
	}
}

// AcceptEarly stores the first n bytes of the body and responds with the resulting
// offset before it reads the rest, which it discards.
func AcceptEarly(n int64) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		whole := r.Body
		respondFirst(w, r, func(w http.ResponseWriter) {
			part := *r
			part.Body = io.NopCloser(io.LimitReader(whole, n))
			h.serve(w, &part)
		})
	}
}

// respondFirst sends a complete response, and reads the body after it.
func respondFirst(w http.ResponseWriter, r *http.Request, respond func(http.ResponseWriter)) {
	recorded := &recordedResponse{header: w.Header(), status: http.StatusOK}
	respond(recorded)
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

// Redirect reads the body and responds with a redirect to the same path at another
// origin, such as "https://example.org", with the query "redirected". If origin is
// empty, Location is a path on the same origin.
func Redirect(status int, origin string) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		RespondAfter(status, "", "Location", strings.TrimSuffix(origin, "/")+r.URL.Path+"?redirected")(w, r, h)
	}
}

// AnswerSlowly lets the server handle the request and sends the response, including
// its status line, n bytes at a time with a pause before each.
func AnswerSlowly(n int, pause time.Duration) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.hijackResponse(w, r, func(conn net.Conn, response []byte) {
			for len(response) > 0 && h.pause(r, pause) {
				some := min(max(1, n), len(response))
				if _, err := conn.Write(response[:some]); err != nil {
					return
				}
				response = response[some:]
			}
		})
	}
}

// CutAnswer lets the server handle the request, sends the first n bytes of the
// response, including its status line, and closes the connection.
func CutAnswer(n int) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.hijackResponse(w, r, func(conn net.Conn, response []byte) {
			conn.Write(response[:min(max(0, n), len(response))])
		})
	}
}

// AnswerTwice lets the server handle the request and sends the response twice. A
// client may mistake the second one for the response to its next request.
func AnswerTwice() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.hijackResponse(w, r, func(conn net.Conn, response []byte) {
			conn.Write(bytes.Repeat(response, 2))
			h.waitForRequest(conn)
		})
	}
}

// AnswerRaw discards the body, sends text, which need not be HTTP, and closes the
// connection.
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

// EndlessAnswer lets the server handle the request and then sends an endless chunked
// body. A 204, which has no body, becomes a 200. The response to a HEAD is
// unchanged.
func EndlessAnswer() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		response := &recordedResponse{header: w.Header(), status: http.StatusOK}
		h.serve(response, r)
		if r.Method == http.MethodHead {
			w.WriteHeader(response.status)
			return
		}
		if response.status == http.StatusNoContent {
			response.status = http.StatusOK
		}
		w.WriteHeader(response.status)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 16<<10)); err != nil {
				return
			}
		}
	}
}

// EndlessHeader lets the server handle the request and then sends an endless header.
func EndlessHeader() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.hijackResponse(w, r, func(conn net.Conn, response []byte) {
			head, _, _ := bytes.Cut(response, []byte("\r\n\r\n"))
			_, err := conn.Write(append(head, "\r\n"...))
			for i := 0; err == nil; i++ {
				_, err = fmt.Fprintf(conn, "X-%d: %01000d\r\n", i, i)
			}
		})
	}
}

// hijackResponse lets the server handle the request and calls write with the
// connection and the response as HTTP/1.1 bytes. It closes the connection
// afterwards.
func (h *Handler) hijackResponse(w http.ResponseWriter, r *http.Request, write func(conn net.Conn, response []byte)) {
	recorded := &recordedResponse{header: http.Header{}, status: http.StatusOK}
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

// waitForRequest waits until the client sends a byte or closes the connection.
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

// pause waits for d. It returns false if the client disconnects or the server is
// closed.
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

// recordedResponse records a response.
type recordedResponse struct {
	header  http.Header
	status  int
	decided bool
	body    bytes.Buffer
}

func (a *recordedResponse) Header() http.Header { return a.header }

func (a *recordedResponse) WriteHeader(status int) {
	if !a.decided && status >= 200 {
		a.status, a.decided = status, true
	}
}

func (a *recordedResponse) Write(p []byte) (int, error) {
	a.decided = true
	return a.body.Write(p)
}

// bytes returns the response as HTTP/1.1 bytes.
func (a *recordedResponse) bytes(r *http.Request) []byte {
	var b bytes.Buffer
	resp := http.Response{
		StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: a.header, Request: r,
		Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()),
	}
	_ = resp.Write(&b) // to memory
	return b.Bytes()
}

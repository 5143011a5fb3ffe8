package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// RespondAfter is [tustest.Respond], but it reads and discards the request's body first.
func RespondAfter(status int, text string, header ...string) tustest.Action {
	respond := tustest.Respond(status, text, header...)
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		io.Copy(io.Discard, r.Body)
		respond(w, r, h)
	}
}

// RespondEarly is [tustest.Respond], but it sends the response before it reads the body,
// which it discards.
func RespondEarly(status int, text string, header ...string) tustest.Action {
	respond := tustest.Respond(status, text, header...)
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		respondFirst(w, r, func(w http.ResponseWriter) { respond(w, r, h) })
	}
}

// respondFirst sends a complete response, and reads the body after it.
func respondFirst(w http.ResponseWriter, r *http.Request, respond func(http.ResponseWriter)) {
	recorded := httptest.NewRecorder()
	respond(recorded)
	maps.Copy(w.Header(), recorded.Header())
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // else net/http reads the body first
	if recorded.Code != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(recorded.Body.Len()))
	}
	w.WriteHeader(recorded.Code)
	w.Write(recorded.Body.Bytes())
	_ = control.Flush()
	io.Copy(io.Discard, r.Body)
}

// SetStatus lets the server handle the request, but replaces the status.
func SetStatus(status int) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Serve(statusWriter{w, status}, r)
	}
}

// statusWriter replaces the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w statusWriter) WriteHeader(int) { w.ResponseWriter.WriteHeader(w.status) }

// Inform sends an interim response (a status from 102 to 199) the given number of
// times before the server handles the request. header alternates names and values
// of fields, which are not repeated in the final response.
func Inform(times, status int, header ...string) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		for range times {
			w.WriteHeader(status)
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Del(header[i])
		}
		h.Serve(w, r)
	}
}

// Redirect reads the body and responds with a redirect to the same path at another
// origin, such as "https://example.org", with the query "redirected". If origin is
// empty, Location is a path on the same origin.
func Redirect(status int, origin string) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		RespondAfter(status, "", "Location", strings.TrimSuffix(origin, "/")+r.URL.Path+"?redirected")(w, r, h)
	}
}

// RespondSlowly lets the server handle the request and sends the response, including
// its status line, n bytes at a time with a pause before each.
func RespondSlowly(n int, wait time.Duration) tustest.Action {
	return raw(func(conn net.Conn, r *http.Request, response []byte) {
		for len(response) > 0 && pause(r, wait) {
			some := min(max(1, n), len(response))
			if _, err := conn.Write(response[:some]); err != nil {
				return
			}
			response = response[some:]
		}
	})
}

// CutResponse lets the server handle the request, sends the first n bytes of the
// response, including its status line, and closes the connection.
func CutResponse(n int) tustest.Action {
	return raw(func(conn net.Conn, _ *http.Request, response []byte) {
		conn.Write(response[:min(max(0, n), len(response))])
	})
}

// RespondTwice lets the server handle the request and sends the response twice. A
// client may mistake the second one for the response to its next request.
func RespondTwice() tustest.Action {
	return raw(func(conn net.Conn, r *http.Request, response []byte) {
		conn.Write(bytes.Repeat(response, 2))
		defer context.AfterFunc(r.Context(), func() { conn.Close() })()
		conn.Read(make([]byte, 1)) // until the client sends a byte or closes the connection
	})
}

// EditResponse lets the server handle the request, and sends its response with the lines of the
// header as edit returns them, which net/http need not allow. It closes the connection.
func EditResponse(edit func(line string) string) tustest.Action {
	return raw(func(conn net.Conn, _ *http.Request, response []byte) {
		header, body, _ := bytes.Cut(response, []byte("\r\n\r\n"))
		lines := strings.Split(string(header), "\r\n")
		for i := range lines {
			lines[i] = edit(lines[i])
		}
		lines = append(lines, "Connection: close", "", "")
		io.WriteString(conn, strings.Join(lines, "\r\n"))
		conn.Write(body)
	})
}

// RespondRaw discards the body, sends text, which need not be HTTP, and closes the
// connection.
func RespondRaw(text string) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
		io.Copy(io.Discard, r.Body)
		conn := hijack(w)
		defer conn.Close()
		io.WriteString(conn, text)
	}
}

// EndlessBody lets the server handle the request and then sends an endless chunked
// body. A 204, which has no body, becomes a 200. The response to a HEAD is
// unchanged.
func EndlessBody() tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		recorded := httptest.NewRecorder()
		h.Serve(recorded, r)
		maps.Copy(w.Header(), recorded.Header())
		if r.Method == http.MethodHead {
			w.WriteHeader(recorded.Code)
			return
		}
		if recorded.Code == http.StatusNoContent {
			recorded.Code = http.StatusOK
		}
		w.WriteHeader(recorded.Code)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 16<<10)); err != nil {
				return
			}
		}
	}
}

// EndlessHeader lets the server handle the request and then sends an endless header.
func EndlessHeader() tustest.Action {
	return raw(func(conn net.Conn, _ *http.Request, response []byte) {
		head, _, _ := bytes.Cut(response, []byte("\r\n\r\n"))
		_, err := conn.Write(append(head, "\r\n"...))
		for i := 0; err == nil; i++ {
			_, err = fmt.Fprintf(conn, "X-%d: %01000d\r\n", i, i)
		}
	})
}

// raw lets the server handle the request and calls write with the connection and the
// response as HTTP/1.1 bytes. It closes the connection afterwards.
func raw(write func(conn net.Conn, r *http.Request, response []byte)) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		recorded := httptest.NewRecorder()
		h.Serve(recorded, r)
		resp := recorded.Result()
		resp.Request, resp.ContentLength = r, int64(recorded.Body.Len())
		var b bytes.Buffer
		_ = resp.Write(&b) // to memory
		conn := hijack(w)
		defer conn.Close()
		write(conn, r, b.Bytes())
	}
}

func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or nothing to hijack
		panic(http.ErrAbortHandler)
	}
	return conn
}

// pause waits for d. It returns false if the context of the request is done.
func pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

package tustest

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// FlipBit inverts one bit of the byte at offset n of the body before the server
// handles the request. Only a checksum detects it. A shorter body is unchanged.
func FlipBit(n int64) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		r.Body = &corruptBody{ReadCloser: r.Body, left: n}
		h.serve(w, r)
	}
}

// corruptBody inverts the lowest bit of the byte after the next left bytes.
type corruptBody struct {
	io.ReadCloser
	left int64
}

func (b *corruptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if 0 <= b.left && b.left < int64(n) {
		p[b.left] ^= 1
	}
	b.left -= int64(n)
	return n, err
}

// RefuseAlgorithm reads the body and responds with 400 if its checksum, in a header
// or trailer, uses one of these algorithms. Other requests are handled. Use it for
// algorithms that the server advertises in Tus-Checksum-Algorithm.
func RefuseAlgorithm(names ...string) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			cut(w)
			return
		}
		value := r.Header.Get("Upload-Checksum")
		if value == "" {
			value = r.Trailer.Get("Upload-Checksum")
		}
		if name, _, _ := strings.Cut(value, " "); slices.Contains(names, name) {
			http.Error(w, "checksum algorithm "+name+" is not supported", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.serve(w, r)
	}
}

// ReadSlowly lets the server handle the request, but reads n bytes of the body at a
// time with a pause before each.
func ReadSlowly(n int, pause time.Duration) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		r.Body = &slowBody{ReadCloser: r.Body, n: max(1, n), pause: func() bool { return h.pause(r, pause) }}
		h.serve(w, r)
	}
}

// slowBody reads at most n bytes at a time, after a pause.
type slowBody struct {
	io.ReadCloser
	n     int
	pause func() bool
}

func (b *slowBody) Read(p []byte) (int, error) {
	if !b.pause() {
		return 0, io.ErrUnexpectedEOF
	}
	return b.ReadCloser.Read(p[:min(len(p), b.n)])
}

// Rewind truncates the upload to its first n bytes, as [Handler.Truncate] does,
// before the server handles the request.
func Rewind(n int64) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.Truncate(r.URL.Path, n)
		h.serve(w, r)
	}
}

// Vanish deletes the upload, as [Handler.Forget] does, before the server handles the
// request: the response to this and all further requests is 410.
func Vanish() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.Forget(r.URL.Path)
		h.serve(w, r)
	}
}

package tustest

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// FlipBit inverts one bit of the byte at offset n of the body on its way to the
// server, which notices it only by a checksum. A shorter body is not changed.
func FlipBit(n int64) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		r.Body = &damagedBody{ReadCloser: r.Body, left: n}
		h.serve(w, r)
	}
}

// damagedBody inverts the lowest bit of the byte that comes after left others.
type damagedBody struct {
	io.ReadCloser
	left int64
}

func (b *damagedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if 0 <= b.left && b.left < int64(n) {
		p[b.left] ^= 1
	}
	b.left -= int64(n)
	return n, err
}

// RefuseAlgorithm reads the body, and answers with 400 if its checksum is by one
// of these algorithms, in a header or a trailer. Other requests are served.
// Together with the names in Tus-Checksum-Algorithm it makes a server that does
// not keep what it promises.
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

// ReadSlowly serves, but reads only n bytes of the body at a time, with a pause
// before each.
func ReadSlowly(n int, pause time.Duration) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		r.Body = &slowBody{ReadCloser: r.Body, n: max(1, n), pause: func() bool { return h.pause(r, pause) }}
		h.serve(w, r)
	}
}

// slowBody reads at most n bytes at a time.
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

// Rewind makes the server lose all but the first n bytes of the upload, as
// [Handler.Truncate] does, before it serves: its offset goes back.
func Rewind(n int64) Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.Truncate(r.URL.Path, n)
		h.serve(w, r)
	}
}

// Vanish makes the server forget the upload, as [Handler.Forget] does, before it
// serves: this request and all that follow are answered with 410.
func Vanish() Action {
	return func(w http.ResponseWriter, r *http.Request, h *Handler) {
		h.Forget(r.URL.Path)
		h.serve(w, r)
	}
}

package faults

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// body is a request body with another Read.
type body struct {
	io.Closer
	read func(p []byte) (int, error)
}

func (b body) Read(p []byte) (int, error) { return b.read(p) }

// FlipBit inverts one bit of the byte at offset n of the body before the server
// handles the request. Only a checksum detects it. A shorter body is unchanged.
func FlipBit(n int64) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		intact, left := r.Body, n
		r.Body = body{intact, func(p []byte) (int, error) {
			n, err := intact.Read(p)
			if 0 <= left && left < int64(n) {
				p[left] ^= 1
			}
			left -= int64(n)
			return n, err
		}}
		h.Serve(w, r)
	}
}

// ReadSlowly lets the server handle the request, but reads n bytes of the body at a
// time with a pause before each.
func ReadSlowly(n int, wait time.Duration) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		fast := r.Body
		r.Body = body{fast, func(p []byte) (int, error) {
			if !pause(r, wait) {
				return 0, io.ErrUnexpectedEOF
			}
			return fast.Read(p[:min(len(p), max(1, n))])
		}}
		h.Serve(w, r)
	}
}

// StallAfter stores the first n bytes of the body and then neither reads nor responds
// until the context of the request is done.
func StallAfter(n int64) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		whole, left := r.Body, n
		r.Body = body{whole, func(p []byte) (int, error) {
			if left <= 0 {
				return 0, errors.New("stalled")
			}
			n, err := whole.Read(p[:min(int64(len(p)), left)])
			left -= int64(n)
			return n, err
		}}
		h.Serve(httptest.NewRecorder(), r)
		tustest.Stall()(w, r, h)
	}
}

// AcceptOnly stores the first n bytes of the body, discards the rest, and responds
// with the resulting offset: a short write.
func AcceptOnly(n int64) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		whole := r.Body
		r.Body = io.NopCloser(io.LimitReader(whole, n))
		h.Serve(w, r)
		io.Copy(io.Discard, whole)
	}
}

// AcceptEarly stores the first n bytes of the body and responds with the resulting
// offset before it reads the rest, which it discards.
func AcceptEarly(n int64) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		respondFirst(w, r, func(w http.ResponseWriter) {
			part := *r
			part.Body = io.NopCloser(io.LimitReader(r.Body, n))
			h.Serve(w, &part)
		})
	}
}

// RefuseAlgorithm reads the body and responds with 400 if its checksum, in a header
// or trailer, uses one of these algorithms. Other requests are handled. Use it for
// algorithms that the server advertises in Tus-Checksum-Algorithm.
func RefuseAlgorithm(names ...string) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			tustest.CutBefore()(w, r, h)
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
		r.Body = io.NopCloser(bytes.NewReader(data))
		h.Serve(w, r)
	}
}

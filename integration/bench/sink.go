package main

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
)

// sink is a tus server that discards all bytes. It keeps no state of an upload and
// accepts a PATCH at any offset.
type sink struct {
	uploads atomic.Int64
	sums    map[string]string // by Upload-Offset, the Upload-Checksum; nil for none
}

// newSink computes the expected checksums, before anything is measured.
func newSink(file string, chunk int64) (*sink, error) {
	s := &sink{}
	if file == "" {
		return s, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s.sums = map[string]string{}
	for offset := int64(0); ; offset += chunk {
		h := sha1.New()
		n, err := io.CopyN(h, f, chunk)
		if n > 0 {
			s.sums[strconv.FormatInt(offset, 10)] = sha1Header(h.Sum(nil))
		}
		switch {
		case err == io.EOF:
			return s, nil
		case err != nil:
			return nil, err
		}
	}
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Tus-Resumable", "1.0.0")
	switch r.Method {
	case http.MethodOptions:
		header.Set("Tus-Version", "1.0.0")
		header.Set("Tus-Extension", "creation,creation-with-upload")
		if s.sums != nil {
			header.Set("Tus-Extension", "creation,creation-with-upload,checksum")
			header.Set("Tus-Checksum-Algorithm", "sha1")
		}
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPost:
		n, err := discard(r)
		if err != nil {
			return
		}
		header.Set("Location", fmt.Sprint("http://", r.Host, basePath, s.uploads.Add(1)))
		header.Set("Upload-Offset", strconv.FormatInt(n, 10))
		w.WriteHeader(http.StatusCreated)
	case http.MethodPatch:
		s.patch(w, r)
	default: // the sink keeps no state for HEAD
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (s *sink) patch(w http.ResponseWriter, r *http.Request) {
	n, err := discard(r)
	if err != nil {
		return
	}
	const checksumMismatch = 460
	at := r.Header.Get("Upload-Offset")
	if s.sums != nil && (s.sums[at] == "" || s.sums[at] != r.Header.Get("Upload-Checksum")) {
		w.WriteHeader(checksumMismatch)
		return
	}
	offset, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Upload-Offset", strconv.FormatInt(offset+n, 10))
	w.WriteHeader(http.StatusNoContent)
}

// discardSize is the buffer size for large bodies.
const discardSize = 1 << 20

// discard reads a body with a large buffer, so that bench measures the client.
func discard(r *http.Request) (total int64, err error) {
	size := int64(discardSize)
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength+1) // room to see the end
	}
	buf := make([]byte, size)
	for {
		n, err := r.Body.Read(buf)
		total += int64(n)
		switch {
		case errors.Is(err, io.EOF):
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

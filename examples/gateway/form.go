package main

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/seed-175555ba/tus-go/tus"
)

const (
	// maxField is the maximum size in bytes of a text field, and of the file name.
	maxField = 4 << 10
	// maxHead is the maximum number of bytes before the file, and after it. mime/multipart
	// would read 10 MiB of headers into memory.
	maxHead = 64 << 10
)

// form is a multipart form that is read while it arrives. Read returns the bytes of its
// file, and io.EOF only if the whole form is valid. It is used by one goroutine.
type form struct {
	*body    // its SetReadDeadline lets the upload end a Read
	parts    *multipart.Reader
	file     *multipart.Part
	filename string
	metadata tus.Metadata
	received atomic.Int64 // bytes of the file

	over chan struct{} // closed when the form was read completely, or failed
	err  error         // reason of the failure; set before over is closed
	end  error         // result of further calls of Read
}

// openForm reads a form up to its file.
func openForm(b *body, r *http.Request) (*form, error) {
	if r.ContentLength > b.limit {
		return nil, errFormTooLarge
	}
	r.Body = b
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, &refusal{http.StatusUnsupportedMediaType, "the content type must be multipart/form-data"}
	}
	f := &form{body: b, parts: parts, metadata: tus.Metadata{}, over: make(chan struct{})}
	b.allow(maxHead, b.headTimeout)
	for f.file == nil {
		part, err := parts.NextPart()
		switch {
		case err == io.EOF:
			return nil, &refusal{http.StatusBadRequest, "the form has no file"}
		case err != nil:
			return nil, f.refusal(err)
		case len(part.FileName()) > maxField:
			return nil, errHead
		case part.FileName() != "":
			f.setFile(part)
		case part.FormName() == "": // cannot be stored
		default:
			value, err := io.ReadAll(io.LimitReader(part, maxField+1))
			if err != nil {
				return nil, f.refusal(err)
			}
			if len(value) > maxField {
				return nil, errHead
			}
			f.metadata[part.FormName()] = string(value)
		}
	}
	return f, nil
}

// setFile sets the part with the file.
func (f *form) setFile(part *multipart.Part) {
	f.file, f.filename = part, part.FileName()
	f.metadata["filename"] = f.filename
	if kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type")); err == nil {
		f.metadata["filetype"] = kind
	}
	f.allow(noLimit, 0)
}

// Read returns bytes of the file.
func (f *form) Read(p []byte) (int, error) {
	if f.end != nil {
		return 0, f.end
	}
	n, err := f.file.Read(p)
	f.received.Add(int64(n))
	if err == nil {
		return n, nil
	}
	if f.interrupted.Load() { // the upload has already failed
		if err == io.EOF {
			err = errClosing // the rest of the form was not read
		}
		return n, err
	}
	if err == io.EOF {
		err = f.finish()
	}
	if err != io.EOF {
		f.err = f.refusal(err)
		err = f.err
	}
	f.end = err
	close(f.over)
	return n, err
}

// finish reads the part after the file. It returns io.EOF if the form is complete.
func (f *form) finish() error {
	f.allow(maxHead, f.headTimeout)
	for {
		part, err := f.parts.NextPart()
		switch {
		case err != nil:
			return err
		case part.FileName() != "":
			return &refusal{http.StatusBadRequest, "the form has more than one file"}
		}
	}
}

// failure returns the reason of a failure, nil if the form has not failed yet.
func (f *form) failure() error {
	select {
	case <-f.over:
		return f.err
	default:
		return nil
	}
}

// arrived reports whether the whole form was read.
func (f *form) arrived() bool {
	select {
	case <-f.over:
		return f.err == nil
	default:
		return false
	}
}

var (
	errHead         = &refusal{http.StatusRequestHeaderFieldsTooLarge, "the form has too many bytes besides its file"}
	errFormTooLarge = &refusal{http.StatusRequestEntityTooLarge, "the form is too large"}
)

// refusal returns the refusal for a read error.
func (f *form) refusal(err error) error {
	var known *refusal
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &large):
		return errFormTooLarge
	case f.interrupted.Load():
		return errClosing
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{http.StatusRequestTimeout, "the browser sent data too slowly"}
	}
	return &refusal{http.StatusBadRequest, "the form is incomplete or malformed"}
}

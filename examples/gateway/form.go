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
	// maxField is how many bytes a text field may have, and the name of the file.
	maxField = 4 << 10
	// maxHead is how many bytes of a form may come before its file, and behind it.
	// mime/multipart alone would read 10 MiB of headers into memory.
	maxHead = 64 << 10
)

// form is a multipart form, read while it arrives. As an io.Reader it is the bytes
// of its file, and ends with io.EOF only if the whole form was well. One goroutine
// reads it.
type form struct {
	*body    // which has SetReadDeadline, so that the upload can end a Read
	parts    *multipart.Reader
	file     *multipart.Part
	filename string
	metadata tus.Metadata
	received atomic.Int64 // bytes of the file

	over chan struct{} // closed when it was read to its end, or has failed
	err  error         // why it failed; for those who saw over closed
	end  error         // what Read returns from then on
}

// openForm reads a form up to its file.
func openForm(b *body, r *http.Request) (*form, error) {
	if r.ContentLength > b.limit {
		return nil, errFormTooLarge
	}
	r.Body = b
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, &refusal{http.StatusUnsupportedMediaType, "this is not a form of type multipart/form-data"}
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
			f.begin(part)
		case part.FormName() == "": // nothing that could be stored
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

// begin takes the part with the file.
func (f *form) begin(part *multipart.Part) {
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
	if f.interrupted.Load() { // by the upload, which ends for a reason of its own
		if err == io.EOF {
			err = errClosing // the rest of the form was not seen
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

// finish reads what follows the file. It returns io.EOF if the form is complete.
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

// failure is why the form cannot be used, nil as long as that is not known.
func (f *form) failure() error {
	select {
	case <-f.over:
		return f.err
	default:
		return nil
	}
}

// arrived reports whether the whole form is there.
func (f *form) arrived() bool {
	select {
	case <-f.over:
		return f.err == nil
	default:
		return false
	}
}

var (
	errHead         = &refusal{http.StatusRequestHeaderFieldsTooLarge, "the form has too much besides its file"}
	errFormTooLarge = &refusal{http.StatusRequestEntityTooLarge, "the form is too large"}
)

// refusal says what is wrong with a form that could not be read.
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
		return &refusal{http.StatusRequestTimeout, "the browser sent too little for too long"}
	}
	return &refusal{http.StatusBadRequest, "the form ended early, or is not well-formed"}
}

package tustest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// refusal is an answer other than success.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) error {
	return refusal{status, fmt.Sprintf(format, args...)}
}

// errCut is a body that ended before its Content-Length: nobody is left to
// answer.
var errCut = errors.New("body cut short")

// ServeHTTP answers a request, after the faults that were injected.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := h.begin(r)
	body := &countingBody{ReadCloser: r.Body}
	r.Body = body
	recorder := &statusWriter{ResponseWriter: w}
	defer func() {
		h.end(n, body.n, recorder.status)
	}()
	if fault := h.pick(r); fault != nil {
		fault.Action(recorder, r, h)
		return
	}
	h.serve(recorder, r)
}

// serve is the protocol without faults.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	if override := r.Header.Get("X-HTTP-Method-Override"); override != "" {
		r.Method = override
	}
	w.Header().Set("Tus-Resumable", "1.0.0")
	var err error
	switch {
	case r.Method == http.MethodOptions:
		h.describe(w)
		return
	case r.Header.Get("Tus-Resumable") != "1.0.0":
		w.Header().Set("Tus-Version", "1.0.0")
		err = refuse(http.StatusPreconditionFailed, "Tus-Resumable must be 1.0.0")
	case strings.TrimSuffix(r.URL.Path, "/") == strings.TrimSuffix(h.options.BasePath, "/"):
		if r.Method != http.MethodPost {
			err = refuse(http.StatusMethodNotAllowed, "%s on the creation URL", r.Method)
			break
		}
		err = h.create(w, r)
	default:
		err = h.serveUpload(w, r)
	}
	var refused refusal
	switch {
	case errors.As(err, &refused):
		http.Error(w, refused.text, refused.status)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (h *Handler) supports(extension string) bool { return contains(h.options.Extensions, extension) }

// describe answers OPTIONS.
func (h *Handler) describe(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Tus-Version", "1.0.0")
	if len(h.options.Extensions) > 0 {
		header.Set("Tus-Extension", strings.Join(h.options.Extensions, ","))
	}
	if h.options.MaxSize > 0 {
		header.Set("Tus-Max-Size", strconv.FormatInt(h.options.MaxSize, 10))
	}
	if h.supports("checksum") {
		header.Set("Tus-Checksum-Algorithm", strings.Join(h.options.ChecksumAlgorithms, ","))
	}
	w.WriteHeader(http.StatusNoContent)
}

// create answers POST (section Creation).
func (h *Handler) create(w http.ResponseWriter, r *http.Request) error {
	if !h.supports("creation") {
		return refuse(http.StatusMethodNotAllowed, "no creation")
	}
	u := &upload{metadata: r.Header.Get("Upload-Metadata"), concat: r.Header.Get("Upload-Concat"), changed: time.Now()}
	if err := checkMetadata(u.metadata); err != nil {
		return err
	}
	carriesBytes := r.Header.Get("Content-Type") == "application/offset+octet-stream"
	switch partials, isFinal := strings.CutPrefix(u.concat, "final;"); {
	case u.concat != "" && !h.supports("concatenation"):
		return refuse(http.StatusBadRequest, "no concatenation")
	case isFinal:
		if carriesBytes {
			return refuse(http.StatusForbidden, "a final upload carries no bytes")
		}
		if err := h.concatenate(u, r, partials); err != nil {
			return err
		}
	case u.concat != "" && u.concat != "partial":
		return refuse(http.StatusBadRequest, "bad Upload-Concat")
	default:
		if err := h.readLength(u, r); err != nil {
			return err
		}
	}
	if carriesBytes && !h.supports("creation-with-upload") {
		return refuse(http.StatusUnsupportedMediaType, "no creation-with-upload")
	}
	h.mu.Lock()
	h.nextID++
	u.id = fmt.Sprintf("%08d", h.nextID)
	h.uploads[u.id] = u
	h.mu.Unlock()
	if carriesBytes {
		err := h.receive(u, r)
		if err == errCut {
			return err
		}
		if err != nil { // nothing tells the client of this upload
			h.Forget(u.id)
			return err
		}
		setOffset(w, u)
	} else if n, _ := io.Copy(io.Discard, r.Body); n > 0 {
		return refuse(http.StatusUnsupportedMediaType, "creation has a body of another type")
	}
	h.setExpires(w, u)
	location := path.Join(h.options.BasePath, u.id)
	if h.options.AbsoluteLocation {
		location = "http://" + r.Host + location
	}
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (h *Handler) readLength(u *upload, r *http.Request) error {
	length, deferral := r.Header.Get("Upload-Length"), r.Header.Get("Upload-Defer-Length")
	switch {
	case length != "" && deferral != "":
		return refuse(http.StatusBadRequest, "both Upload-Length and Upload-Defer-Length")
	case deferral != "":
		if deferral != "1" || !h.supports("creation-defer-length") {
			return refuse(http.StatusBadRequest, "bad Upload-Defer-Length")
		}
		u.deferred = true
		return nil
	}
	return h.setLength(u, length)
}

func (h *Handler) setLength(u *upload, value string) error {
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return refuse(http.StatusBadRequest, "bad Upload-Length")
	}
	if h.options.MaxSize > 0 && int64(n) > h.options.MaxSize {
		return refuse(http.StatusRequestEntityTooLarge, "above Tus-Max-Size")
	}
	u.length = int64(n)
	return nil
}

// concatenate makes u the final upload of the partial ones (section
// Concatenation).
func (h *Handler) concatenate(u *upload, r *http.Request, partials string) error {
	if r.Header.Get("Upload-Length") != "" {
		return refuse(http.StatusBadRequest, "a final upload has no Upload-Length")
	}
	for _, part := range strings.Fields(partials) {
		p := h.find(part)
		if p == nil || p.copy().Terminated || p.concat != "partial" {
			return refuse(http.StatusBadRequest, "%s is no partial upload", part)
		}
		if !p.copy().Complete() && !h.supports("concatenation-unfinished") {
			return refuse(http.StatusBadRequest, "%s is not finished", part)
		}
		u.parts = append(u.parts, p)
		u.length += p.copy().Length
	}
	if len(u.parts) == 0 {
		return refuse(http.StatusBadRequest, "no partial uploads")
	}
	return nil
}

// serveUpload answers requests to an upload URL.
func (h *Handler) serveUpload(w http.ResponseWriter, r *http.Request) error {
	u := h.find(r.URL.Path)
	if u == nil || !strings.HasPrefix(r.URL.Path, h.options.BasePath) {
		return refuse(http.StatusNotFound, "no such upload")
	}
	u.mu.Lock()
	gone := u.terminated || h.expired(u)
	u.mu.Unlock()
	if gone {
		return refuse(http.StatusGone, "upload is gone")
	}
	switch r.Method {
	case http.MethodHead:
		return h.head(w, u)
	case http.MethodPatch:
		return h.patch(w, r, u)
	case http.MethodDelete:
		if !h.supports("termination") {
			return refuse(http.StatusMethodNotAllowed, "no termination")
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.busy {
			return refuse(http.StatusLocked, "upload is locked")
		}
		u.terminated = true
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return refuse(http.StatusMethodNotAllowed, "%s on an upload URL", r.Method)
}

func (h *Handler) head(w http.ResponseWriter, u *upload) error {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if offset, ok := u.offset(); ok {
		header.Set("Upload-Offset", strconv.FormatInt(offset, 10))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.deferred {
		header.Set("Upload-Defer-Length", "1")
	} else {
		header.Set("Upload-Length", strconv.FormatInt(u.length, 10))
	}
	if u.metadata != "" {
		header.Set("Upload-Metadata", u.metadata)
	}
	if u.concat != "" {
		header.Set("Upload-Concat", u.concat)
	}
	h.setExpires(w, u)
	w.WriteHeader(http.StatusOK)
	return nil
}

// patch answers PATCH (section PATCH).
func (h *Handler) patch(w http.ResponseWriter, r *http.Request, u *upload) error {
	if u.parts != nil {
		return refuse(http.StatusForbidden, "a final upload cannot be changed")
	}
	if r.Header.Get("Content-Type") != "application/offset+octet-stream" {
		return refuse(http.StatusUnsupportedMediaType, "bad Content-Type")
	}
	at, err := strconv.ParseUint(r.Header.Get("Upload-Offset"), 10, 63)
	if err != nil {
		return refuse(http.StatusBadRequest, "bad Upload-Offset")
	}
	u.mu.Lock()
	switch {
	case u.busy:
		u.mu.Unlock()
		return refuse(http.StatusLocked, "upload is locked")
	case int64(at) != int64(len(u.data)):
		u.mu.Unlock()
		return refuse(http.StatusConflict, "upload is at another offset")
	}
	if declared := r.Header.Get("Upload-Length"); declared != "" {
		if !u.deferred {
			u.mu.Unlock()
			return refuse(http.StatusBadRequest, "length is known already")
		}
		if err := h.setLength(u, declared); err != nil || u.length < int64(len(u.data)) {
			u.mu.Unlock()
			return refuse(http.StatusBadRequest, "bad Upload-Length")
		}
		u.deferred = false
	}
	u.mu.Unlock()
	if err := h.receive(u, r); err != nil {
		return err
	}
	setOffset(w, u)
	h.setExpires(w, u)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// receive stores a body: at once as it comes, or, with a checksum, only when it
// has been verified (section Checksum).
func (h *Handler) receive(u *upload, r *http.Request) error {
	u.mu.Lock()
	u.busy = true
	room := int64(-1)
	if !u.deferred {
		room = u.length - int64(len(u.data))
	}
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		u.busy = false
		u.changed = time.Now()
		u.mu.Unlock()
	}()
	if room >= 0 && r.ContentLength > room {
		return refuse(http.StatusRequestEntityTooLarge, "more bytes than the upload has room for")
	}
	_, trailer := r.Trailer["Upload-Checksum"]
	if r.Header.Get("Upload-Checksum") != "" || trailer {
		return h.receiveVerified(u, r, room)
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(buf)
		if room >= 0 && int64(n) > room {
			return refuse(http.StatusRequestEntityTooLarge, "more bytes than the upload has room for")
		}
		room -= int64(n)
		u.mu.Lock()
		u.data = append(u.data, buf[:n]...)
		u.mu.Unlock()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errCut
		}
	}
}

func (h *Handler) receiveVerified(u *upload, r *http.Request, room int64) error {
	if !h.supports("checksum") {
		return refuse(http.StatusBadRequest, "no checksum")
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return errCut
	}
	value := r.Header.Get("Upload-Checksum")
	if value == "" {
		if !h.supports("checksum-trailer") {
			return refuse(http.StatusBadRequest, "no checksum-trailer")
		}
		value = r.Trailer.Get("Upload-Checksum")
	}
	name, encoded, _ := strings.Cut(value, " ")
	sum := newHash(name)
	if sum == nil || !contains(h.options.ChecksumAlgorithms, name) {
		return refuse(http.StatusBadRequest, "checksum algorithm %q is not supported", name)
	}
	want, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return refuse(http.StatusBadRequest, "bad Upload-Checksum")
	}
	sum.Write(data)
	if !bytes.Equal(sum.Sum(nil), want) {
		return refuse(460, "checksum mismatch")
	}
	if room >= 0 && int64(len(data)) > room {
		return refuse(http.StatusRequestEntityTooLarge, "more bytes than the upload has room for")
	}
	u.mu.Lock()
	u.data = append(u.data, data...)
	u.mu.Unlock()
	return nil
}

func newHash(name string) hash.Hash {
	switch name {
	case "sha1":
		return sha1.New()
	case "md5":
		return md5.New()
	case "sha256":
		return sha256.New()
	case "sha512":
		return sha512.New()
	case "crc32":
		return crc32.NewIEEE()
	}
	return nil
}

func setOffset(w http.ResponseWriter, u *upload) {
	offset, _ := u.offset()
	w.Header().Set("Upload-Offset", strconv.FormatInt(offset, 10))
}

func (h *Handler) expired(u *upload) bool {
	return h.options.Expires > 0 && u.parts == nil && time.Since(u.changed) > h.options.Expires &&
		(u.deferred || int64(len(u.data)) < u.length)
}

func (h *Handler) setExpires(w http.ResponseWriter, u *upload) {
	if h.options.Expires > 0 {
		w.Header().Set("Upload-Expires", u.changed.Add(h.options.Expires).UTC().Format(http.TimeFormat))
	}
}

// checkMetadata applies the rules of section Creation, Upload-Metadata.
func checkMetadata(value string) error {
	if value == "" {
		return nil
	}
	seen := map[string]bool{}
	for _, pair := range strings.Split(value, ",") {
		key, encoded, _ := strings.Cut(pair, " ")
		if key == "" || seen[key] {
			return refuse(http.StatusBadRequest, "bad Upload-Metadata")
		}
		seen[key] = true
		if _, err := base64.StdEncoding.DecodeString(encoded); err != nil {
			return refuse(http.StatusBadRequest, "bad Upload-Metadata")
		}
	}
	return nil
}

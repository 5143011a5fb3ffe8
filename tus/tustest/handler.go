package tustest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// refusal is a response with an error status.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) error {
	return refusal{status, fmt.Sprintf(format, args...)}
}

// ServeHTTP handles a request. An injected fault that selects it has precedence.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := h.begin(r)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.released, cancel)()
	r = r.WithContext(context.WithValue(ctx, cancelKey{}, cancel))
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
	h.Serve(recorder, r)
}

// Serve handles a request without faults. It is for use in an [Action].
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request) {
	if h.serveDraft(w, r) {
		return
	}
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

func (h *Handler) supports(extension string) bool {
	return slices.Contains(h.options.Extensions, extension)
}

// describe responds to OPTIONS.
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

// create responds to POST (section Creation).
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
			return refuse(http.StatusForbidden, "a final upload has no body")
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
	if !carriesBytes {
		if n, _ := io.Copy(io.Discard, r.Body); n > 0 {
			return refuse(http.StatusUnsupportedMediaType, "body of a creation has another Content-Type")
		}
	}
	u.busy = carriesBytes
	h.mu.Lock()
	h.nextID++
	u.id = fmt.Sprintf("%08d", h.nextID)
	h.uploads[u.id] = u
	h.mu.Unlock()
	if carriesBytes {
		err := h.receive(u, r, unknownLength)
		if err == errCut {
			return err
		}
		if err != nil { // the response has no URL of this upload
			h.Forget(u.id)
			return err
		}
		setOffset(w, u)
	}
	h.setExpires(w, u)
	location := path.Join(h.options.BasePath, u.id)
	if h.options.AbsoluteLocation {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		location = scheme + "://" + r.Host + location
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
	n, err := h.parseLength(length)
	u.length = n
	return err
}

func (h *Handler) parseLength(value string) (int64, error) {
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return 0, refuse(http.StatusBadRequest, "bad Upload-Length")
	}
	return int64(n), h.checkSize(int64(n))
}

func (h *Handler) checkSize(n int64) error {
	if h.options.MaxSize > 0 && n > h.options.MaxSize {
		return refuse(http.StatusRequestEntityTooLarge, "above Tus-Max-Size")
	}
	return nil
}

// concatenate makes u the final upload of the partial ones (section
// Concatenation).
func (h *Handler) concatenate(u *upload, r *http.Request, partials string) error {
	if r.Header.Get("Upload-Length") != "" || r.Header.Get("Upload-Defer-Length") != "" {
		return refuse(http.StatusBadRequest, "a final upload has neither Upload-Length nor Upload-Defer-Length")
	}
	for _, part := range strings.Fields(partials) {
		var p *upload
		if target, err := url.Parse(part); err == nil {
			p = h.at(r.URL.ResolveReference(target).Path)
		}
		if p == nil || p.concat != "partial" || h.gone(p) {
			return refuse(http.StatusBadRequest, "%s is not a partial upload", part)
		}
		if !p.extent().complete() && !h.supports("concatenation-unfinished") {
			return refuse(http.StatusBadRequest, "%s is not finished", part)
		}
		u.parts = append(u.parts, p)
	}
	if len(u.parts) == 0 {
		return refuse(http.StatusBadRequest, "no partial uploads")
	}
	return h.checkSize(u.extent().length)
}

// serveUpload handles requests to an upload URL.
func (h *Handler) serveUpload(w http.ResponseWriter, r *http.Request) error {
	u := h.at(r.URL.Path)
	if u == nil {
		return refuse(http.StatusNotFound, "upload not found")
	}
	if h.gone(u) {
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
	now := u.extent()
	if u.parts == nil || now.complete() { // undefined for an unfinished concatenation
		setOffset(w, u)
	}
	switch {
	case !now.deferred:
		header.Set("Upload-Length", strconv.FormatInt(now.length, 10))
	case u.parts == nil:
		header.Set("Upload-Defer-Length", "1")
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

// patch responds to PATCH (section PATCH).
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
	length := int64(unknownLength)
	if value := r.Header.Get("Upload-Length"); value != "" {
		if length, err = h.parseLength(value); err != nil {
			return err
		}
	}
	if err := u.reserve(int64(at), length); err != nil {
		return err
	}
	if err := h.receive(u, r, length); err != nil {
		return err
	}
	setOffset(w, u)
	h.setExpires(w, u)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func setOffset(w http.ResponseWriter, u *upload) {
	w.Header().Set("Upload-Offset", strconv.FormatInt(u.extent().have, 10))
}

// gone reports whether u was terminated or has expired.
func (h *Handler) gone(u *upload) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.terminated || h.expires(u) && time.Since(u.changed) > h.options.Expires
}

// expires reports whether u can expire: it is unfinished and not a final upload.
func (h *Handler) expires(u *upload) bool {
	return h.options.Expires > 0 && u.parts == nil && (u.deferred || int64(len(u.data)) < u.length)
}

// setExpires sets Upload-Expires if u expires (section Expiration).
func (h *Handler) setExpires(w http.ResponseWriter, u *upload) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if h.expires(u) {
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
		ascii := !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
		if key == "" || !ascii || seen[key] {
			return refuse(http.StatusBadRequest, "bad Upload-Metadata")
		}
		seen[key] = true
		if _, err := base64.StdEncoding.DecodeString(encoded); err != nil {
			return refuse(http.StatusBadRequest, "bad Upload-Metadata")
		}
	}
	return nil
}

// Package faults makes a tustest server misbehave in more ways than its users need: for
// the tests of this module.
package faults

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Append appends data to the upload with a URL or path, as another client does. It
// panics if the server refuses that.
func Append(h *tustest.Handler, uploadURL string, data []byte) {
	u, _ := h.Upload(uploadURL)
	r := httptest.NewRequest(http.MethodPatch, uploadURL, bytes.NewReader(data))
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Content-Type", "application/offset+octet-stream")
	r.Header.Set("Upload-Offset", strconv.Itoa(len(u.Data)))
	w := httptest.NewRecorder()
	h.Serve(w, r)
	if w.Code != http.StatusNoContent {
		panic("faults: Append: " + w.Body.String())
	}
}

// Rewind truncates the upload to its first n bytes, as [tustest.Handler.Truncate] does,
// before the server handles the request.
func Rewind(n int64) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Truncate(r.URL.Path, n)
		h.Serve(w, r)
	}
}

// Vanish deletes the upload, as [tustest.Handler.Forget] does, before the server handles
// the request: the response to this and all further requests is 410.
func Vanish() tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Forget(r.URL.Path)
		h.Serve(w, r)
	}
}

package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
)

// event is the body of a hook, without unused fields
// (https://tus.github.io/tusd/advanced-topics/hooks/).
type event struct {
	Type  string
	Event struct {
		Upload      upload
		HTTPRequest struct {
			Method, URI, RemoteAddr string
			Header                  http.Header
		}
	}
}

// upload is an upload as tusd describes it.
type upload struct {
	ID             string
	Size           int64 // in bytes; no meaning if SizeIsDeferred
	SizeIsDeferred bool
	Offset         int64 // number of stored bytes
	MetaData       map[string]string
	IsPartial      bool // a partial upload
	IsFinal        bool // a concatenation of partial uploads
}

// hookResponse is the response to a hook. The zero value changes nothing.
type hookResponse struct {
	HTTPResponse      *httpResponse `json:",omitempty"` // to the client
	RejectUpload      bool          `json:",omitempty"` // of pre-create
	RejectTermination bool          `json:",omitempty"` // of pre-terminate
	StopUpload        bool          `json:",omitempty"` // of post-receive; deletes it
	ChangeFileInfo    *fileChange   `json:",omitempty"` // of pre-create
}

type httpResponse struct {
	StatusCode int               `json:",omitempty"`
	Body       string            `json:",omitempty"`
	Header     map[string]string `json:",omitempty"`
}

// fileChange replaces metadata of the client.
type fileChange struct {
	MetaData map[string]string `json:",omitempty"`
}

// tusdHooks handles the hooks of a tusd.
type tusdHooks struct {
	key   string // password of tusd
	rules rules
	// finished is called for each complete upload. tusd waits a few seconds for it and
	// retries after an error (-hooks-http-retry) or a lost response: finished must be
	// fast and idempotent.
	finished func(context.Context, upload) error
	log      *slog.Logger
}

// ServeHTTP handles one hook.
func (t *tusdHooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, key, _ := r.BasicAuth(); !sameSecret(key, t.key) {
		http.Error(w, "wrong key", http.StatusUnauthorized)
		return
	}
	const limit = 1 << 20 // metadata and headers of a request
	var e event
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit)).Decode(&e); err != nil {
		http.Error(w, "not a hook", http.StatusBadRequest)
		return
	}
	response, err := t.handle(r.Context(), e)
	if err != nil {
		t.log.ErrorContext(r.Context(), "hook failed", "type", e.Type, "id", e.Event.Upload.ID, "error", err)
		http.Error(w, "failed, retry later", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json") // required by tusd
	_ = json.NewEncoder(w).Encode(response)            // tusd may have disconnected
}

// handle returns the response to a hook.
func (t *tusdHooks) handle(ctx context.Context, e event) (hookResponse, error) {
	u := e.Event.Upload
	switch e.Type {
	case "pre-create":
		return t.rules.admit(u, e.Event.HTTPRequest.Header), nil
	case "post-receive":
		return t.rules.progress(u), nil
	case "pre-finish": // adds a header to the client's last response
		return hookResponse{HTTPResponse: &httpResponse{Header: map[string]string{"X-Asset": "/assets/" + u.ID}}}, nil
	case "post-finish":
		if u.IsPartial {
			return hookResponse{}, nil // the final upload follows
		}
		return hookResponse{}, t.finished(ctx, u)
	}
	// Ignore other hooks, including those of later versions of tusd.
	return hookResponse{}, nil
}

// sameSecret compares in constant time. Its duration does not reveal the length either.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

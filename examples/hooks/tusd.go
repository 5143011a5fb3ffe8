package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
)

// event is what tusd tells, as far as it is of interest here
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

// upload is one upload, as tusd has it.
type upload struct {
	ID             string
	Size           int64 // in bytes; no meaning if SizeIsDeferred
	SizeIsDeferred bool
	Offset         int64 // how many bytes there are
	MetaData       map[string]string
	IsPartial      bool // a part of an upload that is sent over several connections
	IsFinal        bool // put together of such parts
}

// answer is what tusd shall do. The zero value lets everything go its way.
type answer struct {
	HTTPResponse      *response   `json:",omitempty"` // to the client
	RejectUpload      bool        `json:",omitempty"` // of pre-create
	RejectTermination bool        `json:",omitempty"` // of pre-terminate
	StopUpload        bool        `json:",omitempty"` // of post-receive; deletes it
	ChangeFileInfo    *fileChange `json:",omitempty"` // of pre-create
}

type response struct {
	StatusCode int               `json:",omitempty"`
	Body       string            `json:",omitempty"`
	Header     map[string]string `json:",omitempty"`
}

// fileChange replaces what the client said.
type fileChange struct {
	MetaData map[string]string `json:",omitempty"`
}

// tusdHooks receives the hooks of a tusd.
type tusdHooks struct {
	key   string // that tusd has to show
	rules rules
	// finished is told of each upload that is complete. tusd waits a few seconds
	// for it, asks again after an error (-hooks-http-retry), and may ask again though
	// it went well, when the answer was lost: it must be quick, and the second time
	// harmless.
	finished func(context.Context, upload) error
	log      *slog.Logger
}

// ServeHTTP answers one hook.
func (t *tusdHooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, key, _ := r.BasicAuth(); !sameSecret(key, t.key) {
		http.Error(w, "this is for tusd", http.StatusUnauthorized)
		return
	}
	const limit = 1 << 20 // metadata and headers of a request
	var e event
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit)).Decode(&e); err != nil {
		http.Error(w, "this is not a hook", http.StatusBadRequest)
		return
	}
	a, err := t.react(r.Context(), e)
	if err != nil {
		t.log.ErrorContext(r.Context(), "hook failed", "type", e.Type, "id", e.Event.Upload.ID, "error", err)
		http.Error(w, "failed, try again", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json") // tusd insists
	_ = json.NewEncoder(w).Encode(a)                   // tusd may be gone
}

// react decides what tusd shall do.
func (t *tusdHooks) react(ctx context.Context, e event) (answer, error) {
	u := e.Event.Upload
	switch e.Type {
	case "pre-create":
		return t.rules.admit(u, e.Event.HTTPRequest.Header), nil
	case "post-receive":
		return t.rules.goOn(u), nil
	case "pre-finish": // the client may learn something with its last answer
		return answer{HTTPResponse: &response{Header: map[string]string{"X-Asset": "/assets/" + u.ID}}}, nil
	case "post-finish":
		if u.IsPartial {
			return answer{}, nil // the upload that is made of it will follow
		}
		return answer{}, t.finished(ctx, u)
	}
	// The others are of no interest, and a tusd to come may have more of them.
	return answer{}, nil
}

// sameSecret compares in a time that tells nothing, not even the length.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

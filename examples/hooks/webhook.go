package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// signatureHeader is where the signature of a webhook is.
const signatureHeader = "Webhook-Signature"

// webhook receives signed calls.
type webhook struct {
	verifier verifier
	seen     *seen
	handle   func(ctx context.Context, body []byte) error
	log      *slog.Logger
}

// newWebhook receives calls that were signed with one of the secrets: while a
// secret is being changed, there are two. handle is called once for each good call.
// After an error the sender is told to try again.
func newWebhook(secrets []string, handle func(context.Context, []byte) error, log *slog.Logger) *webhook {
	const (
		tolerance = 5 * time.Minute
		remember  = 100_000 // calls in two tolerances; a call takes about a hundred bytes
	)
	return &webhook{
		verifier: verifier{secrets: secrets, tolerance: tolerance},
		seen:     newSeen(remember),
		handle:   handle,
		log:      log,
	}
}

// ServeHTTP answers a call. One that was handled before gets the same answer again,
// without being handled: the sender may not have seen the first answer.
func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const limit = 1 << 20
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit)) // the very bytes that were signed
	if err != nil {
		http.Error(w, "the call is too long, or was cut", http.StatusBadRequest)
		return
	}
	call, err := h.verifier.verify(r.Header.Values(signatureHeader), body, time.Now())
	if err != nil {
		h.log.WarnContext(r.Context(), "webhook refused", "from", r.RemoteAddr, "error", err)
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	switch err := h.seen.begin(call.id, call.expires, time.Now()); {
	case errors.Is(err, errHandled):
		w.WriteHeader(http.StatusNoContent)
		return
	case errors.Is(err, errBeingHandled):
		http.Error(w, err.Error(), http.StatusConflict)
		return
	case err != nil:
		h.log.ErrorContext(r.Context(), "webhook refused", "error", err)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	handled := false
	defer func() { h.seen.end(call.id, handled) }() // also if handle panics
	if err := h.handle(r.Context(), body); err != nil {
		h.log.ErrorContext(r.Context(), "webhook failed", "error", err)
		http.Error(w, "failed, try again", http.StatusInternalServerError)
		return
	}
	handled = true
	w.WriteHeader(http.StatusNoContent)
}

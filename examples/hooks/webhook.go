package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// signatureHeader is the header field with the signature.
const signatureHeader = "Webhook-Signature"

// webhook handles signed calls.
type webhook struct {
	verifier verifier
	seen     *seen
	handle   func(ctx context.Context, body []byte) error
	log      *slog.Logger
}

// newWebhook returns a webhook that accepts calls signed with one of the secrets:
// while a secret is rotated, there are two. handle is called once for each valid call.
// If it returns an error, the response is 500, so that the sender retries.
func newWebhook(secrets []string, handle func(context.Context, []byte) error, log *slog.Logger) *webhook {
	const (
		tolerance = 5 * time.Minute
		remember  = 100_000 // calls within twice the tolerance; a call takes about a hundred bytes
	)
	return &webhook{
		verifier: verifier{secrets: secrets, tolerance: tolerance},
		seen:     newSeen(remember),
		handle:   handle,
		log:      log,
	}
}

// ServeHTTP handles a call. A call that was already handled gets the same response and
// is not handled again: the sender may have missed the first response.
func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const limit = 1 << 20
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit)) // the exact bytes that were signed
	if err != nil {
		http.Error(w, "the call is too long, or its body ended early", http.StatusBadRequest)
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
		http.Error(w, "failed, retry later", http.StatusInternalServerError)
		return
	}
	handled = true
	w.WriteHeader(http.StatusNoContent)
}

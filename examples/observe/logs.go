package main

import (
	"context"
	"log/slog"
	"net/http"

	"go.opentelemetry.io/otel/trace"

	"github.com/seed-175555ba/tus-go/tus"
)

// logRequest logs successful requests at level Debug.
func (o *observer) logRequest(r *http.Request, resp *tus.Response) {
	level := slog.LevelDebug
	if resp.StatusCode >= http.StatusBadRequest {
		level = slog.LevelWarn
	}
	o.log.LogAttrs(r.Context(), level, "request",
		slog.String("method", r.Method), slog.String("url", withoutSecrets(r.URL).String()),
		slog.Int("status", resp.StatusCode),
		slog.String("from", r.Header.Get("Upload-Offset")), slog.String("to", resp.Header.Get("Upload-Offset")))
}

func (o *observer) logRetry(u *tus.Uploader, r tus.Retry) {
	o.log.Warn("retrying", "name", u.Name(), "attempt", r.Attempt, "delay", r.Delay, "error", r.Err)
}

func (o *observer) logStoreError(u *tus.Uploader, err error) {
	o.log.Error("cannot be resumed by a later session", "name", u.Name(), "error", err)
}

// withTraceID adds trace ID and span ID to each record whose context has a span.
type withTraceID struct{ slog.Handler }

func (h withTraceID) Handle(ctx context.Context, r slog.Record) error {
	if s := trace.SpanContextFromContext(ctx); s.IsValid() {
		r.AddAttrs(slog.String("trace_id", s.TraceID().String()), slog.String("span_id", s.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h withTraceID) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withTraceID{h.Handler.WithAttrs(attrs)}
}

func (h withTraceID) WithGroup(name string) slog.Handler {
	return withTraceID{h.Handler.WithGroup(name)}
}

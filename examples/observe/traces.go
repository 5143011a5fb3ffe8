package main

import (
	"context"
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traced makes each request a span, below the one in its context.
//
// otelhttp.NewTransport(base) alone would do that, too. It wraps the body of a
// request to count its bytes, though, by which files are copied through memory
// instead of being sent by the kernel; it copies the map of trailers, so that a
// checksum in one gets lost; and it writes down the whole URL. So it is given a
// request without these, which is exchanged for the right one behind it.
func traced(base *http.Transport, provider trace.TracerProvider) http.RoundTripper {
	return &disguise{
		next: otelhttp.NewTransport(undisguise{base},
			otelhttp.WithTracerProvider(provider),
			otelhttp.WithPropagators(propagation.TraceContext{})), // to the server, in Traceparent
		base: base,
	}
}

// originalKey is where the context of a disguised request has the right one.
type originalKey struct{}

type disguise struct {
	next http.RoundTripper
	base *http.Transport
}

// RoundTrip sends a request.
func (t *disguise) RoundTrip(r *http.Request) (*http.Response, error) {
	d := r.Clone(context.WithValue(r.Context(), originalKey{}, r))
	d.URL = withoutSecrets(r.URL)
	d.Body, d.GetBody = nil, nil
	return t.next.RoundTrip(d)
}

// CloseIdleConnections lets [tus.Client.CloseIdleConnections] work.
func (t *disguise) CloseIdleConnections() { t.base.CloseIdleConnections() }

type undisguise struct{ base http.RoundTripper }

// RoundTrip sends the right request, in the context of its span.
func (t undisguise) RoundTrip(d *http.Request) (*http.Response, error) {
	original := d.Context().Value(originalKey{}).(*http.Request)
	if from := original.Header.Get("Upload-Offset"); from != "" {
		trace.SpanFromContext(d.Context()).SetAttributes(attribute.String("tus.offset", from))
	}
	r := original.WithContext(d.Context())
	r.Header = d.Header // with that which tells the server of the trace
	return t.base.RoundTrip(r)
}

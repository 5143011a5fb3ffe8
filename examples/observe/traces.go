package main

import (
	"context"
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traced returns a transport that makes each request a child span of the span in its
// context.
//
// otelhttp.NewTransport(base) does that too, but it wraps the body of a request, so
// that files are copied through memory instead of being sent by the kernel. It also
// copies the trailer map, so that a checksum in a trailer is lost, and records the
// whole URL. Therefore otelhttp gets a request without body, trailer and secrets, and
// restoreTransport replaces it with the original request.
func traced(base *http.Transport, provider trace.TracerProvider) http.RoundTripper {
	return &stripTransport{
		next: otelhttp.NewTransport(restoreTransport{base},
			otelhttp.WithTracerProvider(provider),
			otelhttp.WithPropagators(propagation.TraceContext{})), // to the server, in Traceparent
		base: base,
	}
}

// originalKey is the context key of the original request.
type originalKey struct{}

type stripTransport struct {
	next http.RoundTripper
	base *http.Transport
}

// RoundTrip calls next with a stripped copy of r.
func (t *stripTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	d := r.Clone(context.WithValue(r.Context(), originalKey{}, r))
	d.URL = withoutSecrets(r.URL)
	d.Body, d.GetBody = nil, nil
	return t.next.RoundTrip(d)
}

// CloseIdleConnections makes [tus.Client.CloseIdleConnections] work.
func (t *stripTransport) CloseIdleConnections() { t.base.CloseIdleConnections() }

type restoreTransport struct{ base http.RoundTripper }

// RoundTrip sends the original request in the context of its span.
func (t restoreTransport) RoundTrip(d *http.Request) (*http.Response, error) {
	original := d.Context().Value(originalKey{}).(*http.Request)
	if from := original.Header.Get("Upload-Offset"); from != "" {
		trace.SpanFromContext(d.Context()).SetAttributes(attribute.String("tus.offset", from))
	}
	r := original.WithContext(d.Context())
	r.Header = d.Header // with Traceparent
	return t.base.RoundTrip(r)
}

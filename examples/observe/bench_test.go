package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/seed-175555ba/tus-go/tus"
)

// BenchmarkUpload compares a plain transport, otelhttp around it, and this package.
// Compare the CPU time too: -cpuprofile.
func BenchmarkUpload(b *testing.B) {
	const size = 256 << 20
	file := filepath.Join(b.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.Truncate(file, size); err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(sink))
	b.Cleanup(server.Close)
	provider := trace.NewTracerProvider()
	for name, transport := range map[string]http.RoundTripper{
		"plain":    tus.NewTransport(),
		"otelhttp": otelhttp.NewTransport(tus.NewTransport(), otelhttp.WithTracerProvider(provider)),
		"traced":   traced(tus.NewTransport(), provider),
	} {
		b.Run(name, func(b *testing.B) {
			client, err := tus.NewClient(server.URL+"/files/", &tus.Options{HTTPClient: &http.Client{Transport: transport}})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.UploadFile(b.Context(), file, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// sink is a tus server that discards all bytes.
func sink(w http.ResponseWriter, r *http.Request) {
	n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 256<<10))
	w.Header().Set("Tus-Resumable", "1.0.0")
	switch r.Method {
	case http.MethodPost:
		w.Header().Set("Location", "/files/1")
		w.WriteHeader(http.StatusCreated)
	case http.MethodPatch:
		w.Header().Set("Upload-Offset", strconv.FormatInt(n, 10))
		w.WriteHeader(http.StatusNoContent)
	}
}

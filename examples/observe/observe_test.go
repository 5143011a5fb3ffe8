package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watch is an observer with in-memory spans and logs.
type watch struct {
	*observer
	t       *testing.T
	spans   *tracetest.SpanRecorder
	logs    *safeBuffer
	metrics *httptest.Server
}

func newWatch(t *testing.T) *watch {
	t.Helper()
	w := &watch{t: t, spans: tracetest.NewSpanRecorder(), logs: &safeBuffer{}}
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(w.spans))
	registry := prometheus.NewRegistry()
	handler := slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})
	w.observer = newObserver(handler, provider, registry)
	w.metrics = httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(w.metrics.Close)
	return w
}

// client returns an observed client.
func (w *watch) client(endpoint string, change func(*tus.Options)) *tus.Client {
	w.t.Helper()
	options := w.options(tus.NewTransport())
	if change != nil {
		change(&options)
	}
	client, err := tus.NewClient(endpoint, &options)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.CloseIdleConnections)
	return client
}

// counted returns the samples of the metrics endpoint.
func (w *watch) counted() []string {
	w.t.Helper()
	resp, err := w.metrics.Client().Get(w.metrics.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var samples []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			samples = append(samples, strings.TrimPrefix(line, "tus_client_"))
		}
	}
	return samples
}

// records returns the logs.
func (w *watch) records() []map[string]any {
	w.t.Helper()
	var all []map[string]any
	for line := range strings.Lines(w.logs.String()) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestTraces_RequestIsChildSpanOfUpload(t *testing.T) {
	w := newWatch(t)
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", From: 2000, Action: tustest.Respond(503, "", "Retry-After", "0")})
	_, err := w.upload(t.Context(), w.client(srv.Endpoint(), nil), tus.Bytes(make([]byte, 5000)), &tus.UploadOptions{ChunkSize: 2000})
	if err != nil {
		t.Fatal(err)
	}
	spans := w.spans.Ended()
	upload := spans[len(spans)-1]
	if upload.Name() != "tus upload" {
		t.Fatalf("the last span is %q", upload.Name())
	}
	var seen []string
	for _, s := range spans[:len(spans)-1] {
		if s.Parent().SpanID() != upload.SpanContext().SpanID() {
			t.Errorf("span %s does not belong to the upload", s.Name())
		}
		attrs := map[string]string{}
		for _, a := range s.Attributes() {
			attrs[string(a.Key)] = a.Value.Emit()
		}
		seen = append(seen, strings.TrimSpace(fmt.Sprintf("%s %s %s", s.Name(), attrs["http.response.status_code"], attrs["tus.offset"])))
		if failed := attrs["http.response.status_code"] == "503"; failed != (s.Status().Code == codes.Error) {
			t.Errorf("span %v has status %v", attrs, s.Status())
		}
	}
	want := []string{
		"HTTP OPTIONS 204", "HTTP POST 201", "HTTP PATCH 204 0", "HTTP PATCH 503 2000",
		"HTTP HEAD 200", "HTTP PATCH 204 2000", "HTTP PATCH 204 4000",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("spans are %q, want %q", seen, want)
	}
	for _, r := range srv.Requests() {
		if parent := r.Header.Get("Traceparent"); !strings.Contains(parent, upload.SpanContext().TraceID().String()) {
			t.Errorf("the server got Traceparent %q", parent)
		}
	}
}

func TestLogs_HaveTraceID(t *testing.T) {
	w := newWatch(t)
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Respond(500, "")})
	_, err := w.upload(t.Context(), w.client(srv.Endpoint(), nil), tus.Bytes(make([]byte, 500)), &tus.UploadOptions{
		CreationLimit: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	spans := w.spans.Ended()
	trace := spans[len(spans)-1].SpanContext().TraceID().String()
	var seen []string
	for _, r := range w.records() {
		if r["msg"] != "retrying" && r["trace_id"] != trace {
			t.Errorf("record %v is not of trace %s", r, trace)
		}
		seen = append(seen, fmt.Sprintf("%v %v %v %v", r["level"], r["msg"], r["method"], r["status"]))
	}
	want := []string{
		"DEBUG request OPTIONS 204", "DEBUG request POST 201", "WARN request PATCH 500", "WARN retrying <nil> <nil>",
		"DEBUG request HEAD 200", "DEBUG request PATCH 204", "INFO upload ended <nil> <nil>",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("logs are %q, want %q", seen, want)
	}
}

func TestMetrics_CountRequestsAndBytes(t *testing.T) {
	w := newWatch(t)
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum", "checksum-trailer")})
	store := &storage.Memory{}
	client := w.client(srv.Endpoint(), func(o *tus.Options) { o.Store = store })
	source := tus.Bytes(make([]byte, 5000))
	opts := &tus.UploadOptions{ChunkSize: 1000, StopAt: 2000}
	if _, err := w.upload(t.Context(), client, source, opts); err == nil {
		t.Fatal("the upload was not stopped")
	}
	srv.Inject(tustest.Fault{Method: "PATCH", From: 3000, Action: tustest.LoseResponse()})
	opts.StopAt = 0
	if _, err := w.upload(t.Context(), client, source, opts); err != nil {
		t.Fatal(err)
	}
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.Respond(403, "")})
	if _, err := w.upload(t.Context(), client, tus.Bytes(make([]byte, 10)), nil); err == nil {
		t.Fatal("the upload was not refused")
	}
	// The second session counts only its own requests and bytes.
	want := []string{
		`bytes_total{kind="acknowledged"} 5000`,
		`bytes_total{kind="sent"} 5010`,
		`requests_total{code="200",method="HEAD"} 2`,
		`requests_total{code="201",method="POST"} 1`,
		`requests_total{code="204",method="OPTIONS"} 1`,
		`requests_total{code="204",method="PATCH"} 4`,
		`requests_total{code="403",method="POST"} 1`,
		`retries_total{reason="connection"} 1`,
		`uploads_active 0`,
		`uploads_total{state="complete"} 1`,
		`uploads_total{state="failed"} 1`,
		`uploads_total{state="paused"} 1`,
	}
	if got := w.counted(); !slices.Equal(got, want) {
		t.Errorf("metrics are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestObserver_ShowsNoSecrets(t *testing.T) {
	const secret = "s3cr3t-t0k3n"
	w := newWatch(t)
	srv := tustest.NewServer(t, nil)
	srv.Inject(
		tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", "/files/00000001?signature="+secret)},
		tustest.Fault{Method: "PATCH", Action: tustest.Respond(500, "you are "+secret)},
		tustest.Fault{Method: "PATCH", Action: tustest.CutBefore()},
	)
	client := w.client(strings.Replace(srv.Endpoint(), "://", "://user:"+secret+"@", 1)+"?key="+secret, nil)
	result, err := w.upload(t.Context(), client, tus.Bytes(make([]byte, 500)), &tus.UploadOptions{ChunkSize: 200})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(result.URL, secret) {
		t.Errorf("upload URL is %s", result.URL)
	}
	if logs := w.logs.String(); strings.Contains(logs, secret) || !strings.Contains(logs, "/files/00000001") {
		t.Errorf("logs are %s", logs)
	}
	for _, s := range tracetest.SpanStubsFromReadOnlySpans(w.spans.Ended()) {
		if text := fmt.Sprintf("%+v", s); strings.Contains(text, secret) {
			t.Errorf("span is %s", text)
		}
	}
}

// otelhttp alone loses the trailer.
func TestTraces_KeepChecksumTrailer(t *testing.T) {
	w := newWatch(t)
	srv := tustest.NewServer(t, nil) // refuses an announced trailer that is missing
	result, err := w.upload(t.Context(), w.client(srv.Endpoint(), nil), tus.Bytes(make([]byte, 500)), &tus.UploadOptions{ChunkSize: 200})
	if err != nil || result.Stats.Retries != 0 || result.Checksum == "" {
		t.Errorf("%d retries, checksum %q, %v", result.Stats.Retries, result.Checksum, err)
	}
}

// The kernel sends a file only if the connection gets the unwrapped body.
func TestTraces_KeepRequestBody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum", "checksum-trailer", "creation-with-upload")})
	bodies := func(wrap func(*http.Transport) http.RoundTripper) (seen []string) {
		transport := tus.NewTransport()
		dial := transport.DialContext
		transport.DialContext = spying(dial, func(body string) { seen = append(seen, body) })
		client, err := tus.NewClient(srv.Endpoint(), &tus.Options{HTTPClient: &http.Client{Transport: wrap(transport)}})
		if err != nil {
			t.Fatal(err)
		}
		defer client.CloseIdleConnections()
		if _, err := client.UploadFile(t.Context(), file, nil); err != nil {
			t.Fatal(err)
		}
		return seen
	}
	plain := bodies(func(base *http.Transport) http.RoundTripper { return base })
	observed := bodies(func(base *http.Transport) http.RoundTripper { return traced(base, newWatch(t).provider) })
	if len(plain) != 1 || !slices.Equal(plain, observed) {
		t.Errorf("bodies are %v, observed %v", plain, observed)
	}
}

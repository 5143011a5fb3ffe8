package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed-175555ba/tus-go/storage"
)

// metricsFlags are the flags of commands that serve metrics.
type metricsFlags struct {
	Metrics string `help:"Serve metrics for Prometheus at /metrics on this address." placeholder:"HOST:PORT"`
}

// metrics are those of all commands that upload until they are interrupted.
type metrics struct {
	registry    *prometheus.Registry
	register    prometheus.Registerer // adds labels to all metrics
	files       *prometheus.CounterVec
	bytes       prometheus.Counter
	retries     prometheus.Counter
	storeErrors prometheus.Counter
	storeTime   *prometheus.HistogramVec
	lastSuccess prometheus.Gauge
	up          prometheus.Gauge
}

// newMetrics returns metrics with the results that a file can have, the first of which is
// that of a completed upload.
func newMetrics(labels prometheus.Labels, results ...string) *metrics {
	registry := prometheus.NewRegistry()
	m := &metrics{
		registry:    registry,
		register:    prometheus.WrapRegistererWith(labels, registry),
		bytes:       newCounter("acknowledged_bytes_total", "Bytes that the server acknowledged."),
		retries:     newCounter("retries_total", "Requests that failed and were retried."),
		storeErrors: newCounter("store_errors_total", "Failures of the resume database."),
		storeTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "tusup", Name: "store_seconds",
			Help: "Duration of the calls of the resume database, by call: find, put, delete.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9)}, []string{"call"}),
		lastSuccess: newGauge("last_success_timestamp_seconds", "Time of the last completed upload; 0 before the first."),
		up:          newGauge("server_up", "1 unless uploads fail because of the server or the network."),
	}
	text := "Attempts by result: "
	for i, result := range results {
		if i > 0 {
			text += ", "
		}
		text += result
	}
	m.files = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tusup", Name: "files_total", Help: text + "."}, []string{"result"})
	for _, result := range results {
		m.files.WithLabelValues(result) // so that a rate can be computed from the first file
	}
	m.register.MustRegister(m.files, m.bytes, m.retries, m.storeErrors, m.storeTime, m.lastSuccess, m.up)
	m.setUp("")
	return m
}

func newCounter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tusup", Name: name, Help: help})
}

func newGauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tusup", Name: name, Help: help})
}

// ended counts the end of an attempt.
func (m *metrics) ended(result string, uploaded bool) {
	m.files.WithLabelValues(result).Inc()
	if uploaded {
		m.lastSuccess.SetToCurrentTime()
	}
}

// setUp sets whether uploads succeed. down is why they do not.
func (m *metrics) setUp(down string) {
	m.up.Set(1)
	if down != "" {
		m.up.Set(0)
	}
}

// serve serves the metrics on an address until the server is closed.
func (m *metrics) serve(addr string, p *program) (*http.Server, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	p.logf("metrics at http://%s/metrics", listener.Addr())
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	return server, nil
}

// timed returns a database whose calls are measured.
func (m *metrics) timed(s storage.Store) storage.Store {
	t := timedStore{s, m}
	if clock, ok := s.(storage.Clock); ok {
		return timedClock{t, clock}
	}
	return t
}

// timedStore is a database whose calls are measured.
type timedStore struct {
	storage.Store
	metrics *metrics
}

// timedClock is one with a clock.
type timedClock struct {
	timedStore
	storage.Clock
}

func (t timedStore) measure(call string) func() {
	timer := prometheus.NewTimer(t.metrics.storeTime.WithLabelValues(call))
	return func() { timer.ObserveDuration() }
}

// Find implements storage.Store.
func (t timedStore) Find(ctx context.Context, fingerprint string) ([]storage.Record, error) {
	defer t.measure("find")()
	return t.Store.Find(ctx, fingerprint)
}

// Put implements storage.Store.
func (t timedStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	defer t.measure("put")()
	return t.Store.Put(ctx, rec)
}

// Delete implements storage.Store.
func (t timedStore) Delete(ctx context.Context, id string, revision int64) error {
	defer t.measure("delete")()
	return t.Store.Delete(ctx, id, revision)
}

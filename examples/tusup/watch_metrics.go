package main

import (
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/spool"
)

// watchMetrics are the metrics of watch.
type watchMetrics struct {
	registry    *prometheus.Registry
	files       *prometheus.CounterVec
	bytes       prometheus.Counter
	retries     prometheus.Counter
	storeErrors prometheus.Counter
	queue       *prometheus.GaugeVec
	oldest      prometheus.Gauge
	lastSuccess prometheus.Gauge
	up          prometheus.Gauge
}

func newWatchMetrics() *watchMetrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tusup", Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tusup", Name: name, Help: help})
	}
	m := &watchMetrics{
		registry: prometheus.NewRegistry(),
		files: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tusup", Name: "files_total",
			Help: "Attempts by result: uploaded, already, retried, set_aside, changed, vanished, held."}, []string{"result"}),
		bytes:       counter("acknowledged_bytes_total", "Bytes that the server acknowledged."),
		retries:     counter("retries_total", "Requests that failed and were retried."),
		storeErrors: counter("store_errors_total", "Failures of the resume database."),
		queue: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "tusup", Name: "queue_files",
			Help: "Files that are not uploaded, by state: settling, waiting, in_flight."}, []string{"state"}),
		oldest:      gauge("oldest_file_timestamp_seconds", "Modification time of the oldest file that is not uploaded; 0 without one."),
		lastSuccess: gauge("last_success_timestamp_seconds", "Time of the last completed upload; 0 before the first."),
		up:          gauge("server_up", "1 unless uploads fail because of the server or the network."),
	}
	for _, kind := range []spool.Kind{spool.Uploaded, spool.Already, spool.Retried, spool.SetAside, spool.Changed, spool.Vanished, spool.Held} {
		m.files.WithLabelValues(string(kind)) // so that a rate can be computed from the first file
	}
	m.status(spool.Status{})
	m.registry.MustRegister(m.files, m.bytes, m.retries, m.storeErrors, m.queue, m.oldest, m.lastSuccess, m.up)
	return m
}

// ended counts the end of an attempt.
func (m *watchMetrics) ended(kind spool.Kind) {
	m.files.WithLabelValues(string(kind)).Inc()
	if kind == spool.Uploaded {
		m.lastSuccess.SetToCurrentTime()
	}
}

// status sets the gauges.
func (m *watchMetrics) status(s spool.Status) {
	m.queue.WithLabelValues("settling").Set(float64(s.Settling))
	m.queue.WithLabelValues("waiting").Set(float64(s.Waiting))
	m.queue.WithLabelValues("in_flight").Set(float64(s.InFlight))
	m.oldest.Set(0)
	if !s.Oldest.IsZero() {
		m.oldest.Set(float64(s.Oldest.UnixNano()) / 1e9)
	}
	m.up.Set(1)
	if s.Down != "" {
		m.up.Set(0)
	}
}

// serve serves the metrics on an address until the server is closed.
func (m *watchMetrics) serve(addr string, p *program) (*http.Server, error) {
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

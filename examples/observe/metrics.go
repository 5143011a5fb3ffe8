package main

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-175555ba/tus-go/tus"
)

// metrics are the Prometheus metrics of a client. The number of label values does not
// grow with the number of uploads.
type metrics struct {
	requests *prometheus.CounterVec // by method and code
	retries  *prometheus.CounterVec // by reason
	uploads  *prometheus.CounterVec // by state, of those that ended
	active   prometheus.Gauge
	bytes    *prometheus.CounterVec // by kind
}

func newMetrics(registry prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tus_client", Name: name, Help: help}, labels)
	}
	m := &metrics{
		requests: counter("requests_total", "Requests that got a response.", "method", "code"),
		retries:  counter("retries_total", "Failures that were retried.", "reason"),
		uploads:  counter("uploads_total", "Uploads that ended.", "state"),
		bytes:    counter("bytes_total", "Bytes of sources: acknowledged by servers, sent, and resent.", "kind"),
		active:   prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tus_client", Name: "uploads_active", Help: "Uploads in progress."}),
	}
	registry.MustRegister(m.requests, m.retries, m.uploads, m.active, m.bytes)
	return m
}

func (m *metrics) request(method string, code int) {
	m.requests.WithLabelValues(method, strconv.Itoa(code)).Inc()
}

func (m *metrics) retry(err error) { m.retries.WithLabelValues(reason(err)).Inc() }

// reason returns the class of a failure.
func reason(err error) string {
	var failed *tus.Error
	switch {
	case errors.Is(err, tus.ErrStalled):
		return "stalled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.As(err, &failed) && failed.StatusCode != 0:
		return strconv.Itoa(failed.StatusCode)
	}
	return "connection"
}

// count holds the counted stats of one upload.
type count struct {
	metrics *metrics

	mu   sync.Mutex
	last tus.Stats
}

func (m *metrics) begin() *count {
	m.active.Inc()
	return &count{metrics: m}
}

// advance adds the difference between s and the last stats.
func (c *count) advance(s tus.Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add := func(kind string, was *int64, is int64) {
		if is > *was { // else s is older than the last stats
			c.metrics.bytes.WithLabelValues(kind).Add(float64(is - *was))
			*was = is
		}
	}
	add("acknowledged", &c.last.Uploaded, s.Uploaded)
	add("sent", &c.last.Sent, s.Sent)
	add("resent", &c.last.Resent, s.Resent)
}

func (c *count) end(s tus.Stats, state tus.State) {
	c.advance(s)
	c.metrics.active.Dec()
	c.metrics.uploads.WithLabelValues(state.String()).Inc()
}

package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/spool"
)

// watchMetrics are the metrics of watch.
type watchMetrics struct {
	*metrics
	queue  *prometheus.GaugeVec
	oldest prometheus.Gauge
}

func newWatchMetrics() *watchMetrics {
	m := &watchMetrics{
		metrics: newMetrics(nil, string(spool.Uploaded), string(spool.Already), string(spool.Retried), string(spool.SetAside),
			string(spool.Changed), string(spool.Vanished), string(spool.Held)),
		queue: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "tusup", Name: "queue_files",
			Help: "Files that are not uploaded, by state: settling, waiting, in_flight."}, []string{"state"}),
		oldest: newGauge("oldest_file_timestamp_seconds", "Modification time of the oldest file that is not uploaded; 0 without one."),
	}
	m.status(spool.Status{})
	m.register.MustRegister(m.queue, m.oldest)
	return m
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
	m.setUp(s.Down)
}

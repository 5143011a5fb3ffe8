package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/fleet"
)

// workerMetrics are the metrics of a worker. Each has its name as a label.
type workerMetrics struct {
	*metrics
	takeovers  prometheus.Counter
	leaseWaits prometheus.Counter
	queue      *prometheus.GaugeVec
}

func newWorkerMetrics(name string) *workerMetrics {
	m := &workerMetrics{
		metrics: newMetrics(prometheus.Labels{"worker": name}, string(fleet.Uploaded), string(fleet.Already), string(fleet.Retried),
			string(fleet.SetAside), string(fleet.Held), string(fleet.Released)),
		takeovers:  newCounter("takeovers_total", "Uploads of another worker, or of an earlier process, that were resumed."),
		leaseWaits: newCounter("lease_waits_total", "Jobs that were put back because another worker held the upload."),
		queue: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "tusup", Name: "queue_jobs",
			Help: "Jobs of all workers, by state: waiting, in_flight, failed."}, []string{"state"}),
	}
	m.status(fleet.Status{}, "")
	m.register.MustRegister(m.takeovers, m.leaseWaits, m.queue)
	return m
}

// status sets the gauges.
func (m *workerMetrics) status(s fleet.Status, down string) {
	m.queue.WithLabelValues("waiting").Set(float64(s.Waiting))
	m.queue.WithLabelValues("in_flight").Set(float64(s.InFlight))
	m.queue.WithLabelValues("failed").Set(float64(s.Failed))
	m.setUp(down)
}

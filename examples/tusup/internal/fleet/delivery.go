package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// delivery is a job that this worker has taken. It must end with done, later, release or
// giveUp.
type delivery struct {
	job     Job
	key     string
	times   int // that the job was delivered
	queue   *Queue
	message jetstream.Msg
	invalid error // the message is not a job
}

// next waits for a job. It returns nil if none came within fetchWait.
func (q *Queue) next() (*delivery, error) {
	batch, err := q.consumer.Fetch(1, jetstream.FetchMaxWait(fetchWait))
	if err != nil {
		return nil, err
	}
	m, ok := <-batch.Messages()
	if !ok {
		return nil, batch.Error()
	}
	d := &delivery{queue: q, message: m, key: strings.TrimPrefix(m.Subject(), q.subject("jobs", ""))}
	if meta, err := m.Metadata(); err == nil {
		d.times = int(meta.NumDelivered)
	}
	if d.invalid = json.Unmarshal(m.Data(), &d.job); d.invalid == nil {
		d.invalid = d.job.Validate()
	}
	return d, nil
}

// renew extends the time of this worker for the job until ctx ends.
func (d *delivery) renew(ctx context.Context) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = d.message.InProgress() // if it fails, the lease still protects the upload
		}
	}
}

// done removes the job from the queue. It returns when the queue has acknowledged that.
func (d *delivery) done(ctx context.Context) error {
	return retried(ctx, d.message.DoubleAck)
}

// later returns the job to the queue, for an attempt after a delay.
func (d *delivery) later(delay time.Duration) error { return d.message.NakWithDelay(delay) }

// release returns the job to the queue, for another worker.
func (d *delivery) release() error { return d.message.Nak() }

// giveUp moves the job to those that failed.
func (d *delivery) giveUp(ctx context.Context, f Failure) error {
	data, err := json.Marshal(failed{Job: d.job, Failure: f})
	if err != nil {
		return err
	}
	err = retried(ctx, func(ctx context.Context) error {
		_, err := d.queue.js.Publish(ctx, d.queue.subject("failed", d.key), data)
		return err
	})
	if err != nil {
		return fmt.Errorf("storing the failure: %w", err)
	}
	return d.message.TermWithReason(f.Error)
}

package main

import (
	"context"
	"errors"
	"log"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

// uploader works jobs.
type uploader struct {
	client    *tus.Client
	clock     storage.Clock
	heartbeat time.Duration
}

// run works jobs, one at a time, until ctx is done.
func (u *uploader) run(ctx context.Context, queue jetstream.Consumer) {
	for ctx.Err() == nil {
		job, err := queue.Next(jetstream.FetchMaxWait(time.Second))
		switch {
		case err == nil:
			err = u.work(ctx, job)
		case errors.Is(err, nats.ErrTimeout): // no job
			continue
		default: // no server
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
		if err != nil {
			log.Print(err)
		}
	}
}

// work uploads the file of a job, and acknowledges the job or returns it to the queue.
func (u *uploader) work(ctx context.Context, job jetstream.Msg) error {
	path := string(job.Data())
	stop := u.beat(job)
	result, err := u.client.UploadFile(ctx, path, &tus.UploadOptions{Held: tus.HeldFail, CreationLimit: -1})
	stop()
	var held *tus.HeldError
	switch {
	case err == nil:
		log.Printf("%s: %s, sent %d bytes", path, result.URL, result.Stats.Uploaded)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return job.DoubleAck(ctx) // a job whose acknowledgment is lost is repeated
	case errors.As(err, &held):
		return job.NakWithDelay(u.remaining(ctx, held))
	case ctx.Err() != nil: // this worker stops
		return job.Nak()
	}
	return errors.Join(err, job.NakWithDelay(time.Minute))
}

// beat keeps the queue from delivering a job to another worker, until stop is called.
func (u *uploader) beat(job jetstream.Msg) (stop func()) {
	ended, beating := make(chan struct{}), sync.WaitGroup{}
	beating.Go(func() {
		for ticker := time.NewTicker(u.heartbeat); ; {
			select {
			case <-ended:
				ticker.Stop()
				return
			case <-ticker.C:
				_ = job.InProgress() // if it is lost, the lease still keeps others away
			}
		}
	})
	return func() { close(ended); beating.Wait() }
}

// remaining returns how long the lease of another worker runs. The clock of this machine may
// differ from that of the store.
func (u *uploader) remaining(ctx context.Context, held *tus.HeldError) time.Duration {
	now, err := u.clock.Now(ctx)
	if err != nil {
		return time.Minute
	}
	return max(0, held.Until.Sub(now)) + time.Second
}

package fleet

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// ackWait is how long a worker may be silent before its job is given to another one.
	// That worker waits for the lease of the upload, so this is shorter than a lease: it
	// bounds the takeover on the same machine, where a dead worker is detected at once.
	ackWait = 15 * time.Second
	// heartbeat is the time between two signs of life of a job.
	heartbeat = 4 * time.Second
	// fetchWait is how long one request for a job waits, and so how long a worker without
	// jobs takes to end: it must not leave while a job may be on its way to it.
	fetchWait = time.Second
	// keepFailed is how long a job that failed for good is listed.
	keepFailed = 30 * 24 * time.Hour
	// consumerName is the name of the consumer that all workers share.
	consumerName = "workers"
)

// Queue is a queue of jobs. A job stays in it until its upload is complete, or until it failed
// for good.
type Queue struct {
	js       jetstream.JetStream
	bucket   string
	jobs     jetstream.Stream
	failed   jetstream.Stream
	consumer jetstream.Consumer
}

// OpenQueue opens the queue, and creates it if it does not exist.
func (e *Engine) OpenQueue(ctx context.Context) (*Queue, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	q := &Queue{js: e.js, bucket: e.address.bucket}
	var err error
	q.jobs, err = e.stream(ctx, jetstream.StreamConfig{
		Name: q.bucket + "-jobs", Description: "tusup: jobs", Subjects: []string{q.subject("jobs", "*")},
		Retention: jetstream.WorkQueuePolicy,
	})
	if err != nil {
		return nil, err
	}
	q.failed, err = e.stream(ctx, jetstream.StreamConfig{
		Name: q.bucket + "-failed", Description: "tusup: jobs that failed", Subjects: []string{q.subject("failed", "*")},
		MaxMsgsPerSubject: 1, MaxAge: keepFailed,
	})
	if err != nil {
		return nil, err
	}
	err = retried(ctx, func(ctx context.Context) (err error) {
		q.consumer, err = q.jobs.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
			MaxDeliver: -1, MaxAckPending: -1,
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("consumer %s of stream %s-jobs: %w", consumerName, q.bucket, err)
	}
	return q, nil
}

// stream opens a stream, and creates it if it does not exist.
func (e *Engine) stream(ctx context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	replicas, err := e.replicasOf(ctx, config.Name)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", config.Name, err)
	}
	config.Storage, config.Replicas = jetstream.FileStorage, replicas
	var s jetstream.Stream
	err = retried(ctx, func(ctx context.Context) (err error) {
		s, err = e.js.Stream(ctx, config.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			s, err = e.js.CreateStream(ctx, config)
		}
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
			s, err = e.js.Stream(ctx, config.Name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", config.Name, err)
	}
	if got := s.CachedInfo().Config; got.Retention != config.Retention || replicas > 0 && got.Replicas != replicas {
		return nil, fmt.Errorf("stream %s has retention %v and %d replicas, and must have %v and %d",
			config.Name, got.Retention, got.Replicas, config.Retention, replicas)
	}
	return s, nil
}

func (q *Queue) subject(stream, key string) string { return q.bucket + "." + stream + "." + key }

// Add adds a job. It returns false if the job is in the queue already. If the job failed
// before, its failure is removed.
//
// The subject of a job is its key, and the server stores it only if there is no message with
// this subject: unlike a message ID, that has no time limit, and lets a job that is complete
// be added again. The message ID is for a request whose response was lost.
func (q *Queue) Add(ctx context.Context, j Job) (added bool, err error) {
	if err := j.Validate(); err != nil {
		return false, err
	}
	key, data, err := j.key()
	if err != nil {
		return false, err
	}
	id := rand.Text()
	err = retried(ctx, func(ctx context.Context) error {
		_, err := q.js.Publish(ctx, q.subject("jobs", key), data, jetstream.WithMsgID(id), jetstream.WithExpectLastSequencePerSubject(0))
		return err
	})
	if isWrongSequence(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("adding a job: %w", err)
	}
	if err := q.failed.Purge(ctx, jetstream.WithPurgeSubject(q.subject("failed", key))); err != nil {
		return true, fmt.Errorf("removing an earlier failure: %w", err)
	}
	return true, nil
}

func isWrongSequence(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// retryTime is how long a request is repeated that got no response: a cluster that lost a
// server elects another leader.
const retryTime = 20 * time.Second

// retried calls do until it gets a response.
func retried(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, retryTime)
	defer cancel()
	for {
		attempt, end := context.WithTimeout(ctx, 2*time.Second)
		err := do(attempt)
		end()
		var api *jetstream.APIError
		if err == nil || errors.As(err, &api) && api.Code != 503 {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(nodeRetry):
		}
	}
}

// Status counts the jobs of a queue.
type Status struct {
	// Waiting are the jobs that no worker has taken.
	Waiting int
	// InFlight are the jobs that workers have taken, and those that are retried after a delay.
	InFlight int
	// Failed are the jobs that failed for good in the last 30 days.
	Failed int
}

// Status returns the numbers of jobs.
func (q *Queue) Status(ctx context.Context) (Status, error) {
	jobs, err := q.jobs.Info(ctx)
	if err != nil {
		return Status{}, err
	}
	failures, err := q.failed.Info(ctx)
	if err != nil {
		return Status{}, err
	}
	consumer, err := q.consumer.Info(ctx)
	if err != nil {
		return Status{}, err
	}
	s := Status{InFlight: consumer.NumAckPending, Failed: int(failures.State.Msgs)}
	s.Waiting = max(0, int(jobs.State.Msgs)-s.InFlight)
	return s, nil
}

// Queued calls yield for each job in the queue, the oldest first.
func (q *Queue) Queued(ctx context.Context, yield func(Job, time.Time)) error {
	return each(ctx, q.jobs, func(data []byte, added time.Time) error {
		var j Job
		if err := json.Unmarshal(data, &j); err != nil {
			return err
		}
		yield(j, added)
		return nil
	})
}

// Failed calls yield for each job that failed for good, the oldest first.
func (q *Queue) Failed(ctx context.Context, yield func(Job, Failure)) error {
	return each(ctx, q.failed, func(data []byte, _ time.Time) error {
		var f failed
		if err := json.Unmarshal(data, &f); err != nil {
			return err
		}
		yield(f.Job, f.Failure)
		return nil
	})
}

// each reads the messages of a stream by their sequences: a second consumer of a work queue
// is not possible.
func each(ctx context.Context, s jetstream.Stream, do func(data []byte, at time.Time) error) error {
	info, err := s.Info(ctx)
	if err != nil {
		return err
	}
	for next := max(info.State.FirstSeq, 1); next <= info.State.LastSeq; {
		m, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(">"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		next = m.Sequence + 1
		if err := do(m.Data, m.Time); err != nil {
			return fmt.Errorf("message %d of stream %s: %w", m.Sequence, info.Config.Name, err)
		}
	}
	return nil
}

package report

import "time"

// Queued is a source that tusup enqueue was given.
type Queued struct {
	Name
	Endpoint string `json:"endpoint"`
	Queued   bool   `json:"queued" jsonschema_description:"False if the source was in the queue already."`
}

// QueuedSummary is the last object of tusup enqueue.
type QueuedSummary struct {
	Queued QueuedTotals `json:"enqueued"`
}

// QueuedTotals counts the sources that tusup enqueue was given.
type QueuedTotals struct {
	Added   int `json:"added" jsonschema_description:"Sources that were added to the queue."`
	Already int `json:"already_queued" jsonschema_description:"Sources that were in the queue already."`
	Failed  int `json:"failed" jsonschema_description:"Sources that cannot be added."`
}

// Job is a job in the queue, or one that failed.
type Job struct {
	Name
	Endpoint string    `json:"endpoint"`
	State    JobState  `json:"state" jsonschema:"enum=queued,enum=failed"`
	Time     time.Time `json:"time" jsonschema_description:"When the job was added to the queue, or when it failed."`
	Attempts int       `json:"attempts,omitempty" jsonschema_description:"Failed attempts of the worker that moved the job to the failed ones."`
	Worker   string    `json:"worker,omitempty" jsonschema_description:"Name of this worker."`
	Reason   string    `json:"reason,omitempty" jsonschema_description:"Text for people, without credentials. It may change."`
}

// JobState is the state of a job.
type JobState string

// The states of jobs.
const (
	JobQueued JobState = "queued"
	JobFailed JobState = "failed"
)

// QueueSummary is the last object of tusup queue.
type QueueSummary struct {
	Queue QueueTotals `json:"queue"`
}

// QueueTotals counts the jobs of a queue.
type QueueTotals struct {
	Waiting  int `json:"waiting" jsonschema_description:"Jobs that no worker has."`
	InFlight int `json:"in_flight" jsonschema_description:"Jobs that workers have, or that are retried after a delay."`
	Failed   int `json:"failed" jsonschema_description:"Jobs that failed in the last 30 days."`
}

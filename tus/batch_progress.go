package tus

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"
)

// BatchProgress is the progress of a batch at one moment. See [BatchCounter].
type BatchProgress struct {
	// Files is the number of jobs that have started, or the number passed to
	// [BatchCounter.Expect] if that is larger.
	Files int
	// Done is the number of complete jobs, and Skipped the number of those that were
	// complete before ([Result.AlreadyComplete]).
	Done, Skipped int
	// Failed is the number of jobs that ended with an error. Paused jobs are in neither
	// Done nor Failed.
	Failed int
	// Sent is the number of bytes that are acknowledged or in flight, including earlier
	// sessions. It decreases when bytes in flight are lost.
	Sent int64
	// Total is the size of all files in bytes. A failed job counts with its acknowledged
	// bytes. While TotalUnknown is set, it is the size of those that have started, as far as
	// it is known.
	Total int64
	// TotalUnknown is set while further jobs may follow, unless their size was passed to
	// Expect, and while a stream of unknown size is uploaded.
	TotalUnknown bool
	// Rate is the number of bytes per second that this session sent in the last 5 seconds;
	// 0 in the first second.
	Rate int64
}

// Remaining returns how long the rest takes at Rate; 0 if Rate is 0 or the total is unknown.
func (p BatchProgress) Remaining() time.Duration {
	if p.TotalUnknown {
		return 0
	}
	return remaining(p.Total-p.Sent, p.Rate)
}

// BatchCounter counts the files and bytes of batches. The zero value is ready to use. Pass
// the jobs through [BatchCounter.Jobs] to [Client.UploadAll], and call
// [BatchCounter.Progress] from any goroutine, for example for each tick of a timer.
type BatchCounter struct {
	mu   sync.Mutex
	now  BatchProgress // without the fields that Progress computes
	rate movingRate    // of the bytes sent by this session, without lost ones

	open    int // number of iterators that have not ended
	unsized int // number of running jobs whose size is not known yet
	streams int // number of running jobs of unknown size

	expected bool
	files    int   // passed to Expect
	bytes    int64 // passed to Expect, without what failed jobs do not send
}

// Jobs returns an iterator of the same jobs that are counted in c. A job that passes two
// counters is counted in the last. The iterator can be used once.
func (c *BatchCounter) Jobs(jobs iter.Seq[Job]) iter.Seq[Job] {
	if jobs == nil {
		return nil // an error of UploadAll
	}
	c.mu.Lock()
	c.open++
	c.mu.Unlock()
	return func(yield func(Job) bool) {
		defer func() {
			c.mu.Lock()
			c.open--
			c.mu.Unlock()
		}()
		for job := range jobs {
			job.counter = c
			if !yield(job) {
				return
			}
		}
	}
}

// Expect adds files and bytes to those that the progress is measured against until all
// jobs have started. Without it, the total is unknown until then. If a part of the bytes is
// not known, do not call it.
func (c *BatchCounter) Expect(files int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected = true
	c.files += files
	c.bytes += bytes
}

// Progress returns the current progress.
func (c *BatchCounter) Progress() BatchProgress {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, more := c.now, c.open > 0 || c.unsized > 0
	p.Files = max(p.Files, c.files)
	p.TotalUnknown = c.streams > 0 || more && !c.expected
	if more && c.expected {
		p.Total = max(p.Total, c.bytes)
	}
	p.Rate = c.rate.perSecond(time.Now())
	return p
}

// batchItem is a job that is counted. Its fields are guarded by the mutex of the counter.
type batchItem struct {
	counter *BatchCounter
	ended   bool
	sent    int64 // bytes acknowledged or in flight
	resumed int64 // bytes of earlier sessions
	size    int64 // 0 if unknown
	sized   bool
	stream  bool
}

// start counts a job, and returns the options with which it is counted. If the counter is
// nil, it returns a nil item, which ignores all calls.
func (c *BatchCounter) start(opts *UploadOptions) (*batchItem, *UploadOptions) {
	if c == nil {
		return nil, opts
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Files++
	c.unsized++
	i := &batchItem{counter: c}
	counted := UploadOptions{}
	if opts != nil {
		counted = *opts
	}
	next := counted.Hooks.OnProgress
	counted.Hooks.OnProgress = func(u *Uploader, p Progress) {
		i.progress(p, u.Stats().ResumedFrom)
		if next != nil {
			next(u, p)
		}
	}
	return i, &counted
}

func (i *batchItem) progress(p Progress, resumed int64) {
	i.counter.mu.Lock()
	defer i.counter.mu.Unlock()
	if i.ended {
		return
	}
	i.sizes(p.Size, !p.SizeUnknown, p.SizeUnknown)
	i.moves(p.Acknowledged+p.InFlight, resumed)
}

// end counts the result. ctx is that of the upload.
func (i *batchItem) end(ctx context.Context, r *Result, err error) {
	if i == nil {
		return
	}
	c := i.counter
	c.mu.Lock()
	defer c.mu.Unlock()
	i.ended = true
	i.moves(r.Offset, r.Stats.ResumedFrom)
	switch {
	case err == nil:
		c.now.Done++
		if r.AlreadyComplete {
			c.now.Skipped++
		}
		i.sizes(r.Offset, true, false)
	case ctx.Err() != nil || errors.Is(err, ErrPaused):
		i.sizes(max(i.size, r.Size), true, false)
	default:
		c.now.Failed++
		c.bytes -= max(0, max(i.size, r.Size)-r.Offset)
		i.sizes(r.Offset, true, false)
	}
}

// moves sets the number of bytes sent. It requires the mutex.
func (i *batchItem) moves(sent, resumed int64) {
	c := i.counter
	c.now.Sent += sent - i.sent
	c.rate.add(time.Now(), c.rate.count+max(0, sent-resumed)-max(0, i.sent-i.resumed))
	i.sent, i.resumed = sent, resumed
}

// sizes sets what is known of the size. It requires the mutex.
func (i *batchItem) sizes(size int64, sized, stream bool) {
	c := i.counter
	if !sized {
		size = 0
	}
	c.now.Total += size - i.size
	c.unsized += oneIf(!sized) - oneIf(!i.sized)
	c.streams += oneIf(stream) - oneIf(i.stream)
	i.size, i.sized, i.stream = size, sized, stream
}

func oneIf(is bool) int {
	if is {
		return 1
	}
	return 0
}

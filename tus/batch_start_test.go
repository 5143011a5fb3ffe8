package tus_test

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// started keeps the uploaders of a batch by the index of their job.
type started struct {
	mu sync.Mutex
	by map[int]*tus.Uploader
}

func (s *started) keep(job tus.Job, u *tus.Uploader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[int]*tus.Uploader{}
	}
	s.by[job.Tag.(int)] = u
}

func (s *started) of(job int) *tus.Uploader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[job]
}

func TestOnStart_PausedJobsResume(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("creation-with-upload")})
	data, all := randomBytes(3000), &started{}
	const (
		paused   = iota // before it starts
		underway        // paused after a third
		stream          // paused after a third
		aborted
		left
		jobs
	)
	var requests [jobs]int
	batch := func(yield func(tus.Job) bool) {
		for i := range jobs {
			opts, once := chunked(), sync.Once{}
			opts.Hooks = tus.Hooks{
				BeforeRequest: func(*http.Request) error { requests[i]++; return nil },
				OnProgress: func(u *tus.Uploader, p tus.Progress) {
					if (i == underway || i == stream) && p.Acknowledged == 1000 {
						once.Do(u.Pause)
					}
				},
			}
			source := tus.Bytes(data)
			if i == stream {
				source = tus.Reader(bytes.NewReader(data))
			}
			if !yield(tus.Job{Source: source, Options: opts, Tag: i}) {
				return
			}
		}
	}
	results := map[int]tus.BatchResult{}
	for r := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), batch, &tus.BatchOptions{
		Concurrency: 2, StopOnError: true, // nothing fails
		OnStart: func(job tus.Job, u *tus.Uploader) {
			all.keep(job, u)
			switch job.Tag {
			case paused:
				u.Pause()
			case aborted:
				if err := u.Abort(context.Background()); err != nil {
					t.Error(err)
				}
			}
		},
	}) {
		results[r.Job.Tag.(int)] = r
	}
	for job, want := range [jobs]error{tus.ErrPaused, tus.ErrPaused, tus.ErrPaused, tus.ErrAborted, nil} {
		r := results[job]
		if want != nil {
			wantError(t, r.Err, want)
		} else if r.Err != nil {
			t.Error(r.Err)
		}
		if u := all.of(job); r.Result == nil || r.Result.URL != u.URL() || r.Result.Offset != u.Offset() {
			t.Errorf("job %d ended with %+v, its uploader is at %d of %q", job, r.Result, u.Offset(), u.URL())
		}
	}
	if requests[paused] != 0 || requests[aborted] != 0 || requests[underway] == 0 {
		t.Errorf("requests of the jobs: %v", requests)
	}
	for _, job := range []int{paused, underway, stream, left} {
		u := all.of(job)
		if want := map[int]int64{underway: 1000, stream: 1000, left: 3000}[job]; u.Offset() != want {
			t.Errorf("job %d is at %d, want %d", job, u.Offset(), want)
		}
		if _, err := u.Run(testContext(t)); err != nil {
			t.Errorf("job %d: %v", job, err)
		}
		wantStored(t, srv.Handler, u.URL(), data)
	}
	if _, err := all.of(aborted).Run(testContext(t)); err == nil {
		t.Error("Run of an aborted upload succeeded")
	} else {
		wantError(t, err, tus.ErrAborted)
	}
	if n := bytesReceived(srv); n != 4*3000 {
		t.Errorf("%d bytes were received", n)
	}
}

func TestOnStart_NotCalledForInvalidJob(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	batch := slices.Values([]tus.Job{{}, {Source: tus.Bytes(nil), Options: &tus.UploadOptions{ChunkSize: -1}}})
	results := 0
	for r := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), batch, &tus.BatchOptions{
		OnStart: func(job tus.Job, _ *tus.Uploader) { t.Errorf("OnStart was called for job %+v", job) },
	}) {
		results++
		wantError(t, r.Err, tus.ErrInvalidInput)
		if r.Result == nil {
			t.Error("no result")
		}
	}
	if results != 2 {
		t.Errorf("%d results", results)
	}
}

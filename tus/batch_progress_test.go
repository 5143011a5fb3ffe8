package tus_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// exact returns the progress without the rate and the time left.
func exact(c *tus.BatchCounter) tus.BatchProgress {
	p := c.Progress()
	p.Rate = 0
	return p
}

func wantBatch(t *testing.T, c *tus.BatchCounter, want tus.BatchProgress) {
	t.Helper()
	if got := exact(c); got != want {
		t.Errorf("progress is %+v,\nwant %+v", got, want)
	}
}

func TestBatchCounter_CountsResults(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}, RememberCompleted: time.Hour})
	jobs := bytesJobs(10) // 100 to 109 bytes
	if _, err := client.Upload(testContext(t), jobs[0].Source, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Upload(testContext(t), jobs[1].Source, &tus.UploadOptions{ChunkSize: 10, StopAt: 50}); err == nil {
		t.Fatal("upload is complete")
	}
	jobs[2].Source = tus.File(filepath.Join(t.TempDir(), "missing"))
	jobs[3].Options = &tus.UploadOptions{ChunkSize: -1} // fails before there is an Uploader
	jobs[4].Options = &tus.UploadOptions{ChunkSize: 10, StopAt: 40}
	jobs[5].Source = tus.Reader(io.LimitReader(zeros{}, 105))
	jobs[5].Tag = make([]byte, 105)
	jobs[6].Options = &tus.UploadOptions{Parallel: 3, ParallelOptions: tus.ParallelOptions{MinPartSize: 30}}
	calls := 0
	jobs[7].Options = &tus.UploadOptions{Hooks: tus.Hooks{OnProgress: func(*tus.Uploader, tus.Progress) { calls++ }}}
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if r.Header.Get("Upload-Length") == "108" {
			tustest.Respond(403, "")(w, r, h)
			return
		}
		h.Serve(w, r)
	}})

	var c tus.BatchCounter
	wantBatch(t, &c, tus.BatchProgress{})
	for r, err := range client.UploadAll(testContext(t), c.Jobs(slices.Values(jobs)), 3) {
		n := len(r.Job.Tag.([]byte)) - 100
		switch n {
		case 2, 3, 4, 8:
			if err == nil {
				t.Errorf("job %d did not fail", n)
			}
		default:
			wantJobStored(t, srv.Handler, r, err)
		}
		if r.Job.Options != jobs[n].Options {
			t.Errorf("options of job %d were replaced", n)
		}
	}
	// 100+101+105+106+107+109 complete, 40 of 104 paused.
	wantBatch(t, &c, tus.BatchProgress{Files: 10, Done: 6, Skipped: 1, Failed: 3, Sent: 628 + 40, Total: 628 + 104})
	if calls == 0 {
		t.Error("the job's own hook was not called")
	}
}

func TestBatchCounter_TotalIsKnownWhenAllStarted(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	jobs := bytesJobs(4)
	for _, expect := range []bool{false, true} {
		var c tus.BatchCounter
		if expect {
			c.Expect(3, 306)
			c.Expect(1, 100)
		}
		n := 0
		for _, err := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), c.Jobs(slices.Values(jobs)), 1) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			p := c.Progress()
			switch {
			case p.TotalUnknown != (!expect && n < 4) || p.Files < n || p.Files > 4 || p.Done != n:
				t.Errorf("progress after %d files, expected %v: %+v", n, expect, p)
			case expect && (p.Files != 4 || p.Total != 406):
				t.Errorf("progress is %+v, expected 4 files", p)
			}
		}
		wantBatch(t, &c, tus.BatchProgress{Files: 4, Done: 4, Sent: 406, Total: 406})
	}
}

func TestBatchCounter_ExpectedBytesOfFailedJobAreRemoved(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.Respond(403, "")})
	jobs := bytesJobs(3)
	for i := range jobs {
		jobs[i].Options = &tus.UploadOptions{ChunkSize: 10, CreationLimit: -1}
	}
	var c tus.BatchCounter
	c.Expect(3, 303)
	results := newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), c.Jobs(slices.Values(jobs)), 1)
	next, stop := iter.Pull2(results)
	defer stop()
	if _, err, _ := next(); err == nil {
		t.Fatal("the first job did not fail")
	}
	if p := c.Progress(); p.Failed != 1 || p.Total != 30+101+102 || p.TotalUnknown {
		t.Errorf("progress is %+v", p)
	}
	next()
	next()
	next()
	wantBatch(t, &c, tus.BatchProgress{Files: 3, Done: 2, Failed: 1, Sent: 30 + 101 + 102, Total: 30 + 101 + 102})
}

func TestBatchCounter_StreamHasUnknownTotal(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	var c tus.BatchCounter
	c.Expect(1, 0)
	seen := false
	job := tus.Job{Source: tus.Reader(io.LimitReader(zeros{}, 100)), Options: &tus.UploadOptions{ChunkSize: 30, Hooks: tus.Hooks{
		OnProgress: func(_ *tus.Uploader, p tus.Progress) { seen = seen || p.SizeUnknown && c.Progress().TotalUnknown },
	}}}
	for _, err := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), c.Jobs(slices.Values([]tus.Job{job})), 0) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !seen {
		t.Error("the total was known before the stream ended")
	}
	wantBatch(t, &c, tus.BatchProgress{Files: 1, Done: 1, Sent: 100, Total: 100})
}

func TestBatchCounter_RateOfThisSession(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		const size = 100_000
		data := randomBytes(size)
		store := &storage.Memory{}
		stopped := &tus.UploadOptions{ChunkSize: 1000, StopAt: size / 2}
		if _, err := newClient(&tus.Options{Store: store}).Upload(t.Context(), tus.Bytes(data), stopped); err == nil {
			t.Fatal("upload is complete")
		}
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(time.Second)})
		jobs := []tus.Job{{Source: tus.Bytes(data), Options: &tus.UploadOptions{ChunkSize: 1000}, Tag: data}}
		var c tus.BatchCounter
		var uploads sync.WaitGroup
		begin := time.Now()
		uploads.Go(func() {
			for r, err := range newClient(&tus.Options{Store: store}).UploadAll(t.Context(), c.Jobs(slices.Values(jobs)), 0) {
				wantJobStored(t, h, r, err)
			}
		})
		// 50 chunks of one second are left.
		time.Sleep(3*time.Second + time.Millisecond)
		if p := c.Progress(); p.Rate < 500 || p.Rate > 1500 {
			t.Errorf("progress after %v is %+v", time.Since(begin), p)
		}
		time.Sleep(17 * time.Second)
		synctest.Wait()
		p := c.Progress()
		if math.Abs(float64(p.Rate)-1000) > 250 || p.Remaining() < 24*time.Second || p.Remaining() > 40*time.Second {
			t.Errorf("progress after %v is %+v", time.Since(begin), p)
		}
		if p.Sent < size/2+20_000 || p.Sent > size/2+22_000 {
			t.Errorf("%d bytes were sent", p.Sent)
		}
		uploads.Wait()
		time.Sleep(10 * time.Second)
		if p := c.Progress(); p.Rate != 0 || p.Remaining() != 0 {
			t.Errorf("progress after the end is %+v", p)
		}
	})
}

func TestBatchCounter_SkippedFilesHaveNoRate(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		client := newClient(&tus.Options{Store: &storage.Memory{}, RememberCompleted: time.Hour})
		for range 2 {
			var c tus.BatchCounter
			jobs := bytesJobs(3)
			for _, err := range client.UploadAll(t.Context(), c.Jobs(slices.Values(jobs)), 1) {
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				p := c.Progress()
				if skipped := p.Skipped > 0; skipped == (p.Rate > 0) {
					t.Errorf("progress is %+v", p)
				}
			}
		}
	})
}

func TestBatchCounter_CanceledJobsAreNotFailed(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	jobs := bytesJobs(20)
	for i := range jobs {
		jobs[i].Options = &tus.UploadOptions{ChunkSize: 10, CreationLimit: -1, Hooks: tus.Hooks{OnProgress: func(_ *tus.Uploader, p tus.Progress) {
			if p.Acknowledged >= 50 {
				cancel()
			}
		}}}
	}
	var c tus.BatchCounter
	for range newClient(t, srv.Endpoint(), nil).UploadAll(ctx, c.Jobs(slices.Values(jobs)), 1) {
	}
	wantBatch(t, &c, tus.BatchProgress{Files: 1, Sent: 50, Total: 100})
}

func TestBatchCounter_PolledDuringBatch(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprintf("%d/%d", i%7, i))
	}
	dir := tree(t, names...)
	var c tus.BatchCounter
	end, polled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(polled)
		for last := (tus.BatchProgress{}); ; {
			p := c.Progress()
			if p.Done < last.Done || p.Files < last.Files || p.Done > p.Files || p.Sent < 0 || p.Rate < 0 || p.Remaining() < 0 {
				t.Errorf("progress was %+v, now %+v", last, p)
			}
			last = p
			select {
			case <-end:
				return
			default:
			}
		}
	}()
	for r, err := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), c.Jobs(tus.DirJobs(os.DirFS(dir), nil)), 6) {
		if err != nil {
			t.Errorf("%v: %v", r.Job.Tag, err)
		}
	}
	close(end)
	<-polled
	if p := c.Progress(); p.Done != 60 || p.Files != 60 || p.Sent != p.Total || p.TotalUnknown {
		t.Errorf("progress is %+v", p)
	}
}

func TestBatchCounter_NoIteratorIsAnErrorOfUploadAll(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	var c tus.BatchCounter
	for _, err := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), c.Jobs(nil), 0) {
		wantError(t, err, tus.ErrInvalidInput)
	}
	wantBatch(t, &c, tus.BatchProgress{})
	for range c.Jobs(slices.Values(bytesJobs(3))) {
		break
	}
	wantBatch(t, &c, tus.BatchProgress{})
}

package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// bytesJobs makes n jobs of different sizes, with their data as the tag.
func bytesJobs(n int) []tus.Job {
	var jobs []tus.Job
	for i := range n {
		data := randomBytes(100 + i)
		jobs = append(jobs, tus.Job{Source: tus.Bytes(data), Tag: data})
	}
	return jobs
}

// notifyDrawn yields jobs, and calls drawn with the number of each before it.
func notifyDrawn(jobs []tus.Job, drawn func(n int)) iter.Seq[tus.Job] {
	return func(yield func(tus.Job) bool) {
		for i, job := range jobs {
			drawn(i + 1)
			if !yield(job) {
				return
			}
		}
	}
}

// wantJobStored fails unless the result is that of a complete upload of its tag.
func wantJobStored(t *testing.T, h *tustest.Handler, r *tus.Result, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("job %v: %v", r.Job.Source, err)
		return
	}
	wantStored(t, h, r.URL, r.Job.Tag.([]byte))
}

func TestUploadAll_YieldsResultOfEachJob(t *testing.T) {
	for _, concurrency := range []int{0, 1, 3, 50} {
		srv := tustest.NewServer(t, nil)
		jobs := bytesJobs(20)
		jobs[3].Options = &tus.UploadOptions{ChunkSize: 30}
		jobs[7].Options = &tus.UploadOptions{Parallel: 3, ParallelOptions: tus.ParallelOptions{MinPartSize: 30}}
		jobs[9].Source = tus.Reader(bytes.NewReader(jobs[9].Tag.([]byte)))
		jobs[9].Options = &tus.UploadOptions{ChunkSize: 30}
		seen := map[int]bool{}
		for r, err := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), slices.Values(jobs), concurrency) {
			wantJobStored(t, srv.Handler, r, err)
			n := len(r.Job.Tag.([]byte)) - 100
			if seen[n] || r.Job.Source != jobs[n].Source || r.Job.Options != jobs[n].Options || r.Offset != int64(100+n) {
				t.Errorf("result of job %d is %+v", n, r)
			}
			seen[n] = true
		}
		if len(seen) != 20 {
			t.Errorf("%d results", len(seen))
		}
	}
}

func TestUploadAll_NoJobsNoResults(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	for r := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), slices.Values([]tus.Job(nil)), 0) {
		t.Errorf("result %+v", r)
	}
	wantMethods(t, srv.Handler)
}

func TestUploadAll_InvalidArgumentYieldsOneError(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	for name, results := range map[string]iter.Seq2[*tus.Result, error]{
		"negative concurrency": client.UploadAll(testContext(t), slices.Values(bytesJobs(3)), -1),
		"no iterator":          client.UploadAll(testContext(t), nil, 0),
	} {
		n := 0
		for r, err := range results {
			n++
			if !errors.Is(err, tus.ErrInvalidInput) || r == nil {
				t.Errorf("%s: result is %+v", name, r)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d results", name, n)
		}
	}
	wantMethods(t, srv.Handler)
}

func TestUploadAll_FailedJobDoesNotStopOthers(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if r.Header.Get("Upload-Length") == "104" {
			tustest.Respond(403, "not this one")(w, r, h)
			return
		}
		h.Serve(w, r)
	}})
	jobs := bytesJobs(12)
	jobs[0].Source = nil
	jobs[1].Source = tus.File(filepath.Join(t.TempDir(), "missing"))
	jobs[2].Options = &tus.UploadOptions{ChunkSize: -1}
	jobs[3].Source = brokenSource{errUnplugged}
	want := map[int]error{0: tus.ErrInvalidInput, 1: fs.ErrNotExist, 2: tus.ErrInvalidInput, 3: errUnplugged, 4: tus.ErrUnauthorized}
	results := 0
	for r, err := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), slices.Values(jobs), 0) {
		results++
		if r == nil {
			t.Fatalf("no result with %v", err)
		}
		n := len(r.Job.Tag.([]byte)) - 100
		if want[n] == nil {
			wantJobStored(t, srv.Handler, r, err)
		} else if !errors.Is(err, want[n]) {
			t.Errorf("job %d: error is %v, want %v", n, err, want[n])
		}
	}
	if results != 12 {
		t.Errorf("%d results", results)
	}
}

func TestUploadAll_BlockedJobsDoNotDelayResults(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	both := make(chan struct{})
	jobs := func(yield func(tus.Job) bool) {
		first := bytesJobs(2)
		if !yield(first[0]) || !yield(first[1]) {
			return
		}
		<-both // closed when both results are there
		if yield(bytesJobs(3)[2]) {
			<-ctx.Done() // as an iterator of future jobs does
		}
	}
	results := 0
	for r, err := range newClient(t, srv.Endpoint(), nil).UploadAll(ctx, jobs, 0) {
		wantJobStored(t, srv.Handler, r, err)
		switch results++; results {
		case 2:
			close(both)
		case 3:
			cancel()
		}
	}
	if results != 3 {
		t.Errorf("%d results", results)
	}
}

func TestUploadAll_DrawsJobsAsUploadsEnd(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	var received atomic.Int64
	var inside atomic.Int64
	jobs := notifyDrawn(bytesJobs(60), func(n int) {
		if inside.Add(1) != 1 {
			t.Error("two goroutines draw at the same time")
		}
		// One result may not have reached the loop yet.
		if ahead := int64(n) - received.Load(); ahead > 3+1 {
			t.Errorf("job %d is drawn after %d results", n, received.Load())
		}
		inside.Add(-1)
	})
	for r, err := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), jobs, 3) {
		received.Add(1)
		wantJobStored(t, srv.Handler, r, err)
	}
	if received.Load() != 60 {
		t.Errorf("%d results", received.Load())
	}
}

func TestUploadAll_ReachesConcurrency(t *testing.T) {
	for concurrency, want := range map[int]int{0: 4, 1: 1, 7: 7} {
		srv := tustest.NewServer(t, nil)
		together := newRequestBarrier(want)
		var busy gauge
		srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			busy.add(1)
			defer busy.add(-1)
			together.wait(r.Context())
			h.Serve(w, r)
		}}, tustest.Fault{Times: -1, Action: busy.serve})
		for r, err := range newClient(t, srv.Endpoint(), nil).UploadAll(testContext(t), slices.Values(bytesJobs(4*want)), concurrency) {
			wantJobStored(t, srv.Handler, r, err)
		}
		if busy.most != want {
			t.Errorf("concurrency %d: %d requests at the same time", concurrency, busy.most)
		}
	}
}

func TestUploadAll_SmallJobTakesOneRequest(t *testing.T) {
	const n = 2000
	for name, store := range map[string]storage.Store{"no store": nil, "store": &storage.Memory{}} {
		srv := tustest.NewServer(t, nil)
		var busy gauge
		srv.Inject(tustest.Fault{Times: -1, Action: busy.serve})
		client := newClient(t, srv.Endpoint(), &tus.Options{MaxConnections: 6, Store: store})
		data := randomBytes(n + 100)
		jobs := func(yield func(tus.Job) bool) {
			for i := range n {
				if !yield(tus.Job{Source: tus.Bytes(data[i : i+100]), Tag: data[i : i+100]}) {
					return
				}
			}
		}
		for r, err := range client.UploadAll(testContext(t), jobs, 8) {
			wantJobStored(t, srv.Handler, r, err)
		}
		requests := srv.Requests()
		if len(requests) != n+1 || requests[0].Method != "OPTIONS" || srv.Count("POST") != n || busy.most > 6 {
			t.Errorf("%s: %d requests, %d of them POST, %d at the same time", name, len(requests), srv.Count("POST"), busy.most)
		}
		if memory, ok := store.(*storage.Memory); ok {
			wantNothingKept(t, memory)
		}
	}
}

func TestUploadAll_JobOfFileHasItsName(t *testing.T) {
	srv, dir := tustest.NewServer(t, nil), t.TempDir()
	var jobs []tus.Job
	want := map[string][]byte{}
	for i := range 5 {
		path := filepath.Join(dir, fmt.Sprint("file ", i))
		want[path] = randomBytes(1000 * i)
		if err := os.WriteFile(path, want[path], 0o600); err != nil {
			t.Fatal(err)
		}
		job := tus.Job{Source: tus.File(path), Tag: path}
		if i == 4 {
			job.Options = &tus.UploadOptions{Metadata: tus.Metadata{"filename": "file 4", "more": ""}, ChunkSize: 1000}
		}
		jobs = append(jobs, job)
	}
	results := 0
	client := newClient(t, srv.Endpoint(), nil)
	for r, err := range client.UploadAll(testContext(t), slices.Values(jobs), 0) {
		results++
		if err != nil {
			t.Fatal(err)
		}
		path := r.Job.Tag.(string)
		wantStored(t, srv.Handler, r.URL, want[path])
		info, err := client.Info(testContext(t), r.URL)
		if err != nil || info.Metadata["filename"] != filepath.Base(path) || !strings.HasPrefix(path, dir) {
			t.Errorf("metadata of %s is %v, %v", path, info.Metadata, err)
		}
	}
	if results != 5 {
		t.Errorf("%d results", results)
	}
}

func TestUploadAll_JobWithURLIsResumed(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(3000)
	client := newClient(t, srv.Endpoint(), nil)
	created, err := client.Create(testContext(t), tus.CreateOptions{Size: 3000})
	if err != nil {
		t.Fatal(err)
	}
	jobs := []tus.Job{{Source: tus.Bytes(data), URL: created.URL}, {Source: tus.Bytes(data), URL: "/relative"}}
	for r, err := range client.UploadAll(testContext(t), slices.Values(jobs), 0) {
		if r.Job.URL == created.URL {
			wantStored(t, srv.Handler, created.URL, data)
		} else {
			wantError(t, err, tus.ErrInvalidInput)
		}
	}
	wantMethods(t, srv.Handler, "POST", "HEAD", "PATCH")
}

func TestUploadAll_InterruptedIsResumed(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	jobs := bytesJobs(10)
	for i := range jobs {
		jobs[i].Options = &tus.UploadOptions{ChunkSize: 10, ResumeKey: fmt.Sprint(i)}
	}
	acknowledged, complete := int64(0), 0
	for r := range newClient(t, srv.Endpoint(), &tus.Options{Store: store}).UploadAll(testContext(t), slices.Values(jobs), 5) {
		acknowledged += r.Offset
		complete++
		break
	}
	sent := bytesReceived(srv)
	for r, err := range newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).UploadAll(testContext(t), slices.Values(jobs), 0) {
		wantJobStored(t, srv.Handler, r, err)
		complete++
		acknowledged += r.Stats.ResumedFrom
	}
	if complete != 11 || acknowledged == 0 || sent == 0 {
		t.Errorf("%d results, %d bytes stored", complete, acknowledged)
	}
	wantNothingKept(t, store)
}

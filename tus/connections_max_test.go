package tus_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// requestBarrier passes requests in groups of n. A client that does not send n at the same
// time hangs.
type requestBarrier struct {
	mu      sync.Mutex
	n, left int
	open    chan struct{}
}

func newRequestBarrier(n int) *requestBarrier {
	return &requestBarrier{n: n, left: n, open: make(chan struct{})}
}

func (m *requestBarrier) wait(ctx context.Context) {
	m.mu.Lock()
	open := m.open
	if m.left--; m.left == 0 {
		m.left, m.open = m.n, make(chan struct{})
		close(open)
	}
	m.mu.Unlock()
	select {
	case <-open:
	case <-ctx.Done():
	}
}

func TestParallel_SendsAllPartsAtOnce(t *testing.T) {
	for name, srv := range concatServers(t) {
		together := newRequestBarrier(4)
		var busy gauge
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			busy.add(1)
			defer busy.add(-1)
			together.wait(r.Context())
			h.Serve(w, r)
		}}, tustest.Fault{Times: -1, Action: busy.serve})
		data := randomBytes(12_000)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{
			Parallel: 4, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1000, 2000, 3000, 4000, 5000, 6000, 7000}},
		})
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if busy.most != 4 {
			t.Errorf("%s: %d requests at the same time", name, busy.most)
		}
	}
}

func TestMaxConnections_BoundsUploadsAndParts(t *testing.T) {
	h := tustest.NewHandler(nil)
	var open, most int
	var mu sync.Mutex
	server := httptest.NewUnstartedServer(h)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			open++
			most = max(most, open)
		case http.StateClosed, http.StateHijacked:
			open--
		}
	}
	server.Start()
	defer server.Close()
	together := newRequestBarrier(3)
	var busy gauge
	h.Inject(tustest.Fault{Method: "PATCH", Times: 9, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		busy.add(1)
		defer busy.add(-1)
		together.wait(r.Context())
		h.Serve(w, r)
	}}, tustest.Fault{Times: -1, Action: busy.serve})
	client := newClient(t, server.URL+"/files/", &tus.Options{MaxConnections: 3})
	ctx := testContext(t)
	var uploads sync.WaitGroup
	for i := range 4 {
		uploads.Go(func() {
			data := randomBytes(4000 + i)
			res, err := client.Upload(ctx, tus.Bytes(data), inParts(4))
			if err != nil {
				t.Error(err)
				return
			}
			if got, _ := h.Upload(res.URL); !bytes.Equal(got.Data, data) {
				t.Errorf("server has %d bytes that differ", len(got.Data))
			}
		})
	}
	uploads.Wait()
	client.CloseIdleConnections()
	mu.Lock()
	defer mu.Unlock()
	if busy.most != 3 || most > 3 {
		t.Errorf("%d requests and %d connections at the same time", busy.most, most)
	}
}

func TestMaxConnections_OneForAllParts(t *testing.T) {
	srv := finalLast(t)
	var busy gauge
	srv.Inject(tustest.Fault{Times: -1, Action: busy.serve})
	data := randomBytes(8000)
	client := newClient(t, srv.Endpoint(), &tus.Options{MaxConnections: 1})
	res, err := client.Upload(testContext(t), tus.Bytes(data), inParts(8))
	if err != nil {
		t.Fatal(err)
	}
	wantOneFinal(t, srv.Handler, res.URL, data)
	if busy.most != 1 {
		t.Errorf("%d requests at the same time", busy.most)
	}
}

func TestMaxConnections_BoundsBatchWithParts(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	var busy gauge
	srv.Inject(tustest.Fault{Times: -1, Action: busy.serve})
	jobs := bytesJobs(12)
	for i := range jobs {
		jobs[i].Options = &tus.UploadOptions{Parallel: 4, ParallelOptions: tus.ParallelOptions{MinPartSize: 10}}
	}
	client := newClient(t, srv.Endpoint(), &tus.Options{MaxConnections: 3})
	for r, err := range client.UploadAll(testContext(t), slices.Values(jobs), 6) {
		wantJobStored(t, srv.Handler, r, err)
	}
	if busy.most > 3 {
		t.Errorf("%d requests at the same time", busy.most)
	}
}

package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// inParts returns options for a parallel upload in small parts.
func inParts(connections int) *tus.UploadOptions {
	return &tus.UploadOptions{Parallel: connections, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}}
}

// required sets Required in opts.
func required(opts *tus.UploadOptions) *tus.UploadOptions {
	opts.ParallelOptions.Required = true
	return opts
}

// concatServers starts a server that concatenates complete parts only, and one with
// concatenation-unfinished, which makes no difference.
func concatServers(t testing.TB) map[string]*tustest.Server {
	t.Helper()
	return map[string]*tustest.Server{
		"concatenation":            finalLast(t),
		"concatenation-unfinished": tustest.NewServer(t, nil),
	}
}

// finalLast starts a server without concatenation-unfinished.
func finalLast(t testing.TB) *tustest.Server {
	t.Helper()
	return tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("concatenation-unfinished")})
}

// finals returns the complete final uploads of a server, and partials all partial uploads
// that were created.
func finals(h *tustest.Handler) (complete []tustest.Upload) {
	for _, u := range h.Uploads() {
		if strings.HasPrefix(u.Concat, "final;") && u.Complete() {
			complete = append(complete, u)
		}
	}
	return complete
}

func partials(h *tustest.Handler) (all []tustest.Upload) {
	for _, u := range h.Uploads() {
		if u.Concat == "partial" {
			all = append(all, u)
		}
	}
	return all
}

// wantOneFinal fails unless data is stored as the only complete final upload.
func wantOneFinal(t testing.TB, h *tustest.Handler, url string, data []byte) {
	t.Helper()
	wantStored(t, h, url, data)
	if n := len(finals(h)); n != 1 {
		t.Fatalf("server has %d complete final uploads", n)
	}
}

func TestParallel_EverySizeMakesOneFinal(t *testing.T) {
	const least = 1000
	for name, srv := range concatServers(t) {
		client := newClient(t, srv.Endpoint(), nil)
		for _, size := range []int{least + 1, 2*least - 1, 2 * least, 2*least + 1, 3*least + 7, 8*least - 1, 8 * least, 8*least + 1, 1 << 20} {
			for _, connections := range []int{2, 4, 8} {
				for _, chunk := range []int64{0, 300} {
					if size == 1<<20 && chunk > 0 {
						continue
					}
					before := len(finals(srv.Handler))
					data := randomBytes(size)
					opts := inParts(connections)
					opts.ChunkSize = chunk
					res, err := client.Upload(testContext(t), tus.Bytes(data), opts)
					if err != nil {
						t.Fatalf("%s: %d bytes over %d connections: %v", name, size, connections, err)
					}
					wantStored(t, srv.Handler, res.URL, data)
					// Below twice the minimum it may be a single part.
					if n := len(finals(srv.Handler)) - before; n != 1 && (n != 0 || size >= 2*least) {
						t.Fatalf("%s: %d bytes over %d connections: %d final uploads", name, size, connections, n)
					}
					if res.Size != int64(size) || res.Offset != int64(size) {
						t.Errorf("%s: result is %d bytes of %d", name, res.Offset, res.Size)
					}
					if s := res.Stats; s.Sent != int64(size) || s.Uploaded != int64(size) || s.Resent != 0 || s.Retries != 0 {
						t.Errorf("%s: %d bytes over %d connections: stats %+v", name, size, connections, s)
					}
				}
			}
		}
	}
}

func TestParallel_SmallSourceIsOneUpload(t *testing.T) {
	for name, srv := range concatServers(t) {
		client := newClient(t, srv.Endpoint(), nil)
		if _, err := client.Capabilities(testContext(t)); err != nil {
			t.Fatal(err)
		}
		for _, connections := range []int{1, 2, 8} {
			for _, size := range []int{0, 1, 999, 1000} {
				before := len(srv.Requests())
				data := randomBytes(size)
				res, err := client.Upload(testContext(t), tus.Bytes(data), inParts(connections))
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				requests := srv.Requests()[before:]
				if len(requests) != 1 || requests[0].Method != "POST" || requests[0].Header.Get("Upload-Concat") != "" {
					t.Errorf("%s: %d bytes over %d connections took %d requests", name, size, connections, len(requests))
				}
			}
		}
	}
}

func TestParallel_DefaultMinPartSizeIs5MiB(t *testing.T) {
	const least = 5 << 20
	srv := finalLast(t)
	client := newClient(t, srv.Endpoint(), nil)
	data := randomBytes(2*least + 5)
	for size, want := range map[int]int{least: 0, 2*least - 1: 2, 2*least + 5: 2} {
		before := len(partials(srv.Handler))
		res, err := client.Upload(testContext(t), tus.Bytes(data[:size]), &tus.UploadOptions{Parallel: 4})
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data[:size])
		created := partials(srv.Handler)[before:]
		if len(created) != want {
			t.Errorf("%d bytes were sent in %d parts", size, len(created))
		}
		small := slices.DeleteFunc(created, func(u tustest.Upload) bool { return u.Length >= least })
		if len(small) > 1 {
			t.Errorf("%d bytes were sent with %d parts below 5 MiB", size, len(small))
		}
	}
}

func TestParallel_RequestHeaders(t *testing.T) {
	srv := finalLast(t)
	client := newClient(t, srv.Endpoint(), nil)
	data := randomBytes(3000)
	res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{
		Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1000}, PartMetadata: tus.Metadata{"piece": "yes"}},
		Metadata: tus.Metadata{"filename": "a b.bin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantOneFinal(t, srv.Handler, res.URL, data)

	requests := srv.Requests()
	if len(requests) != 6 || requests[0].Method != "OPTIONS" {
		t.Fatalf("%d requests, the first %s", len(requests), requests[0].Method)
	}
	at := map[string]string{} // paths of the parts by length
	for _, u := range partials(srv.Handler) {
		at[fmt.Sprint(u.Length)] = "/files/" + u.ID
	}
	for _, r := range requests[1:3] {
		want := http.Header{"Upload-Concat": {"partial"}, "Upload-Metadata": {"piece eWVz"}, "Upload-Length": r.Header["Upload-Length"]}
		wantUploadHeaders(t, r, "POST", want)
		if at[r.Header.Get("Upload-Length")] == "" {
			t.Errorf("unexpected part of %s bytes", r.Header.Get("Upload-Length"))
		}
	}
	for _, r := range requests[3:5] {
		wantUploadHeaders(t, r, "PATCH", http.Header{"Upload-Offset": {"0"}})
		if length := fmt.Sprint(r.Body); at[length] != r.Path {
			t.Errorf("%s bytes went to %s", length, r.Path)
		}
	}
	last := requests[5]
	wantUploadHeaders(t, last, "POST", http.Header{
		"Upload-Concat": {"final;" + at["1000"] + " " + at["2000"]}, "Upload-Metadata": {"filename YSBiLmJpbg=="},
	})
	if last.Body != 0 || last.Header.Get("Content-Type") != "" || last.Header.Get("Content-Length") != "0" {
		t.Errorf("final upload has a body of %d bytes and header %v", last.Body, last.Header)
	}
}

// wantUploadHeaders fails unless r has exactly these Upload- headers.
func wantUploadHeaders(t *testing.T, r tustest.Request, method string, want http.Header) {
	t.Helper()
	got := http.Header{}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "Upload-") {
			got[name] = values
		}
	}
	if r.Method != method || r.Header.Get("Tus-Resumable") != "1.0.0" || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("request is %s with %v, want %s with %v", r.Method, got, method, want)
	}
}

func TestParallel_FinalUploadComesAfterTheBytes(t *testing.T) {
	for name, srv := range concatServers(t) {
		data := randomBytes(2000)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), inParts(2))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		wantMethods(t, srv.Handler, "OPTIONS", "POST", "POST", "PATCH", "PATCH", "POST")
	}
}

func TestOnCreated_SaysPartialOrFinal(t *testing.T) {
	for name, srv := range concatServers(t) {
		seen := map[string][]string{}
		opts := inParts(3)
		opts.Hooks.OnCreated = func(_ *tus.Uploader, c *tus.Created) { seen[c.Concat] = append(seen[c.Concat], c.URL) }
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(3000)), opts)
		if err != nil {
			t.Fatal(err)
		}
		if len(seen["partial"]) != 3 || !slices.Equal(seen["final"], []string{res.URL}) || len(seen) != 2 {
			t.Errorf("%s: URLs are %v, final %s", name, seen, res.URL)
		}
	}
}

func TestParallel_WithoutConcatenation(t *testing.T) {
	data := randomBytes(4000)
	unable := &tustest.Options{Extensions: tustest.Without("concatenation", "concatenation-unfinished")}
	t.Run("required", func(t *testing.T) {
		srv := tustest.NewServer(t, unable)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), required(inParts(4)))
		wantError(t, err, tus.ErrUnsupported)
		wantError(t, err, errors.ErrUnsupported)
		if !strings.Contains(err.Error(), "concatenation") || res == nil || res.URL != "" {
			t.Errorf("error is %v, result %+v", err, res)
		}
		wantMethods(t, srv.Handler, "OPTIONS")
	})
	t.Run("not required", func(t *testing.T) {
		srv := tustest.NewServer(t, unable)
		opts := inParts(4)
		opts.CreationLimit = -1
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		wantMethods(t, srv.Handler, "OPTIONS", "POST", "PATCH")
	})
	t.Run("capabilities of the caller", func(t *testing.T) {
		srv := tustest.NewServer(t, unable)
		client := newClient(t, srv.Endpoint(), &tus.Options{Capabilities: &tus.Capabilities{}})
		_, err := client.Upload(testContext(t), tus.Bytes(data), required(inParts(4)))
		wantError(t, err, tus.ErrUnsupported)
		wantMethods(t, srv.Handler)

		able := finalLast(t)
		client = newClient(t, able.Endpoint(), &tus.Options{Capabilities: &tus.Capabilities{
			Extensions: []string{"concatenation"},
		}})
		res, err := client.Upload(testContext(t), tus.Bytes(data), inParts(4))
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, able.Handler, res.URL, data)
		if able.Count("OPTIONS") != 0 {
			t.Error("OPTIONS was sent despite Options.Capabilities")
		}
	})
}

func TestParallel_UnknownCapabilities(t *testing.T) {
	data := randomBytes(4000)
	responses := map[string]tustest.Action{
		"404": goneWith(404),
		"405": tustest.Respond(405, ""),
		"401": tustest.Respond(401, ""),
		"500": tustest.Respond(500, ""),
		"cut": tustest.CutBefore(),
	}
	for name, action := range responses {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "OPTIONS", Times: -1, Action: action})
			client := newClient(t, srv.Endpoint(), nil)
			_, err := client.Upload(testContext(t), tus.Bytes(data), required(inParts(4)))
			if err == nil || !strings.Contains(err.Error(), "concatenation") {
				t.Errorf("error is %v, want one that names concatenation", err)
			}
			var e *tus.Error
			if !errors.As(err, &e) || e.Method != "OPTIONS" {
				t.Errorf("error is %v", err)
			}
			if srv.Count("POST") != 0 {
				t.Error("an upload was created")
			}
			res, err := client.Upload(testContext(t), tus.Bytes(data), inParts(4))
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if n := len(partials(srv.Handler)); n != 0 {
				t.Errorf("%d partial uploads", n)
			}
		})
	}
	t.Run("temporary failure is retried", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "OPTIONS", Times: 2, Action: tustest.Respond(503, "")})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), required(inParts(4)))
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if srv.Count("OPTIONS") != 3 || res.Stats.Retries != 2 {
			t.Errorf("%d OPTIONS, %d retries", srv.Count("OPTIONS"), res.Stats.Retries)
		}
	})
}

func TestParallel_PartBoundaries(t *testing.T) {
	data := randomBytes(4000)
	for name, srv := range concatServers(t) {
		client := newClient(t, srv.Endpoint(), nil)
		for _, boundaries := range [][]int64{{1}, {3999}, {1, 2, 3}, {500, 2500, 2501}} {
			before := len(partials(srv.Handler))
			res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: boundaries}})
			if err != nil {
				t.Fatalf("%s: %v: %v", name, boundaries, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			var lengths, want []int64
			for _, u := range partials(srv.Handler)[before:] {
				lengths = append(lengths, u.Length)
			}
			for i, end := range append(slices.Clone(boundaries), 4000) {
				begin := int64(0)
				if i > 0 {
					begin = boundaries[i-1]
				}
				want = append(want, end-begin)
			}
			slices.Sort(lengths)
			slices.Sort(want)
			if !slices.Equal(lengths, want) {
				t.Errorf("%s: parts have %v bytes, want %v", name, lengths, want)
			}
		}
	}
}

func TestParallel_InvalidOptions(t *testing.T) {
	data := tus.Bytes(randomBytes(4000))
	tests := map[string]struct {
		source tus.Source
		opts   tus.UploadOptions
	}{
		"negative number":           {data, tus.UploadOptions{Parallel: -1}},
		"negative minimum":          {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: -1}}},
		"together with StopAt":      {data, tus.UploadOptions{Parallel: 2, StopAt: 1}},
		"together with DeferLength": {data, tus.UploadOptions{Parallel: 2, DeferLength: true}},
		"bad metadata of parts":     {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartMetadata: tus.Metadata{"a b": ""}}}},
		"boundary at 0":             {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{0}}}},
		"negative boundary":         {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{-5}}}},
		"boundary twice":            {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{7, 7}}}},
		"boundaries descending":     {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{9, 8}}}},
		"boundary at the end":       {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{4000}}}},
		"boundary beyond the end":   {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1, 4001}}}},
		"boundary in an empty file": {tus.Bytes(nil), tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1}}}},
		"boundaries without parts":  {data, tus.UploadOptions{ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{5}}}},
		"source with one reader":    {tus.ReadSeeker(bytes.NewReader(randomBytes(4000)), 4000), *required(inParts(2))},
		"stream":                    {tus.Reader(bytes.NewReader(randomBytes(4000))), *required(&tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}, ChunkSize: 1000})},
		"boundary, parts required":  {data, *required(&tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{4000}}})},
	}
	for name, test := range tests {
		srv := tustest.NewServer(t, nil)
		// A store and checksums would require earlier requests.
		client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin(), Store: &storage.Memory{}})
		res, err := client.Upload(testContext(t), test.source, &test.opts)
		if !errors.Is(err, tus.ErrInvalidInput) || res == nil {
			t.Errorf("%s: error is %v", name, err)
		}
		if n := len(srv.Requests()); n != 0 {
			t.Errorf("%s: %d requests were sent", name, n)
		}
	}
}

func TestParallel_SequentialSourceIsOneUpload(t *testing.T) {
	data := randomBytes(4000)
	sources := map[string]tus.Source{
		"ReadSeeker": tus.ReadSeeker(bytes.NewReader(data), 4000),
		"Reader":     tus.Reader(bytes.NewReader(data)),
	}
	for name, source := range sources {
		srv := tustest.NewServer(t, nil)
		opts := inParts(4)
		opts.ChunkSize = 1000
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if n := len(partials(srv.Handler)); n != 0 {
			t.Errorf("%s: %d partial uploads", name, n)
		}
	}
}

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

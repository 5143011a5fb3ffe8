package tus_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

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

package tus_test

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestStream_FaultEndsInExactBytes(t *testing.T) {
	actions := map[string]tustest.Action{
		"cut":               tustest.CutBefore(),
		"cut in the body":   tustest.CutAfter(100),
		"response lost":     tustest.LoseResponse(),
		"500":               faults.RespondAfter(500, ""),
		"500 after storing": faults.SetStatus(500),
		"503":               tustest.Respond(503, ""),
		"423":               tustest.Respond(423, ""),
		"409":               tustest.Respond(409, ""),
		"interrupted":       tustest.Respond(400, "ERR_UPLOAD_INTERRUPTED"),
	}
	for name, action := range actions {
		for _, n := range []int{1000, 2000, 3000, 3001} {
			for skip := range 6 {
				srv, data := tustest.NewServer(t, nil), randomBytes(n)
				srv.Inject(tustest.Fault{Skip: skip, Times: 2, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
					if (name == "interrupted" || name == "409") && r.Method != "PATCH" { // has another meaning for other methods
						h.Serve(w, r)
						return
					}
					action(w, r, h)
				}})
				client := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()})
				res, err := client.Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
				if name == "500 after storing" && errors.Is(err, tus.ErrUnconfirmed) { // the last request
					wantStored(t, srv.Handler, res.URL, data)
					continue
				}
				if err != nil {
					t.Fatalf("%s at request %d of a stream of %d bytes: %v", name, skip, n, err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				if res.Size != int64(n) || res.Stats.Resent > 2000 {
					t.Errorf("%s at request %d: result is %+v", name, skip, res)
				}
			}
		}
	}
}

func TestStream_ShortWriteIsContinued(t *testing.T) {
	for _, n := range []int{1001, 2000, 3001} {
		srv, data := tustest.NewServer(t, nil), randomBytes(n)
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: faults.AcceptOnly(300)})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
}

// atOffset does action once, with the first PATCH from that offset on.
func atOffset(srv *tustest.Server, offset int64, action tustest.Action) {
	srv.Inject(tustest.Fault{Method: "PATCH", From: offset, Action: action})
}

func TestStream_ServerLosesBytes(t *testing.T) {
	losing := func(n int64) tustest.Action {
		return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			tustest.CutAfter(500)(w, r, h)
			h.Truncate(r.URL.Path, n)
		}
	}
	tests := map[string]struct {
		at, left int64
		want     string // empty for success
	}{
		"in the first chunk":        {0, 0, ""},
		"in the chunk that is sent": {2000, 2200, ""},
		"all of that chunk":         {2000, 2000, ""},
		"a byte before it":          {2000, 1999, "server is at offset 1999, the buffer holds 2000 to 3000"},
		"everything":                {2000, 0, "server is at offset 0, the buffer holds 2000 to 3000"},
		"before the last chunk":     {3000, 2500, "server is at offset 2500, the buffer holds 3000 to 3500"},
	}
	for name, test := range tests {
		srv, data := tustest.NewServer(t, nil), randomBytes(3500)
		lost := make(chan struct{})
		atOffset(srv, test.at, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			losing(test.left)(w, r, h)
			close(lost)
		})
		srv.Inject(tustest.Fault{Method: "HEAD", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			<-lost
			h.Serve(w, r)
		}})
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()}).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
		if test.want == "" {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			continue
		}
		if !errors.Is(err, tus.ErrNotRecoverable) || tus.IsRetryable(err) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want %v", name, err, test.want)
		}
		if res.URL == "" {
			t.Errorf("%s: the result has no URL", name)
		}
		// With all data, the upload is resumable.
		res, err = newClient(t, srv.Endpoint(), nil).Resume(testContext(t), res.URL, tus.Bytes(data), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
}

func TestStream_LostLastChunkIsResent(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(3000)
	atOffset(srv, 3000, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Truncate(r.URL.Path, 2500)
		h.Serve(w, r)
	})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestStream_FollowsServerAhead(t *testing.T) {
	for _, ahead := range []int{1, 500, 999, 1000, 1001, 2000, 2500} {
		srv, data := tustest.NewServer(t, nil), randomBytes(3500)
		atOffset(srv, 1000, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			faults.Append(h, r.URL.Path, data[1000:1000+ahead])
			h.Serve(w, r)
		})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
		if err != nil {
			t.Fatalf("%d bytes ahead: %v", ahead, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
	srv := tustest.NewServer(t, nil)
	atOffset(srv, 1000, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		faults.Append(h, r.URL.Path, make([]byte, 2501))
		h.Serve(w, r)
	})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(randomBytes(3500))), chunked())
	wantError(t, err, tus.ErrSourceMismatch)
	if up, _ := srv.Upload(res.URL); up.Complete() {
		t.Error("upload of other bytes is complete")
	}
}

func TestStream_EarlyResponsesKeepBuffers(t *testing.T) {
	// The server has the whole chunk already and responds while the client still sends it.
	// Then the buffer is reused. The race detector finds conflicts.
	const chunk = 1 << 20
	srv, data := tustest.NewServer(t, nil), randomBytes(8*chunk+5)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: 6, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		at, _ := strconv.Atoi(r.Header.Get("Upload-Offset"))
		faults.Append(h, r.URL.Path, data[at:at+chunk])
		tustest.Respond(409, "")(w, r, h)
	}})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), &tus.UploadOptions{ChunkSize: chunk})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestStream_GoneUpload(t *testing.T) {
	for _, status := range []int{404, 410} {
		// In the first chunk no data is lost.
		srv, data := tustest.NewServer(t, nil), randomBytes(2500)
		atOffset(srv, 0, vanishWith(status))
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if res.Stats.Restarts != 1 || srv.Count("POST") != 2 {
			t.Errorf("stats are %+v", res.Stats)
		}

		srv = tustest.NewServer(t, nil)
		atOffset(srv, 1000, vanishWith(status))
		_, err = newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
		if !errors.Is(err, tus.ErrNotRecoverable) || !strings.Contains(err.Error(), "server is at offset 0, the buffer holds 1000 to") {
			t.Errorf("%d: error is %v", status, err)
		}
		if srv.Count("POST") != 1 {
			t.Error("an upload was created that cannot become complete")
		}
	}
}

func TestStream_IsResumedByURL(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	for _, n := range []int{700, 1000, 3000, 3500} {
		data := randomBytes(n)
		for _, declared := range []string{"", strconv.Itoa(n)} {
			for _, at := range []int{0, 1, 699, 700, 999, 1000, 1001, 2999, 3000, 3499, 3500} {
				for name, deliver := range deliveries {
					if at > n {
						continue
					}
					made, err := client.Create(testContext(t), tus.CreateOptions{DeferLength: true})
					if err != nil {
						t.Fatal(err)
					}
					fill(t, made.URL, declared, data[:at])
					res, err := client.Resume(testContext(t), made.URL, tus.Reader(deliver(bytes.NewReader(data))), chunked())
					if err != nil {
						t.Fatalf("%s: %d bytes from %d, declared %q: %v", name, n, at, declared, err)
					}
					wantStored(t, srv.Handler, res.URL, data)
					if s := res.Stats; s.Sent != int64(n-at) || s.ResumedFrom != int64(at) || res.Size != int64(n) || res.Offset != int64(n) {
						t.Errorf("%s: %d bytes from %d, declared %q: result is %+v", name, n, at, declared, res)
					}
				}
			}
		}
	}
}

// fill sends data to an upload, with Upload-Length if length is not empty.
func fill(t *testing.T, url, length string, data []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPatch, url, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Upload-Offset", "0")
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	if length != "" {
		req.Header.Set("Upload-Length", length)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("status is %d", resp.StatusCode)
	}
}

func TestStream_OtherLengthIsMismatch(t *testing.T) {
	for _, declared := range []int{1, 500, 999, 1000, 1001, 2000, 2499, 2501, 3000, 3001, 9999} {
		for _, at := range []int{0, 500, 1500} {
			if at > declared {
				continue
			}
			srv, data := tustest.NewServer(t, nil), randomBytes(9999)
			client := newClient(t, srv.Endpoint(), nil)
			made, err := client.Create(testContext(t), tus.CreateOptions{DeferLength: true})
			if err != nil {
				t.Fatal(err)
			}
			fill(t, made.URL, strconv.Itoa(declared), data[:at])
			_, err = client.Resume(testContext(t), made.URL, tus.Reader(bytes.NewReader(data[:2500])), chunked())
			if !errors.Is(err, tus.ErrSourceMismatch) {
				t.Errorf("declared %d, from %d: error is %v", declared, at, err)
			}
			if up, _ := srv.Upload(made.URL); up.Complete() && at < declared {
				t.Errorf("declared %d, from %d: upload is complete", declared, at)
			}
		}
	}
	t.Run("shorter than what the server has", func(t *testing.T) {
		srv, data := tustest.NewServer(t, nil), randomBytes(2500)
		client := newClient(t, srv.Endpoint(), nil)
		made, err := client.Create(testContext(t), tus.CreateOptions{DeferLength: true})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, made.URL, "", data)
		for _, n := range []int{0, 999, 1000, 2000, 2499} {
			_, err = client.Resume(testContext(t), made.URL, tus.Reader(bytes.NewReader(data[:n])), chunked())
			if !errors.Is(err, tus.ErrSourceMismatch) {
				t.Errorf("%d bytes: error is %v", n, err)
			}
		}
		if up, _ := srv.Upload(made.URL); up.Complete() {
			t.Error("upload is complete")
		}
	})
	t.Run("gone", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		_, err := newClient(t, srv.Endpoint(), nil).Resume(testContext(t), srv.Endpoint()+"nothing", tus.Reader(bytes.NewReader(randomBytes(2500))), chunked())
		wantError(t, err, tus.ErrUploadGone)
		if srv.Count("POST") != 0 {
			t.Error("an upload was created")
		}
	})
}

func TestStream_RefusedAtEndIsUnconfirmed(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Times: -1, Action: faults.SetStatus(422)})
	data := randomBytes(2500)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
	wantError(t, err, tus.ErrUnconfirmed)
	wantStored(t, srv.Handler, res.URL, data)
}

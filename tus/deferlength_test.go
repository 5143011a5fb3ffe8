package tus_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestDeferLength_LengthIsSentLast(t *testing.T) {
	for _, n := range streamLengths {
		for _, chunk := range []int64{0, 1000} {
			for _, fault := range []tustest.Action{nil, tustest.LoseResponse(), tustest.CutAfter(100), faults.AcceptOnly(1), faults.SetStatus(502), faults.RespondAfter(404, "")} {
				srv, data := tustest.NewServer(t, nil), randomBytes(n)
				path := tempFile(t, data)
				if fault != nil {
					atOffset(srv, int64(max(0, n-1)/1000*1000), fault) // the last request
				}
				res, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften(), Store: &storage.Memory{}}).UploadFile(testContext(t), path, &tus.UploadOptions{
					DeferLength: true, ChunkSize: chunk,
				})
				if err != nil {
					t.Fatalf("%d bytes in chunks of %d: %v", n, chunk, err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				declared := 0
				for _, r := range srv.Requests() {
					switch length := r.Header.Get("Upload-Length"); {
					case r.Method == "POST" && (length != "" || r.Header.Get("Upload-Defer-Length") != "1"):
						t.Errorf("creation has Upload-Length %q", length)
					case r.Method == "PATCH" && length != "":
						declared++
						if length != strconv.Itoa(n) {
							t.Errorf("%d bytes, Upload-Length %s", n, length)
						}
					}
				}
				if declared == 0 || fault == nil && declared != 1 {
					t.Errorf("%d bytes in chunks of %d: length was sent %d times", n, chunk, declared)
				}
			}
		}
	}
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("creation-defer-length")})
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(10)), &tus.UploadOptions{DeferLength: true, BufferLimit: 1000})
	wantError(t, err, tus.ErrUnsupported)
	wantMethods(t, srv.Handler, "OPTIONS")
}

func TestDeferLength_LaterSessionResumes(t *testing.T) {
	for _, at := range []int64{1, 1000, 1500, 2499} {
		srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(2500)
		opts := &tus.UploadOptions{DeferLength: true, ChunkSize: 1000, StopAt: at}
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
		wantError(t, err, tus.ErrPaused)
		for _, deferred := range []bool{true, false} {
			if !deferred && at != 1000 {
				continue
			}
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{DeferLength: deferred, ChunkSize: 1000})
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if deferred && (res.Stats.ResumedFrom != at || res.Stats.Sent != 2500-at) {
				t.Errorf("stopped at %d: stats are %+v", at, res.Stats)
			}
		}
		wantNothingKept(t, store)
	}
}

// serveLate serves a cut request late: HEAD does not show its data yet, and the server
// handles it before the request that repeats it.
func serveLate(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	earlier := r.Clone(r.Context())
	earlier.Body, earlier.ContentLength = http.NoBody, 0
	earlier.Header.Del("Upload-Checksum")
	h.Serve(httptest.NewRecorder(), earlier)
	h.Serve(w, r)
}

func TestDeferLength_LateRequestCompletesUpload(t *testing.T) {
	// The bytes of the first request are stored before HEAD, its length after HEAD.
	bytesOnly := func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		r.Header.Del("Upload-Length")
		tustest.LoseResponse()(w, r, h)
	}
	srv, data := tustest.NewServer(t, nil), randomBytes(2500)
	srv.Inject(
		tustest.Fault{Method: "PATCH", From: 2000, Action: bytesOnly},
		tustest.Fault{Method: "PATCH", From: 2500, Action: serveLate})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)

	// Without such a request, or with unsent bytes, the response is a refusal.
	for _, status := range []int{400, 422} {
		for _, first := range []tustest.Action{nil, tustest.CutAfter(100), tustest.CutBefore()} {
			srv := tustest.NewServer(t, nil)
			if first != nil {
				srv.Inject(tustest.Fault{Method: "PATCH", From: 2000, Action: first})
			}
			srv.Inject(tustest.Fault{Method: "PATCH", From: 2000, Action: faults.SetStatus(status)})
			_, err = newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
			wantError(t, err, tus.ErrUnconfirmed)
		}
	}
}

func TestDeferLength_LateRequestKeepsChecksum(t *testing.T) {
	for name, test := range map[string]struct {
		action tustest.Action
		want   string
	}{
		"length refused":    {serveLate, "sha256"},
		"algorithm refused": {faults.RefuseAlgorithm("sha256"), "sha1"},
	} {
		srv, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
		srv.Inject(
			tustest.Fault{Method: "PATCH", From: 2000, Action: tustest.CutBefore()},
			tustest.Fault{Method: "PATCH", From: 2000, Action: test.action})
		data := randomBytes(2500)
		res, err := client.Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		last := srv.Requests()[len(srv.Requests())-1]
		if used, _, _ := strings.Cut(last.Header.Get("Upload-Checksum"), " "); used != test.want || res.Checksum != test.want {
			t.Errorf("%s: checksum is %q, %q of the last chunk", name, res.Checksum, used)
		}
	}
}

func TestDeferLength_LengthIsNotSentTwice(t *testing.T) {
	for name, send := range map[string]func(*tus.Client, []byte) (*tus.Result, error){
		"stream": func(client *tus.Client, data []byte) (*tus.Result, error) {
			return client.Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
		},
		"deferred length": func(client *tus.Client, data []byte) (*tus.Result, error) {
			return client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1000, DeferLength: true})
		},
	} {
		srv, data := tustest.NewServer(t, nil), randomBytes(2500)
		srv.Inject(
			tustest.Fault{Method: "PATCH", From: 2000, Action: tustest.CutBefore()},
			tustest.Fault{Method: "PATCH", From: 2000, Action: serveLate})
		res, err := send(newClient(t, srv.Endpoint(), nil), data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if last := srv.Requests()[len(srv.Requests())-1]; last.Header.Get("Upload-Length") != "" {
			t.Errorf("%s: the length was sent again", name)
		}
	}
}

package tus_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// uploadThrough uploads 10,000 bytes in chunks of 1,000 to a server with faults, and fails
// unless the server has the exact bytes.
func uploadThrough(t *testing.T, faults ...tustest.Fault) (*tustest.Server, *tus.Result) {
	t.Helper()
	srv := tustest.NewServer(t, nil)
	srv.Inject(faults...)
	data := randomBytes(10_000)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	return srv, res
}

// failThrough is uploadThrough for faults that must end the upload.
func failThrough(t *testing.T, want error, faults ...tustest.Fault) (*tustest.Server, *tus.Result, error) {
	t.Helper()
	srv := tustest.NewServer(t, nil)
	srv.Inject(faults...)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(10_000)), &tus.UploadOptions{ChunkSize: 1000})
	if err == nil {
		t.Fatal("upload succeeded")
	}
	if want != nil {
		wantError(t, err, want)
	}
	return srv, res, err
}

func TestPatch_FailureIsFollowedByHead(t *testing.T) {
	// If the result of a chunk is unknown, the client requests the offset.
	tests := map[string]tustest.Action{
		"cut before the body":     tustest.CutBefore(),
		"cut in the body":         tustest.CutAfter(400),
		"response lost":           tustest.LoseResponse(),
		"500 HTML":                faults.RespondAfter(500, "<html><h1>Oops</h1></html>"),
		"502":                     tustest.Respond(502, "<html>bad gateway</html>"),
		"503":                     faults.RespondAfter(503, ""),
		"504":                     faults.RespondAfter(504, ""),
		"408":                     faults.RespondAfter(408, ""),
		"409":                     tustest.Respond(409, "mismatched offset"),
		"423":                     tustest.Respond(423, "locked"),
		"425":                     tustest.Respond(425, ""),
		"429":                     tustest.Respond(429, "slow down"),
		"460":                     faults.RespondAfter(460, "checksum mismatch"),
		"400 by tusd":             tustest.Respond(400, "ERR_UPLOAD_INTERRUPTED: upload has been interrupted by another request for this upload resource\n"),
		"400 by the Node server":  tustest.Respond(400, "Request aborted"),
		"500 after storing":       func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) { faults.SetStatus(500)(w, r, h) },
		"204 that stored nothing": faults.AcceptOnly(0),
		"response to a creation":  faults.RespondAfter(201, "", "Location", "/files/another", "Upload-Offset", "1000"),
	}
	for name, action := range tests {
		t.Run(name, func(t *testing.T) {
			srv, res := uploadThrough(t, tustest.Fault{Method: "PATCH", Skip: 3, Action: action})
			requests := srv.Requests()
			if requests[5].Method != "HEAD" {
				t.Errorf("request after the failed PATCH is %s", requests[5].Method)
			}
			if res.Stats.Retries != 1 || res.Stats.Requests["HEAD"] != 1 {
				t.Errorf("stats are %+v", res.Stats)
			}
			if res.Stats.Resent > 1000 || res.Stats.Sent != 10_000+res.Stats.Resent {
				t.Errorf("sent %d bytes, %d of them resent", res.Stats.Sent, res.Stats.Resent)
			}
		})
	}
}

func TestPatch_ConflictSeeksToServerOffset(t *testing.T) {
	t.Run("server is behind", func(t *testing.T) {
		srv, res := uploadThrough(t, tustest.Fault{Method: "PATCH", Skip: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			h.Truncate(r.URL.Path, 1500)
			h.Serve(w, r)
		}})
		if got := srv.Requests()[6].Header.Get("Upload-Offset"); got != "1500" {
			t.Errorf("PATCH continued at %s", got)
		}
		if res.Stats.Resent < 1500 {
			t.Errorf("only %d bytes were resent", res.Stats.Resent)
		}
	})
	t.Run("server is ahead", func(t *testing.T) {
		srv, res := uploadThrough(t, tustest.Fault{Method: "PATCH", Skip: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			faults.Append(h, r.URL.Path, randomBytes(10_000)[3000:5500]) // from another client
			h.Serve(w, r)
		}})
		if got := srv.Requests()[6].Header.Get("Upload-Offset"); got != "5500" {
			t.Errorf("PATCH continued at %s", got)
		}
		if res.Stats.Sent > 9000 {
			t.Errorf("%d bytes were sent", res.Stats.Sent)
		}
	})
}

func TestPatch_LockConflictIsRetried(t *testing.T) {
	// Some services respond with 409 while they hold a lock. HEAD then shows the offset
	// of the PATCH.
	for _, status := range []int{409, 423} {
		srv, res := uploadThrough(t, tustest.Fault{Method: "PATCH", Skip: 3, Times: 2, Action: tustest.Respond(status, "currently being updated")})
		if srv.Count("POST") != 1 || res.Stats.Retries != 2 {
			t.Errorf("%d creations, %d retries", srv.Count("POST"), res.Stats.Retries)
		}
		srv, res = uploadThrough(t,
			tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.CutAfter(500)},
			tustest.Fault{Method: "HEAD", Times: 2, Action: tustest.Respond(status, "")})
		if srv.Count("POST") != 1 || res.Stats.Retries != 3 {
			t.Errorf("HEAD: %d creations, %d retries", srv.Count("POST"), res.Stats.Retries)
		}
	}
}

func TestPatch_RepeatedLossEndsUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	n := 0
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if n++; n%3 == 0 {
			h.Truncate(r.URL.Path, 500)
		}
		h.Serve(w, r)
	}})
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(10_000)), &tus.UploadOptions{ChunkSize: 1000})
	wantError(t, err, tus.ErrProtocol)
	if n > 50 {
		t.Errorf("%d requests were made", n)
	}
}

func TestPatch_ShortWriteIsContinued(t *testing.T) {
	srv, res := uploadThrough(t, tustest.Fault{Method: "PATCH", Times: 5, Action: faults.AcceptOnly(300)})
	if srv.Count("HEAD") != 0 || srv.Count("PATCH") != 5+9 { // 5×300, then 8500 in chunks of 1000
		t.Errorf("%d HEAD, %d PATCH", srv.Count("HEAD"), srv.Count("PATCH"))
	}
	if res.Stats.Resent != 5*700 || res.Stats.Uploaded != 10_000 {
		t.Errorf("stats are %+v", res.Stats)
	}
	// If the server never stores anything, the upload fails.
	_, res, _ = failThrough(t, nil, tustest.Fault{Method: "PATCH", Times: -1, Action: faults.AcceptOnly(0)})
	if res.Offset != 0 || res.Stats.Retries != 8 {
		t.Errorf("result is %+v", res)
	}
}

func TestPatch_TwoWritersDoNotSpin(t *testing.T) {
	// Before each PATCH, another client appends a byte to the upload.
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		data := randomBytes(1000)
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if up, _ := h.Upload(r.URL.Path); len(up.Data) < len(data) {
				faults.Append(h, r.URL.Path, data[len(up.Data):len(up.Data)+1])
			}
			faults.RespondAfter(409, "")(w, r, h)
		}})
		begin := time.Now()
		_, err := newClient(nil).Upload(t.Context(), tus.Bytes(data), whole())
		if n, elapsed := h.Count("PATCH"), time.Since(begin); n > 20 && elapsed < time.Duration(n)*time.Second {
			t.Errorf("%d requests in %v: %v", n, elapsed, err)
		}
	})
}

func TestResume_NeverCreates(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	data := randomBytes(10_000)
	paused, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1000, StopAt: 4500})
	wantError(t, err, tus.ErrPaused)
	if paused.Offset != 4500 {
		t.Fatalf("stopped at %d", paused.Offset)
	}
	res, err := client.Resume(testContext(t), paused.URL, tus.Bytes(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, paused.URL, data)
	if res.Stats.ResumedFrom != 4500 || res.Stats.Sent != 5500 || res.Stats.Resent != 0 || res.Stats.Requests["POST"] != 0 || res.URL != paused.URL {
		t.Errorf("result is %+v", res)
	}
	// A second Resume sends nothing.
	if res, err = client.Resume(testContext(t), paused.URL, tus.Bytes(data), nil); err != nil || res.Stats.Sent != 0 || res.Stats.ResumedFrom != 10_000 {
		t.Errorf("result is %+v, %v", res, err)
	}
	posts := srv.Count("POST")
	_, err = client.Resume(testContext(t), paused.URL, tus.Bytes(data[:9999]), nil)
	wantError(t, err, tus.ErrSourceMismatch)
	_, err = client.Resume(testContext(t), srv.Endpoint()+"nonsense", tus.Bytes(data), nil)
	wantError(t, err, tus.ErrUploadGone)
	if srv.Count("POST") != posts {
		t.Error("Resume created an upload")
	}
}

func TestResume_SendsDeferredLength(t *testing.T) {
	for _, size := range []int{0, 1, 2500} {
		srv := tustest.NewServer(t, nil)
		req, _ := http.NewRequest("POST", srv.Endpoint(), nil)
		req.Header.Set("Tus-Resumable", "1.0.0")
		req.Header.Set("Upload-Defer-Length", "1")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		data := randomBytes(size)
		url := srv.HTTP.URL + resp.Header.Get("Location")
		if _, err := newClient(t, srv.Endpoint(), nil).Resume(testContext(t), url, tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1000}); err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, url, data)
	}
}

func TestTerminate(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(100)), nil)
	if err != nil {
		t.Fatal(err)
	}
	srv.Inject(
		tustest.Fault{Method: "DELETE", Times: 2, Action: tustest.Respond(423, "locked")},
		tustest.Fault{Method: "DELETE", Times: 1, Action: tustest.LoseResponse()},
	)
	if err := client.Terminate(testContext(t), res.URL); err != nil { // the last DELETE gets 404
		t.Fatal(err)
	}
	if up, _ := srv.Upload(res.URL); !up.Terminated {
		t.Error("upload still exists")
	}
	if n := srv.Count("DELETE"); n != 4 {
		t.Errorf("%d DELETE requests", n)
	}
	srv.Inject(tustest.Fault{Method: "DELETE", Times: -1, Action: tustest.Respond(405, "not here")})
	err = client.Terminate(testContext(t), res.URL)
	var e *tus.Error
	if !errors.As(err, &e) || e.StatusCode != 405 || !errors.Is(err, tus.ErrUnsupported) {
		t.Errorf("error is %v", err)
	}
}

// @tus/server with an S3 store responds 404 to DELETE of a complete upload, and keeps it.
func TestTerminate_404OfExistingUploadIsAnError(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), nil)
	if err != nil {
		t.Fatal(err)
	}
	srv.Inject(tustest.Fault{Method: "DELETE", Times: -1, Action: tustest.Respond(404, "", "Tus-Resumable", "1.0.0")})
	err = client.Terminate(testContext(t), res.URL)
	if statusOf(err) != 404 || errors.Is(err, tus.ErrUploadGone) || srv.Count("DELETE") != 1 {
		t.Errorf("error is %v after %d requests", err, srv.Count("DELETE"))
	}
	srv.Forget(res.URL)
	if err := client.Terminate(testContext(t), res.URL); err != nil {
		t.Error(err)
	}
}

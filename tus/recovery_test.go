package tus_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
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

func TestHeadAndDelete_201IsRetried(t *testing.T) {
	another := tustest.Respond(201, "", "Location", "/files/another", "Upload-Offset", "0", "Upload-Length", "10000")
	srv, res := uploadThrough(t,
		tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.CutBefore()},
		tustest.Fault{Method: "HEAD", Action: another})
	if res.Stats.Retries != 2 || res.Stats.Resent > 1000 {
		t.Errorf("stats are %+v", res.Stats)
	}
	srv.Inject(tustest.Fault{Method: "DELETE", Action: another})
	if err := newClient(t, srv.Endpoint(), nil).Terminate(testContext(t), res.URL); err != nil {
		t.Fatal(err)
	}
	if up, ok := srv.Upload(res.URL); ok && !up.Terminated {
		t.Error("the upload still exists")
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

func TestGone_UploadStartsOver(t *testing.T) {
	for _, status := range []int{404, 410} {
		srv, res := uploadThrough(t, tustest.Fault{Method: "PATCH", Skip: 3, Action: goneWith(status)})
		if srv.Count("POST") != 2 || res.Stats.Restarts != 1 {
			t.Errorf("%d creations, stats %+v", srv.Count("POST"), res.Stats)
		}
		// The 3000 lost bytes, and the sent bytes of the refused chunk.
		if res.Stats.Resent < 3000 || res.Stats.Resent > 4000 {
			t.Errorf("%d bytes were resent", res.Stats.Resent)
		}
	}
	srv, res := uploadThrough(t,
		tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.CutBefore()},
		tustest.Fault{Method: "HEAD", Action: goneWith(404)})
	if srv.Count("POST") != 2 || res.Stats.Restarts != 1 {
		t.Errorf("%d creations, stats %+v", srv.Count("POST"), res.Stats)
	}
}

func TestGone_RepeatedlyEndsUpload(t *testing.T) {
	srv, res, err := failThrough(t, tus.ErrUploadGone, tustest.Fault{Method: "PATCH", Skip: 0, Times: -1, Action: goneWith(404)})
	if n := srv.Count("POST"); n != 2 { // each further creation would leave another orphan
		t.Errorf("%d creations: %v", n, err)
	}
	if res.Stats.Retries != 1 || !strings.Contains(err.Error(), "cookie") {
		t.Errorf("%d retries", res.Stats.Retries)
	}
	// Also if some bytes are acknowledged in between.
	srv = tustest.NewServer(t, nil)
	n := 0
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if n++; n%2 == 0 {
			h.Forget(r.URL.Path)
		}
		h.Serve(w, r)
	}})
	_, err = newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(10_000)), &tus.UploadOptions{ChunkSize: 1000})
	if err == nil || srv.Count("POST") > 20 {
		t.Errorf("%d creations: %v", srv.Count("POST"), err)
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
	// A server that never stores anything is an error.
	_, res, _ = failThrough(t, nil, tustest.Fault{Method: "PATCH", Times: -1, Action: faults.AcceptOnly(0)})
	if res.Offset != 0 || res.Stats.Retries != 8 {
		t.Errorf("result is %+v", res)
	}
}

func TestResponse_InvalidEndsUpload(t *testing.T) {
	for name, offset := range map[string]string{
		"negative": "-5", "garbage": "banana", "beyond what was sent": "4001", "back": "2999", "fraction": "3500.5",
		"overflow": "9223372036854775808", "huge": strings.Repeat("9", 5000), "plus": "+3500", "empty": " ", "two in one": "3500, 3500", "hex": "0xdac",
	} {
		t.Run("PATCH "+name, func(t *testing.T) {
			_, res, err := failThrough(t, tus.ErrProtocol, tustest.Fault{Method: "PATCH", Skip: 3, Times: -1, Action: tustest.SetHeader("Upload-Offset", offset)})
			if res.URL == "" || res.Offset != 3000 {
				t.Errorf("result is %+v", res)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("error has %d characters", len(err.Error()))
			}
		})
		t.Run("HEAD "+name, func(t *testing.T) {
			if name == "beyond what was sent" || name == "back" {
				t.Skip("HEAD may return any offset up to the length")
			}
			failThrough(t, tus.ErrProtocol,
				tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.CutBefore()},
				tustest.Fault{Method: "HEAD", Times: -1, Action: tustest.SetHeader("Upload-Offset", offset)})
		})
	}
	t.Run("PATCH duplicated", func(t *testing.T) {
		failThrough(t, tus.ErrProtocol, tustest.Fault{Method: "PATCH", Action: tustest.SetHeader("Upload-Offset", "1000", "Upload-Offset", "999")})
	})
	t.Run("HEAD absent", func(t *testing.T) {
		failThrough(t, tus.ErrProtocol,
			tustest.Fault{Method: "PATCH", Action: tustest.CutBefore()},
			tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Offset", "")})
	})
	t.Run("HEAD beyond the length", func(t *testing.T) {
		failThrough(t, tus.ErrProtocol,
			tustest.Fault{Method: "PATCH", Action: tustest.CutBefore()},
			tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Offset", "10001")})
	})
	t.Run("HEAD another length", func(t *testing.T) {
		failThrough(t, tus.ErrSourceMismatch,
			tustest.Fault{Method: "PATCH", Action: tustest.CutBefore()},
			tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Length", "9999")})
	})
	t.Run("creation with upload beyond what was sent", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.SetHeader("Upload-Offset", "101")})
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(100)), nil)
		wantError(t, err, tus.ErrProtocol)
	})
	t.Run("POST without Location", func(t *testing.T) {
		failThrough(t, tus.ErrProtocol, tustest.Fault{Method: "POST", Times: -1, Action: tustest.SetHeader("Location", "")})
	})
	for _, location := range []string{"ftp://example.org/x", "http://", "javascript:alert(1)", "http://[::1"} {
		t.Run("POST with Location "+location, func(t *testing.T) {
			failThrough(t, tus.ErrProtocol, tustest.Fault{Method: "POST", Times: -1, Action: tustest.SetHeader("Location", location)})
		})
	}
}

func TestResponse_EarlyAcknowledgmentIsIgnored(t *testing.T) {
	// A duplicate or reordered response of a proxy comes before the body is sent, and
	// acknowledges all of it.
	data := randomBytes(16 << 20)
	for method, opts := range map[string]*tus.UploadOptions{
		"PATCH": whole(),
		"POST":  {CreationLimit: int64(len(data))},
	} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: method, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			w.Header().Set("Upload-Offset", strconv.Itoa(len(data)))
			status := http.StatusNoContent
			if method == "POST" {
				bare := r.Clone(r.Context())
				bare.Body = http.NoBody
				bare.Header.Del("Content-Type")
				created := httptest.NewRecorder()
				h.Serve(created, bare)
				w.Header().Set("Location", created.Header().Get("Location"))
				status = http.StatusCreated
			}
			w.WriteHeader(status)
		}})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), opts)
		if err == nil {
			wantStored(t, srv.Handler, res.URL, data)
		}
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

func TestRefusal_EndsUploadWithMessage(t *testing.T) {
	tests := map[int]error{401: tus.ErrUnauthorized, 403: tus.ErrUnauthorized, 412: tus.ErrUnsupported, 400: nil, 415: nil, 501: nil}
	for status, want := range tests {
		for _, method := range []string{"POST", "PATCH"} {
			srv, res, err := failThrough(t, want, tustest.Fault{Method: method, Times: -1,
				Action: tustest.Respond(status, "because\r\n\x1b[31mof reasons", "Tus-Version", "0.2.2,0.2.1")})
			var e *tus.Error
			if !errors.As(err, &e) || e.StatusCode != status || e.Method != method || e.Message != "because [31mof reasons" {
				t.Errorf("%s %d: error is %#v", method, status, e)
			}
			if tus.IsRetryable(err) || res.Stats.Retries != 0 || srv.Count(method) != 1 {
				t.Errorf("%s %d was retried", method, status)
			}
			if status == 412 && !strings.Contains(err.Error(), "0.2.2, 0.2.1") {
				t.Errorf("error does not name the versions of the server: %v", err)
			}
			if method == "PATCH" && res.URL == "" {
				t.Errorf("%d: result has no URL", status)
			}
		}
	}
}

func TestRefusal_OfStoredLastChunkIsUnconfirmed(t *testing.T) {
	data := randomBytes(2000)
	opts := &tus.UploadOptions{ChunkSize: 1000}
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: faults.SetStatus(422)})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrUnconfirmed)
	wantStored(t, srv.Handler, res.URL, data)

	srv = tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: faults.RespondAfter(422, "virus found")})
	_, err = newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), opts)
	var e *tus.Error
	if errors.Is(err, tus.ErrUnconfirmed) || !errors.As(err, &e) || e.StatusCode != 422 || e.Message != "virus found" {
		t.Errorf("error is %v", err)
	}
}

func TestRefusal_DeletedUploadIsNotResent(t *testing.T) {
	// As by a virus scanner.
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", From: 1000, Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		faults.RespondAfter(422, "virus found")(w, r, h)
		h.Forget(r.URL.Path)
	}})
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(2000)), &tus.UploadOptions{ChunkSize: 1000})
	var e *tus.Error
	if !errors.As(err, &e) || e.StatusCode != 422 || e.Message != "virus found" {
		t.Errorf("error is %v", err)
	}
	wantMethods(t, srv.Handler, "POST", "PATCH", "PATCH", "HEAD")
}

func TestUnauthorized_HookRenewsTokenOnce(t *testing.T) {
	for _, method := range []string{"POST", "PATCH", "HEAD"} {
		srv := tustest.NewServer(t, nil)
		token := "old"
		check := func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if r.Header.Get("Authorization") != "new" {
				w.WriteHeader(401)
				token = "new" // a hook may take longer
				return
			}
			h.Serve(w, r)
		}
		if method == "HEAD" {
			srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutBefore()})
		}
		srv.Inject(tustest.Fault{Method: method, Times: -1, Action: check})
		client := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{
			BeforeRequest: func(r *http.Request) error { r.Header.Set("Authorization", token); return nil },
		}})
		data := randomBytes(3000)
		res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1000})
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
	// If the hook does not renew the token, the request is repeated once.
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Respond(401, "")})
	client := newClient(t, srv.Endpoint(), &tus.Options{Hooks: renewingHooks()})
	_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), &tus.UploadOptions{ChunkSize: 1000})
	wantError(t, err, tus.ErrUnauthorized)
	if n := srv.Count("PATCH"); n != 2 {
		t.Errorf("%d PATCH requests, want 2", n)
	}
}

func TestBeforeRequest_ErrorEndsUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	boom := errors.New("no token")
	client := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{BeforeRequest: func(*http.Request) error { return boom }}})
	_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), nil)
	wantError(t, err, boom)
	if n := len(srv.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestPatch_413HalvesChunksIfAllowed(t *testing.T) {
	limit := func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if r.ContentLength > 1500 {
			faults.RespondAfter(413, "")(w, r, h)
			return
		}
		h.Serve(w, r)
	}
	data := randomBytes(10_000)
	for _, chunkSize := range []int64{0, 6000} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: limit})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{
			ChunkSize: chunkSize, MinChunkSize: 1000, CreationLimit: -1})
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if res.Stats.Retries != 0 {
			t.Errorf("halving took %d retries", res.Stats.Retries)
		}
	}
	for _, floor := range []int64{0, 2000} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: limit})
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{
			ChunkSize: 6000, MinChunkSize: floor})
		wantError(t, err, tus.ErrTooLarge)
	}
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

func TestMethodNotAllowed_NamesMissingFeature(t *testing.T) {
	for method, words := range map[string]string{"POST": "creation", "PATCH": "OverridePatchMethod"} {
		_, _, err := failThrough(t, nil, tustest.Fault{Method: method, Times: -1, Action: tustest.Respond(405, "")})
		var e *tus.Error
		if !errors.As(err, &e) || e.StatusCode != 405 || e.Method != method || !strings.Contains(err.Error(), words) || tus.IsRetryable(err) {
			t.Errorf("%s: error is %v", method, err)
		}
		if errors.Is(err, tus.ErrUnsupported) != (method == "POST") {
			t.Errorf("%s: %v and ErrUnsupported", method, err)
		}
	}
}

func TestMethodNotAllowed_NoAdviceIfOverridden(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Respond(405, "")})
	_, err := newClient(t, srv.Endpoint(), &tus.Options{OverridePatchMethod: true}).Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked())
	if err == nil || strings.Contains(err.Error(), "see Options.OverridePatchMethod") {
		t.Errorf("error advises an option that is set: %v", err)
	}
}

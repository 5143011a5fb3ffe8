package tus_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

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

// renewingHooks has a BeforeRequest, which may renew credentials.
func renewingHooks() tus.Hooks {
	return tus.Hooks{BeforeRequest: func(*http.Request) error { return nil }}
}

// renewing returns a client with renewingHooks.
func renewing(t *testing.T, srv *tustest.Server) *tus.Client {
	return newClient(t, srv.Endpoint(), &tus.Options{Hooks: renewingHooks()})
}

// TestUnauthorized_RepeatedExpiryIsRenewed has credentials that expire before the next
// retry, without progress in between.
func TestUnauthorized_RepeatedExpiryIsRenewed(t *testing.T) {
	expired, unavailable := tustest.Respond(401, "expired"), tustest.Respond(503, "")
	data := randomBytes(unequalSize)
	once := func(method string, skip int, action tustest.Action) tustest.Fault {
		return tustest.Fault{Method: method, Skip: skip, Action: action}
	}
	t.Run("HEAD", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "PATCH", Times: 2, Action: unavailable}, once("HEAD", 0, expired), once("HEAD", 1, expired))
		res, err := renewing(t, srv).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		wantMethods(t, srv.Handler, "POST", "PATCH", "HEAD", "HEAD", "PATCH", "HEAD", "HEAD", "PATCH", "PATCH", "PATCH", "PATCH", "PATCH")
	})
	t.Run("PATCH", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(once("PATCH", 0, expired), once("PATCH", 0, unavailable), once("PATCH", 0, expired))
		res, err := renewing(t, srv).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	})
	t.Run("final upload", func(t *testing.T) {
		srv := finalLast(t)
		onFinal(srv, expired, unavailable, expired, unavailable, expired)
		res, err := renewing(t, srv).Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
	})
	t.Run("Info", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		client := renewing(t, srv)
		res, err := client.Upload(testContext(t), tus.Bytes(data), whole())
		if err != nil {
			t.Fatal(err)
		}
		srv.Inject(once("HEAD", 0, expired), once("HEAD", 0, unavailable), once("HEAD", 0, expired))
		if _, err := client.Info(testContext(t), res.URL); err != nil {
			t.Error(err)
		}
	})
}

// TestUnauthorized_AfterRenewalEndsUpload: a refused request is repeated once, even if the
// HEAD in between succeeds.
func TestUnauthorized_AfterRenewalEndsUpload(t *testing.T) {
	for method, want := range map[string][]string{
		"POST":  {"POST", "POST"},
		"PATCH": {"POST", "PATCH", "HEAD", "PATCH"},
	} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: method, Times: -1, Action: tustest.Respond(401, "")})
		_, err := renewing(t, srv).Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked())
		wantError(t, err, tus.ErrUnauthorized)
		wantMethods(t, srv.Handler, want...)
	}
}

// A 401 in a Step does not affect a later Run.
func TestUnauthorized_InStepKeepsRetryAfterOfRun(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "POST", Action: tustest.Respond(401, "")},
			tustest.Fault{Method: "PATCH", Action: tustest.Respond(503, "", "Retry-After", "100")})
		data := randomBytes(1000)
		client := newClient(&tus.Options{Hooks: renewingHooks()})
		u, err := client.NewUploader(tus.Bytes(data), whole())
		if err != nil {
			t.Fatal(err)
		}
		for u.State() != tus.StateReady { // the second Step in creating repeats the request
			_ = u.Step(t.Context())
		}
		begin := time.Now()
		res, err := u.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < 100*time.Second || res.Stats.Retries != 1 {
			t.Errorf("Retry-After was 100 s, the retry came after %v (%d retries)", took, res.Stats.Retries)
		}
	})
}

func TestUnauthorized_RepeatedCreationCarriesData(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(3000)
	srv.Inject(tustest.Fault{Method: "POST", Action: faults.RespondAfter(401, "")})
	res, err := renewing(t, srv).Upload(testContext(t), tus.Bytes(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	wantMethods(t, srv.Handler, "OPTIONS", "POST", "POST")
}

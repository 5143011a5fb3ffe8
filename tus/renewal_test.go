package tus_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

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

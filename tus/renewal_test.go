package tus_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// renewingHooks could renew what a request is authorized by.
func renewingHooks() tus.Hooks {
	return tus.Hooks{BeforeRequest: func(*http.Request) error { return nil }}
}

// renewing makes a client whose hook would renew what requests are authorized by.
func renewing(t *testing.T, srv *tustest.Server) *tus.Client {
	return newClient(t, srv.Endpoint(), &tus.Options{Hooks: renewingHooks()})
}

// TestUnauthorized_RepeatedExpiryIsRenewed has credentials that do not last from one failure to
// the next, and no byte that gets through in between.
func TestUnauthorized_RepeatedExpiryIsRenewed(t *testing.T) {
	expired, unavailable := tustest.Respond(401, "expired"), tustest.Respond(503, "")
	data := randomBytes(unequalSize)
	once := func(method string, skip int, action tustest.Action) tustest.Fault {
		return tustest.Fault{Method: method, Skip: skip, Action: action}
	}
	t.Run("while the offset is asked for", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "PATCH", Times: 2, Action: unavailable}, once("HEAD", 0, expired), once("HEAD", 1, expired))
		res, err := renewing(t, srv).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		wantMethods(t, srv.Handler, "POST", "PATCH", "HEAD", "HEAD", "PATCH", "HEAD", "HEAD", "PATCH", "PATCH", "PATCH", "PATCH", "PATCH")
	})
	t.Run("while a chunk is sent", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(once("PATCH", 0, expired), once("PATCH", 0, unavailable), once("PATCH", 0, expired))
		res, err := renewing(t, srv).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	})
	t.Run("while the final upload is made", func(t *testing.T) {
		srv := finalLast(t)
		onFinal(srv, expired, unavailable, expired, unavailable, expired)
		res, err := renewing(t, srv).Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
	})
	t.Run("while an upload is looked at by hand", func(t *testing.T) {
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

// TestUnauthorized_AfterRenewalEndsUpload counts what a refused request costs: it
// is repeated once, and the HEAD in between, which is not refused, changes nothing.
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

// A 401 that a Step met has nothing to do with what a Run meets later.
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
		for u.State() != tus.StateReady { // the 401 is repeated by the second Step in Creating
			_ = u.Step(t.Context())
		}
		begin := time.Now()
		res, err := u.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < 100*time.Second || res.Stats.Retries != 1 {
			t.Errorf("the server asked for 100 s, and was asked again after %v (%d retries counted)", took, res.Stats.Retries)
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

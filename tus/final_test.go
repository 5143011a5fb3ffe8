package tus_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// onFinal handles the requests that create final uploads by actions, one each, and
// serves all other requests without faults.
func onFinal(srv *tustest.Server, actions ...tustest.Action) {
	next := make(chan tustest.Action, len(actions))
	for _, a := range actions {
		next <- a
	}
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;") {
			select {
			case action := <-next:
				action(w, r, h)
				return
			default:
			}
		}
		h.Serve(w, r)
	}})
}

// finalRequests counts the requests that create a final upload.
func finalRequests(h *tustest.Handler) int {
	n := 0
	for _, r := range h.Requests() {
		if strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;") {
			n++
		}
	}
	return n
}

// forgettingParts deletes the first n partial uploads on the server before it serves a
// request.
func forgettingParts(n int) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		for _, u := range partials(h)[:n] {
			h.Forget(u.ID)
		}
		h.Serve(w, r)
	}
}

func TestFinal_FaultEndsInExactBytes(t *testing.T) {
	tests := map[string]struct {
		action tustest.Action
		lost   bool // the final upload may exist without a response
		resent int64
	}{
		"cut":                  {tustest.CutBefore(), true, 0},
		"response lost":        {tustest.LoseResponse(), true, 0},
		"500":                  {tustest.Respond(500, ""), true, 0},
		"500 after creation":   {faults.SetStatus(500), true, 0},
		"502":                  {tustest.Respond(502, "<html>"), true, 0},
		"504 after creation":   {faults.SetStatus(504), true, 0},
		"503":                  {tustest.Respond(503, ""), false, 0},
		"429":                  {tustest.Respond(429, ""), false, 0},
		"409":                  {tustest.Respond(409, "busy"), false, 0},
		"423":                  {tustest.Respond(423, "a part is locked"), false, 0},
		"400, all parts exist": {tustest.Respond(400, "no"), false, 0},
		"404, all parts exist": {tustest.Respond(404, "no"), false, 0},
		"one part is gone":     {forgettingParts(1), false, 1200},
		"three parts are gone": {forgettingParts(3), false, 3300},
		"all parts are gone":   {forgettingParts(4), false, 4200},
		"404, a part is gone": {func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			h.Forget(partials(h)[0].ID)
			goneWith(404)(w, r, h)
		}, false, 1200},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			srv, data := finalLast(t), randomBytes(unequalSize)
			onFinal(srv, test.action)
			store := &storage.Memory{}
			var seen recorder
			opts := unequal()
			opts.Hooks = seen.hooks()
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			wantFinals(t, srv, res, data, test.lost)
			wantRisingProgress(t, seen.reports, unequalSize)
			s := res.Stats
			if s.Uploaded < unequalSize || (s.RepeatedFinals == 1) != test.lost || s.Resent > test.resent || s.Sent-s.Resent != unequalSize {
				t.Errorf("stats are %+v", s)
			}
			if n := finalRequests(srv.Handler); n != 2 {
				t.Errorf("%d requests for the final upload", n)
			}
			if test.resent == 0 && (s.Resent != 0 || len(partials(srv.Handler)) != 4) {
				t.Errorf("%d bytes were resent, to %d parts", s.Resent, len(partials(srv.Handler)))
			}
			wantNothingKept(t, store)
		})
	}
}

func TestFinal_RefusedIsUnconfirmed(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 412, 413, 422, 431, 500, 501} {
		srv, store, data := finalLast(t), &storage.Memory{}, randomBytes(unequalSize)
		onFinal(srv, slices.Repeat([]tustest.Action{tustest.Respond(status, "we do not like it")}, 9)...)
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
		u, err := client.NewUploader(tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		res, err := u.Run(testContext(t))
		if !errors.Is(err, tus.ErrUnconfirmed) {
			t.Errorf("%d: error is %v", status, err)
		}
		var e *tus.Error
		if !errors.As(err, &e) || e.StatusCode != status || e.Method != "POST" || !strings.Contains(err.Error(), "we do not like it") {
			t.Errorf("%d: error is %v", status, err)
		}
		if tus.IsRetryable(err) {
			t.Errorf("%d: error is retryable", status)
		}
		if u.State() != tus.StateFailed || res.Offset != unequalSize || bytesReceived(srv) != unequalSize || len(finals(srv.Handler)) != 0 {
			t.Errorf("%d: state %v, offset %d, %d bytes received", status, u.State(), res.Offset, bytesReceived(srv))
		}
		for rec, err := range store.All(context.Background()) {
			if err != nil || rec.Lease != nil || len(rec.Parts) != 4 {
				t.Errorf("%d: record is %+v, %v", status, rec, err)
			}
		}

		// A later session, when the server accepts the request, sends only that.
		for finalRequests(srv.Handler) < 9 {
			_, _ = client.Concatenate(testContext(t), []string{srv.Endpoint() + "1"}, nil)
		}
		before := len(srv.Requests())
		res, err = newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatalf("%d: %v", status, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		for _, r := range srv.Requests()[before:] {
			if r.Method == "PATCH" || r.Header.Get("Upload-Concat") == "partial" {
				t.Errorf("%d: later session sent %s", status, r.Method)
			}
		}
		if res.Stats.ResumedFrom != unequalSize {
			t.Errorf("%d: stats of the later session are %+v", status, res.Stats)
		}
	}
}

func TestFinal_GonePartsAfterLostResponse(t *testing.T) {
	// The server deletes the parts after concatenation, and the response is lost. Then the
	// same with a program that ends at that point.
	for name, sessions := range map[string]int{"same session": 1, "later session": 2} {
		srv, store, data := finalLast(t), &storage.Memory{}, randomBytes(unequalSize)
		ctx, cancel := context.WithCancel(testContext(t))
		onFinal(srv, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			h.Serve(httptest.NewRecorder(), r)
			for _, u := range partials(h) {
				h.Forget(u.ID)
			}
			if sessions == 2 {
				cancel()
			}
			tustest.CutBefore()(w, r, h)
		})
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(data), unequal())
		if sessions == 2 {
			wantError(t, err, context.Canceled)
			_, err = newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), unequal())
		}
		cancel()
		wantError(t, err, tus.ErrUnconfirmed)
		if len(finals(srv.Handler)) != 1 || bytesReceived(srv) != unequalSize || len(partials(srv.Handler)) != 4 {
			t.Errorf("%s: %d finals, %d bytes received", name, len(finals(srv.Handler)), bytesReceived(srv))
		}
	}
}

func TestFinal_MayTakeMinutes(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "POST", Skip: 4, Action: tustest.Delay(9 * time.Minute)})
		data := randomBytes(unequalSize)
		res, err := newClient(nil).Upload(t.Context(), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, h, res.URL, data)
		if res.Stats.Retries != 0 || res.Stats.Elapsed < 9*time.Minute {
			t.Errorf("stats are %+v", res.Stats)
		}
	})
}

func TestFinal_NoResponseIsUnconfirmed(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "POST", Skip: 4, Times: -1, Action: tustest.Stall()})
		opts := &tus.Options{}
		opts.Retry.MaxRetries = 2
		res, err := newClient(opts).Upload(t.Context(), tus.Bytes(randomBytes(unequalSize)), unequal())
		wantError(t, err, tus.ErrUnconfirmed)
		wantError(t, err, tus.ErrStalled)
		if res.Stats.RepeatedFinals != 2 || h.Count("POST") != 7 {
			t.Errorf("stats are %+v", res.Stats)
		}
	})
}

func TestFinal_HookErrorEndsUpload(t *testing.T) {
	for kind, srv := range concatServers(t) {
		opts := unequal()
		opts.Hooks.BeforeRequest = func(r *http.Request) error {
			if strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;") {
				return errUnplugged
			}
			return nil
		}
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(unequalSize)), opts)
		wantError(t, err, errUnplugged)
		if finalRequests(srv.Handler) != 0 || srv.Count("PATCH") != 18 {
			t.Errorf("%s: %d requests for final uploads, %d chunks sent", kind, finalRequests(srv.Handler), srv.Count("PATCH"))
		}
	}
}

func TestTerminateParts_DeletesOnlyIfSet(t *testing.T) {
	data := randomBytes(unequalSize)
	for kind := range concatServers(t) {
		for name, faults := range map[string][]tustest.Fault{
			"no fault": nil,
			"locked":   {{Method: "DELETE", Times: 3, Action: tustest.Respond(423, "")}},
			"gone":     {{Method: "DELETE", Times: 1, Action: faults.Vanish()}},
			"lost":     {{Method: "DELETE", Times: 1, Action: tustest.LoseResponse()}},
		} {
			srv := concatServers(t)[kind]
			srv.Inject(faults...)
			opts := unequal()
			opts.ParallelOptions.TerminateParts = true
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			for _, u := range partials(srv.Handler) {
				if !u.Terminated {
					t.Errorf("%s/%s: part %s still exists", kind, name, u.ID)
				}
			}
		}
		srv := concatServers(t)[kind]
		if _, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), unequal()); err != nil {
			t.Fatal(err)
		}
		if srv.Count("DELETE") != 0 {
			t.Errorf("%s: parts were deleted", kind)
		}
	}
	for name, opts := range map[string]*tustest.Options{
		"refusal": nil, "no extension": {Extensions: tustest.Without("termination")},
	} {
		srv := tustest.NewServer(t, opts)
		if opts == nil {
			srv.Inject(tustest.Fault{Method: "DELETE", Times: -1, Action: tustest.Respond(403, "")})
		}
		o := unequal()
		o.ParallelOptions.TerminateParts = true
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), o)
		if err != nil {
			t.Errorf("%s to delete parts: %v", name, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
	}
}

func TestFinal_NotRequestedIsNotUnconfirmed(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	ctx, cancel := context.WithCancel(testContext(t))
	client := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{BeforeRequest: func(*http.Request) error { cancel(); return nil }}})
	_, err := client.Concatenate(ctx, []string{srv.Endpoint() + "1"}, nil)
	wantError(t, err, context.Canceled)
	if errors.Is(err, tus.ErrUnconfirmed) {
		t.Errorf("error is %v", err)
	}
	wantMethods(t, srv.Handler)
}

func TestFinal_CanceledBeforeRequestIsNotRepeated(t *testing.T) {
	for name, hooks := range map[string]func(cancel func()) tus.Hooks{
		"state": func(cancel func()) tus.Hooks {
			return tus.Hooks{OnStateChange: func(_ *tus.Uploader, _, to tus.State, _ error) {
				if to == tus.StateConcatenating {
					cancel()
				}
			}}
		},
		"request": func(cancel func()) tus.Hooks {
			return tus.Hooks{BeforeRequest: func(r *http.Request) error {
				if strings.HasPrefix(r.Header.Get("Upload-Concat"), "final") {
					cancel()
				}
				return nil
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store, data := finalLast(t), &storage.Memory{}, randomBytes(unequalSize)
			ctx, cancel := context.WithCancel(testContext(t))
			opts := unequal()
			opts.Hooks = hooks(cancel)
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(data), opts)
			wantError(t, err, context.Canceled)
			if srv.Count("POST") != 4 {
				t.Fatal("the final upload was requested")
			}
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), unequal())
			if err != nil {
				t.Fatal(err)
			}
			wantOneFinal(t, srv.Handler, res.URL, data)
			if n := finalRequests(srv.Handler); n != 1 || res.Stats.RepeatedFinals != 0 {
				t.Errorf("%d requests for a final upload, %d repeated", n, res.Stats.RepeatedFinals)
			}
		})
	}
}

package tus_test

import (
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// rememberVerified returns options of remembering with VerifyCompleted.
func rememberVerified(store storage.Store) *tus.Options {
	opts := remembering(store)
	opts.VerifyCompleted = true
	return opts
}

// onHead handles HEAD requests by an action, all if times is negative.
func onHead(times int, action tustest.Action) tustest.Fault {
	return tustest.Fault{Method: "HEAD", Times: times, Action: action}
}

// completedUpload uploads data, and returns the result, the server and the store.
func completedUpload(t *testing.T, data []byte, opts *tus.UploadOptions) (*tus.Result, *tustest.Server, *storage.Memory) {
	t.Helper()
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	res := mustUpload(t, newClient(t, srv.Endpoint(), remembering(store)), data, opts)
	wantRemembered(t, store, res.URL)
	return res, srv, store
}

func TestVerify_CompleteUploadNeedsOneHEAD(t *testing.T) {
	data := randomBytes(unequalSize)
	for name, opts := range map[string]tus.UploadOptions{"chunks": *chunked(), "one request": {}, "parts": *unequal()} {
		first, srv, store := completedUpload(t, data, &opts)
		for failure, action := range map[string]tustest.Action{
			"none": nil, "500": tustest.Respond(500, "", "Tus-Resumable", "1.0.0"), "connection lost": tustest.CutBefore(), "404 of a proxy": tustest.Respond(404, ""),
			"no length": tustest.Respond(200, "", "Tus-Resumable", "1.0.0", "Upload-Offset", "4200"),
		} {
			want := 1
			if action != nil {
				srv.Inject(onHead(1, action))
			}
			if action != nil && failure != "no length" {
				want = 2
			}
			requests, rec := len(srv.Requests()), &recorder{}
			opts.Hooks = rec.hooks()
			res, err := newClient(t, srv.Endpoint(), rememberVerified(store)).Upload(testContext(t), tus.Bytes(data), &opts)
			wantRecalled(t, res, err, first.URL, unequalSize)
			if n := len(srv.Requests()) - requests; n != want || res.Stats.Requests["HEAD"] != want || rec.path() != "locating complete" || len(rec.reports) != 1 {
				t.Errorf("%s, %s: %d requests, states %s, progress %+v", name, failure, n, rec.path(), rec.reports)
			}
			wantRemembered(t, store, first.URL)
		}
	}
}

func TestVerify_GoneUploadIsUploadedAgain(t *testing.T) {
	data := randomBytes(unequalSize)
	for name, action := range map[string]tustest.Action{
		"404":            goneWith(404),
		"410":            goneWith(410),
		"other length":   tustest.Respond(200, "", "Tus-Resumable", "1.0.0", "Upload-Offset", "4000", "Upload-Length", "4000"),
		"other metadata": tustest.SetHeader("Upload-Metadata", "name b3RoZXI="),
		"a part":         tustest.SetHeader("Upload-Concat", "partial"),
	} {
		for how, opts := range map[string]*tus.UploadOptions{"chunks": chunked(), "one request": {}, "parts": unequal()} {
			t.Run(name+"/"+how, func(t *testing.T) {
				opts.Metadata = tus.Metadata{"name": "data"}
				first, srv, store := completedUpload(t, data, opts)
				srv.Inject(onHead(1, action))
				res := mustUpload(t, newClient(t, srv.Endpoint(), rememberVerified(store)), data, opts)
				if res.AlreadyComplete || res.URL == first.URL || res.Stats.Restarts != 1 || res.Stats.NotResumed != 1 {
					t.Errorf("result is %+v", res)
				}
				wantStored(t, srv.Handler, res.URL, data)
				wantRemembered(t, store, res.URL)
			})
		}
	}
}

func TestVerify_FailureNeverUploadsAgain(t *testing.T) {
	data := randomBytes(5000)
	for name, action := range map[string]tustest.Action{
		"401":             tustest.Respond(401, "", "Tus-Resumable", "1.0.0"),
		"403":             tustest.Respond(403, "", "Tus-Resumable", "1.0.0"),
		"423":             tustest.Respond(423, "", "Tus-Resumable", "1.0.0"),
		"500":             tustest.Respond(500, "", "Tus-Resumable", "1.0.0"),
		"502 of a proxy":  tustest.Respond(502, htmlPage),
		"404 of a proxy":  tustest.Respond(404, ""),
		"200 with a page": tustest.Respond(200, htmlPage),
		"connection lost": tustest.CutBefore(),
	} {
		t.Run(name, func(t *testing.T) {
			first, srv, store := completedUpload(t, data, chunked())
			srv.Inject(onHead(-1, action))
			client := rememberVerified(store)
			client.Retry.MaxRetries = 3
			res, err := newClient(t, srv.Endpoint(), client).Upload(testContext(t), tus.Bytes(data), chunked())
			if err == nil || res.AlreadyComplete || srv.Count("POST") != 1 {
				t.Errorf("%d creations, result is %+v, %v", srv.Count("POST"), res, err)
			}
			wantRemembered(t, store, first.URL)
			res, err = newClient(t, srv.Endpoint(), remembering(store)).Upload(testContext(t), tus.Bytes(data), chunked())
			wantRecalled(t, res, err, first.URL, 5000)
		})
	}
}

// The server lost bytes of a completed upload.
func TestVerify_ShortUploadIsResumed(t *testing.T) {
	data := randomBytes(5000)
	for name, sums := range map[string][]checksum.Algorithm{"no checksum": nil, "checksum": checksum.Builtin()[:1]} {
		for _, opts := range []tus.UploadOptions{*chunked(), {}} {
			first, srv, store := completedUpload(t, data, &opts)
			srv.Truncate(first.URL, 3000)
			client, rec := rememberVerified(store), &recorder{}
			client.Checksums = sums
			opts.Hooks = rec.hooks()
			res := mustUpload(t, newClient(t, srv.Endpoint(), client), data, &opts)
			if res.AlreadyComplete || res.URL != first.URL || res.Stats.ResumedFrom != 3000 || res.Stats.Sent != 2000 || srv.Count("POST") != 1 || (res.Checksum != "") != (sums != nil) {
				t.Errorf("%s: %s, result is %+v", name, rec.path(), res)
			}
			wantStored(t, srv.Handler, first.URL, data)
			wantRemembered(t, store, first.URL)
		}
	}
}

// The bytes of a final upload are those of its parts, which are no longer known.
func TestVerify_ShortFinalUploadFails(t *testing.T) {
	first, srv, store := completedUpload(t, randomBytes(unequalSize), unequal())
	srv.Inject(onHead(-1, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		tustest.SetHeader("Upload-Offset", "0")(w, r, h)
	}))
	creations := srv.Count("POST")
	res, err := newClient(t, srv.Endpoint(), rememberVerified(store)).Upload(testContext(t), tus.Bytes(randomBytes(unequalSize)), unequal())
	if err == nil || srv.Count("POST") != creations || srv.Count("PATCH") == 0 || res.Stats.Sent != 0 {
		t.Errorf("result is %+v, %v", res, err)
	}
	wantRemembered(t, store, first.URL)
}

func TestVerify_StepSendsOneRequest(t *testing.T) {
	data := randomBytes(5000)
	first, srv, store := completedUpload(t, data, chunked())
	srv.Inject(onHead(1, tustest.Respond(500, "", "Tus-Resumable", "1.0.0")))
	u, err := newClient(t, srv.Endpoint(), rememberVerified(store)).NewUploader(tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []tus.State{tus.StateLocating, tus.StateLocating, tus.StateComplete} {
		if err := u.Step(testContext(t)); (err != nil) != (i == 1) || u.State() != want || u.Stats().Requests["HEAD"] != i {
			t.Errorf("step %d: state %v, stats %+v, %v", i, u.State(), u.Stats(), err)
		}
	}
	res, err := u.Run(testContext(t))
	wantRecalled(t, res, err, first.URL, 5000)
}

// A pause during the HEAD leaves the record as it is.
func TestVerify_PauseKeepsRecord(t *testing.T) {
	data := randomBytes(5000)
	first, srv, store := completedUpload(t, data, chunked())
	u, err := newClient(t, srv.Endpoint(), rememberVerified(store)).NewUploader(tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	srv.Inject(onHead(1, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		u.Pause()
		tustest.Stall()(w, r, h)
	}))
	res := resumePaused(t, u)
	wantRecalled(t, res, nil, first.URL, 5000)
	wantRemembered(t, store, first.URL)
}

// Of several completed uploads, one that the server still has ends the upload.
func TestVerify_SecondCompletedUploadCounts(t *testing.T) {
	data := randomBytes(5000)
	first, srv, store := completedUpload(t, data, chunked())
	rec := records(t, store)[0]
	rec.ID, rec.Revision, rec.Seal = storage.NewID(), 0, ""
	rec.UploadURL, rec.Updated = first.URL+"gone", rec.Updated.Add(1)
	if _, err := store.Put(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	res, err := newClient(t, srv.Endpoint(), rememberVerified(store)).Upload(testContext(t), tus.Bytes(data), chunked())
	wantRecalled(t, res, err, first.URL, 5000)
	if srv.Count("HEAD") != 2 {
		t.Errorf("%d HEAD requests", srv.Count("HEAD"))
	}
	wantRemembered(t, store, first.URL)
}

// The upload URL of the record was changed by hand.
func TestRemember_WrongSealIsUploadedAgain(t *testing.T) {
	data := randomBytes(5000)
	first, srv, store := completedUpload(t, data, chunked())
	rec := records(t, store)[0]
	rec.UploadURL = srv.Endpoint() + "another"
	if _, err := store.Put(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	res := mustUpload(t, newClient(t, srv.Endpoint(), remembering(store)), data, chunked())
	if res.AlreadyComplete || res.URL == first.URL || res.Stats.NotResumed != 1 {
		t.Errorf("result is %+v", res)
	}
	wantRemembered(t, store, res.URL)
}

// The upload expired on the server. The next session finds the one that replaced it.
func TestVerify_OneUploadOfTwoSessions(t *testing.T) {
	data := randomBytes(5000)
	first, srv, store := completedUpload(t, data, chunked())
	srv.Inject(onHead(1, faults.Vanish()))
	res := mustUpload(t, newClient(t, srv.Endpoint(), rememberVerified(store)), data, chunked())
	if res.URL == first.URL {
		t.Errorf("result is %+v", res)
	}
	recalled, err := newClient(t, srv.Endpoint(), rememberVerified(store)).Upload(testContext(t), tus.Bytes(data), chunked())
	wantRecalled(t, recalled, err, res.URL, 5000)
}

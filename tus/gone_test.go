package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// onLastPatch handles the PATCH that completes an upload of size bytes by an action, the
// first times requests; all if times is negative.
func onLastPatch(size int64, times int, action tustest.Action) tustest.Fault {
	var seen atomic.Int64
	return tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		var at int64
		fmt.Sscan(r.Header.Get("Upload-Offset"), &at)
		if r.Method == "PATCH" && at+r.ContentLength == size && (times < 0 || seen.Add(1) <= int64(times)) {
			action(w, r, h)
			return
		}
		h.Serve(w, r)
	}}
}

// The server moves complete uploads away, and the response to the last byte is lost or
// replaced. The bytes are sent once, in this session and all later ones.
func TestFinish_GoneAfterLastByteIsUnconfirmed(t *testing.T) {
	data := randomBytes(5000)
	ways := map[string]*tus.UploadOptions{"whole": whole(), "chunks": chunked(), "deferred length": {DeferLength: true, ChunkSize: 1000}}
	for name, then := range map[string]tustest.Action{
		"response lost":   tustest.CutBefore(),
		"504 of a proxy":  tustest.Respond(504, htmlPage),
		"500":             tustest.Respond(500, "hook failed", "Tus-Resumable", "1.0.0"),
		"404":             goneWith(404),
		"404 of a proxy":  tustest.Respond(404, ""),
		"200 with a page": tustest.Respond(200, htmlPage),
		"204, no headers": tustest.Respond(204, ""),
	} {
		for how, opts := range ways {
			t.Run(name+"/"+how, func(t *testing.T) {
				srv, store := tustest.NewServer(t, nil), &storage.Memory{}
				srv.Inject(onLastPatch(5000, -1, takenAway(then)))
				for range 2 {
					res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
					wantError(t, err, tus.ErrUnconfirmed)
					if errors.Is(err, tus.ErrUploadGone) || tus.IsRetryable(err) {
						t.Errorf("error suggests a new upload: %v", err)
					}
					if srv.Count("POST") != 1 || bytesReceived(srv) != 5000 {
						t.Errorf("%d creations, %d bytes received", srv.Count("POST"), bytesReceived(srv))
					}
					if res.Stats.Restarts != 0 {
						t.Errorf("stats are %+v", res.Stats)
					}
				}
				// Only the caller decides to resend.
				for _, rec := range records(t, store) {
					if err := store.Delete(context.Background(), rec.ID, rec.Revision); err != nil {
						t.Fatal(err)
					}
				}
				srv2 := tustest.NewServer(t, nil)
				if _, err := newClient(t, srv2.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// If the record cannot be stored before the last byte is sent, it is stored later and
// says so. Otherwise a later session would resend everything.
func TestFinish_LateRecordSaysLastByteSent(t *testing.T) {
	data := randomBytes(5000)
	for how, opts := range map[string]*tus.UploadOptions{"whole": whole(), "deferred length": {DeferLength: true}} {
		t.Run(how, func(t *testing.T) {
			srv, memory := tustest.NewServer(t, nil), &storage.Memory{}
			srv.Inject(onLastPatch(5000, -1, takenAway(tustest.CutBefore())))
			for _, store := range []storage.Store{failingOnce(memory, false, nil), memory} {
				_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
				wantError(t, err, tus.ErrUnconfirmed)
				if srv.Count("POST") != 1 || bytesReceived(srv) != 5000 {
					t.Errorf("%d creations, %d bytes received", srv.Count("POST"), bytesReceived(srv))
				}
			}
		})
	}
}

func TestFinish_GoneStreamAndExternalURLAreUnconfirmed(t *testing.T) {
	data := randomBytes(5000)
	gone := func() *tustest.Server {
		srv := tustest.NewServer(t, nil)
		srv.Inject(onLastPatch(5000, -1, takenAway(tustest.CutBefore())))
		return srv
	}
	srv := gone()
	client := newClient(t, srv.Endpoint(), nil)
	_, err := client.Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
	wantError(t, err, tus.ErrUnconfirmed)
	if errors.Is(err, tus.ErrNotRecoverable) {
		t.Errorf("the stream may be complete, and the error suggests to start over: %v", err)
	}

	created, err := client.Create(testContext(t), tus.CreateOptions{DeferLength: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Resume(testContext(t), created.URL, tus.Bytes(data), chunked())
	wantError(t, err, tus.ErrUnconfirmed)
	if errors.Is(err, tus.ErrUploadGone) {
		t.Errorf("the error suggests to request another URL: %v", err)
	}

	// Step returns the same error.
	srv = gone()
	u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	for !u.State().Final() {
		err = u.Step(testContext(t))
	}
	wantError(t, err, tus.ErrUnconfirmed)
}

// The process is killed after the last byte was sent. The record says that the upload may
// be complete.
func TestFinish_RecordSaysLastByteSent(t *testing.T) {
	for how, opts := range map[string]*tus.UploadOptions{"whole": whole(), "chunks": chunked()} {
		srv, store, left := tustest.NewServer(t, nil), &storage.Memory{}, &storage.Memory{}
		ctx, cancel := context.WithCancel(testContext(t))
		srv.Inject(onLastPatch(5000, -1, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			takenAway(func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				asOfNow(t, store, left)
				cancel()
				tustest.CutBefore()(w, r, h)
			})(w, r, h)
		}))
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(randomBytes(5000)), opts)
		wantError(t, err, context.Canceled)
		_, err = newClient(t, srv.Endpoint(), &tus.Options{Store: left}).Upload(testContext(t), tus.Bytes(randomBytes(5000)), opts)
		wantError(t, err, tus.ErrUnconfirmed)
		if bytesReceived(srv) > 5000 || srv.Count("POST") != 1 {
			t.Errorf("%s: %d bytes received, %d creations", how, bytesReceived(srv), srv.Count("POST"))
		}
	}
}

// Every byte was sent, and the server does not have all. If the process is killed before
// it resends them, the record does not say that the upload may be complete.
func TestFinish_RecordSaysBytesAreMissing(t *testing.T) {
	data := randomBytes(5000)
	for _, later := range []bool{false, true} { // killed in a later session
		srv, store, left := tustest.NewServer(t, nil), &storage.Memory{}, &storage.Memory{}
		ctx, cancel := context.WithCancel(testContext(t))
		srv.Inject(onLastPatch(5000, 1, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			io.Copy(io.Discard, r.Body)
			if later {
				cancel()
			}
			tustest.CutBefore()(w, r, h)
		}))
		killed, patches := errors.New("killed"), 0
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
			if r.Method != "PATCH" {
				return nil
			}
			if patches++; patches == 1 {
				return nil
			}
			asOfNow(t, store, left)
			return killed
		}}})
		_, err := client.Upload(ctx, tus.Bytes(data), whole())
		if later {
			wantError(t, err, context.Canceled)
			_, err = client.Upload(testContext(t), tus.Bytes(data), whole())
		}
		cancel()
		wantError(t, err, killed)
		for _, u := range srv.Uploads() { // expired
			srv.Forget(u.ID)
		}
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: left}).Upload(testContext(t), tus.Bytes(data), whole())
		if err != nil {
			t.Fatalf("later session %v: %v", later, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
}

// A stored upload may be complete, and its record is deleted during a pause. The new
// upload in its place is not taken for complete.
func TestFinish_NewUploadIsNotUnconfirmed(t *testing.T) {
	data, store := randomBytes(5000), &storage.Memory{}
	srv := tustest.NewServer(t, nil)
	stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
	rec := records(t, store)[0]
	rec.Finishing = true
	if _, err := store.Put(context.Background(), rec); err != nil {
		t.Fatal(err)
	}
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	srv.Inject(tustest.Fault{Method: "HEAD", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		u.Pause()
		tustest.Stall()(w, r, h)
	}}, tustest.Fault{Method: "PATCH", From: 2000, Action: tustest.Respond(423, "")}, tustest.Fault{Method: "HEAD", Action: faults.Vanish()})
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	rec = records(t, store)[0]
	if err := store.Delete(context.Background(), rec.ID, rec.Revision); err != nil {
		t.Fatal(err)
	}
	res, err := u.Run(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// An upload that is gone before the last byte was sent starts over.
func TestFinish_GoneBeforeLastByteStartsOver(t *testing.T) {
	srv, data, store := tustest.NewServer(t, nil), randomBytes(5000), &storage.Memory{}
	stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
	srv.Forget(records(t, store)[0].UploadURL)
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.Stats.Restarts != 1 {
		t.Fatalf("%+v, %v", res.Stats, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// The server has every byte, and completing the upload fails. HEAD then shows the upload
// as complete.
func TestFinish_RefusalAfterLastByteIsUnconfirmed(t *testing.T) {
	data := randomBytes(5000)
	for how, opts := range map[string]*tus.UploadOptions{"whole": whole(), "chunks": chunked()} {
		for _, status := range []int{500, 507, 422} {
			srv := tustest.NewServer(t, nil)
			store, err := filestore.Open(filepath.Join(t.TempDir(), "uploads"), nil)
			if err != nil {
				t.Fatal(err)
			}
			srv.Inject(onLastPatch(5000, -1, faults.SetStatus(status)))
			for range 2 {
				_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
				wantError(t, err, tus.ErrUnconfirmed)
				if !strings.Contains(err.Error(), fmt.Sprint(status)) {
					t.Errorf("%s, %d: the error does not name the refusal: %v", how, status, err)
				}
			}
			if srv.Count("POST") != 1 || bytesReceived(srv) != 5000 {
				t.Errorf("%s, %d: %d creations, %d bytes received", how, status, srv.Count("POST"), bytesReceived(srv))
			}
		}
	}
	// A part whose completion fails is not concatenated.
	srv := tustest.NewServer(t, nil)
	srv.Inject(onLastPatch(1000, -1, faults.SetStatus(500)))
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Parallel: 5, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}})
	wantError(t, err, tus.ErrUnconfirmed)
	if len(finals(srv.Handler)) != 0 {
		t.Error("a final upload was created of it")
	}
}

// An error of a proxy is a lost response: HEAD confirms the upload.
func TestFinish_LostResponseIsConfirmedByHEAD(t *testing.T) {
	data := randomBytes(5000)
	for name, action := range map[string]tustest.Action{
		"cut": tustest.LoseResponse(),
		"502": afterwards(tustest.Respond(502, htmlPage)),
		"504": afterwards(tustest.Respond(504, "")),
		"500": afterwards(tustest.Respond(500, htmlPage)),
	} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(onLastPatch(5000, 1, action))
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil || bytesReceived(srv) != 5000 {
			t.Errorf("%s: %v, %d bytes received", name, err, bytesReceived(srv))
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
}

// afterwards serves a request and drops the response, and then responds by then.
func afterwards(then tustest.Action) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Serve(&headerOnly{header: http.Header{}}, r)
		then(w, r, h)
	}
}

func TestFinish_ResponseLikeACreationIsLastPatch(t *testing.T) {
	for how, opts := range map[string]*tus.UploadOptions{"whole": whole(), "chunks": chunked(), "stream": chunked()} {
		srv, data := tustest.NewServer(t, nil), randomBytes(5000)
		srv.Inject(onLastPatch(5000, -1, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			likeACreation(w, r, h)
			fmt.Fprint(w, `{"id":42}`)
		}))
		source := tus.Bytes(data)
		if how == "stream" {
			source = tus.Reader(bytes.NewReader(data))
		}
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, opts)
		if err != nil || res.LastPatch.StatusCode != 201 || string(res.LastPatch.Body) != `{"id":42}` || how != "stream" && srv.Count("HEAD") != 0 {
			t.Errorf("%s: %v, last PATCH %+v", how, err, res.LastPatch)
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
}

// proxy404 is the response of a reverse proxy that has no route.
var proxy404 = faults.RespondAfter(404, "404 page not found\n", "Content-Type", "text/plain; charset=utf-8")

func TestProxy404_StartsNothingOver(t *testing.T) {
	data := randomBytes(10_000)
	for name, faults := range map[string][]tustest.Fault{
		"PATCH once":       {{Method: "PATCH", Skip: 5, Action: proxy404}},
		"PATCH and HEAD":   {{Method: "PATCH", Skip: 5, Action: proxy404}, {Method: "HEAD", Times: 6, Action: proxy404}},
		"410 of a proxy":   {{Method: "PATCH", Skip: 5, Action: tustest.Respond(410, "")}},
		"last PATCH":       {{Method: "PATCH", From: 9000, Action: proxy404}},
		"HEAD after a cut": {{Method: "PATCH", Skip: 5, Action: tustest.CutBefore()}, {Method: "HEAD", Times: 3, Action: proxy404}},
	} {
		for _, kind := range []string{"file", "stream", "parts"} {
			srv := finalLast(t)
			srv.Inject(faults...)
			source, opts := tus.Bytes(data), chunked()
			switch kind {
			case "stream":
				source = tus.Reader(bytes.NewReader(data))
			case "parts":
				opts.Parallel, opts.ParallelOptions.MinPartSize = 2, 1000
			}
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, opts)
			if err != nil {
				t.Errorf("%s/%s: %v", kind, name, err)
				continue
			}
			wantStored(t, srv.Handler, res.URL, data)
			if res.Stats.Restarts != 0 || res.Stats.Resent > 1000 {
				t.Errorf("%s/%s: stats are %+v", kind, name, res.Stats)
			}
		}
	}
}

// While the server behind the proxy does not respond, the record is kept.
func TestProxy404_KeepsRecordWhileServerIsAway(t *testing.T) {
	data, store := randomBytes(10_000), &storage.Memory{}
	srv := tustest.NewServer(t, nil)
	first := stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 8000)
	for name, faults := range map[string][]tustest.Fault{
		"at the resume":             {{Times: 10, Action: proxy404}},
		"while sending":             {{Times: 10, Skip: 1, Action: proxy404}},
		"for all but OPTIONS":       {{Method: "HEAD", Times: 9, Action: proxy404}},
		"for all but OPTIONS later": {{Method: "PATCH", Action: proxy404}, {Method: "HEAD", Skip: 1, Times: 8, Action: proxy404}},
	} {
		srv.Inject(faults...)
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
		wantError(t, err, tus.ErrProtocol)
		if errors.Is(err, tus.ErrUploadGone) || !tus.IsRetryable(err) || len(records(t, store)) != 1 {
			t.Errorf("%s: %v, %d records", name, err, len(records(t, store)))
		}
	}
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.URL != first.URL || res.Stats.ResumedFrom != 8000 || srv.Count("POST") != 1 {
		t.Errorf("%+v, %v, %d creations", res, err, srv.Count("POST"))
	}
}

// A server without Tus-Resumable refuses the last bytes and deletes the upload. They are
// sent once, as with other servers.
func TestProxy404_AfterRefusalReturnsRefusal(t *testing.T) {
	data := randomBytes(5000)
	for how, opts := range map[string]*tus.UploadOptions{"whole": whole(), "chunks": chunked()} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "HEAD", Times: -1, Action: vanishSilently},
			tustest.Fault{Method: "OPTIONS", Times: -1, Action: tustest.SetHeader("Tus-Resumable", "")},
			onLastPatch(5000, -1, tustest.Respond(422, "infected")))
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), opts)
		var e *tus.Error
		if !errors.As(err, &e) || e.StatusCode != 422 || srv.Count("POST") != 1 {
			t.Errorf("%s: %v, %d creations", how, err, srv.Count("POST"))
		}
	}
}

// Each stored upload that is gone has all retries, and so has the new upload.
func TestProxy404_SeveralStoredUploadsAreGone(t *testing.T) {
	data, store := randomBytes(10_000), &storage.Memory{}
	srv := tustest.NewServer(t, nil)
	stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 8000)
	second := records(t, store)[0]
	second.ID, second.Revision = storage.NewID(), 0
	if _, err := store.Put(context.Background(), second); err != nil {
		t.Fatal(err)
	}
	srv.Inject(tustest.Fault{Method: "HEAD", Times: -1, Action: vanishSilently},
		tustest.Fault{Method: "OPTIONS", Times: -1, Action: tustest.SetHeader("Tus-Resumable", "")},
		tustest.Fault{Method: "POST", Action: tustest.Respond(503, "")})
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || srv.Count("HEAD") != 18 {
		t.Fatalf("%v, %d HEAD", err, srv.Count("HEAD"))
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// The 404 of a server without Tus-Resumable means gone if it persists through all
// retries.
func TestProxy404_PersistentIsGone(t *testing.T) {
	data, store := randomBytes(10_000), &storage.Memory{}
	srv := tustest.NewServer(t, nil)
	first := stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 8000)
	srv.Inject(tustest.Fault{Method: "HEAD", Times: -1, Action: vanishSilently},
		tustest.Fault{Method: "OPTIONS", Times: -1, Action: tustest.SetHeader("Tus-Resumable", "")})
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	res, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.URL == first.URL || res.Stats.Restarts != 1 || srv.Count("HEAD") != 9 {
		t.Fatalf("%+v, %v, %d HEAD", res, err, srv.Count("HEAD"))
	}
	wantStored(t, srv.Handler, res.URL, data)
	for what, call := range map[string]func() error{
		"Info": func() error { _, err := client.Info(testContext(t), first.URL); return err },
		"Resume": func() error {
			_, err := client.Resume(testContext(t), first.URL, tus.Bytes(data), chunked())
			return err
		},
	} {
		if err := call(); !errors.Is(err, tus.ErrUploadGone) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The 404 of a server without Tus-Resumable ends the retries also if they are unlimited.
func TestForever_GoneUploadEndsRetries(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "HEAD", Times: -1, Action: vanishSilently},
			tustest.Fault{Method: "DELETE", Times: -1, Action: vanishSilently},
			tustest.Fault{Method: "OPTIONS", Times: -1, Action: tustest.SetHeader("Tus-Resumable", "")})
		client := newClient(&tus.Options{Retry: tus.RetryPolicy{MaxRetries: tus.Forever}})
		created, err := client.Create(t.Context(), tus.CreateOptions{Size: 5})
		if err != nil {
			t.Fatal(err)
		}
		_, infoErr := client.Info(t.Context(), created.URL)
		_, resumeErr := client.Resume(t.Context(), created.URL, tus.Bytes([]byte("bytes")), nil)
		wantError(t, infoErr, tus.ErrUploadGone)
		wantError(t, resumeErr, tus.ErrUploadGone)
		if err := client.Terminate(t.Context(), created.URL); err != nil || h.Count("HEAD") != 18 || h.Count("DELETE") != 9 {
			t.Errorf("%v, %d HEAD, %d DELETE", err, h.Count("HEAD"), h.Count("DELETE"))
		}
	})
}

func TestProxy404_DoesNotTerminate(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	for name, test := range map[string]struct {
		faults []tustest.Fault
		gone   bool
	}{
		"once": {[]tustest.Fault{{Method: "DELETE", Action: proxy404}}, true},
		"while the server is away": {[]tustest.Fault{{Method: "DELETE", Times: 9, Action: proxy404},
			{Method: "OPTIONS", Action: proxy404}}, false},
	} {
		created, err := client.Create(testContext(t), tus.CreateOptions{DeferLength: true})
		if err != nil {
			t.Fatal(err)
		}
		srv.Inject(test.faults...)
		err = client.Terminate(testContext(t), created.URL)
		up, _ := srv.Upload(created.URL)
		if up.Terminated != test.gone || (err == nil) != test.gone {
			t.Errorf("%s: terminated %v, error %v", name, up.Terminated, err)
		}
	}
}

// HEAD is served by a replica that lags behind. A stream cannot resume there.
func TestHead_StaleOffsetIsRequestedAgain(t *testing.T) {
	data := randomBytes(10_000)
	for _, times := range []int{1, 3} {
		for _, kind := range []string{"file", "stream", "sequential"} {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 6, Action: tustest.LoseResponse()},
				tustest.Fault{Method: "HEAD", Times: times, Action: tustest.SetHeader("Upload-Offset", "2000")})
			source := tus.Bytes(data)
			switch kind {
			case "stream":
				source = tus.Reader(bytes.NewReader(data))
			case "sequential":
				source = &forwardSource{Source: source}
			}
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, chunked())
			if err != nil {
				t.Errorf("%s, %d stale responses: %v", kind, times, err)
				continue
			}
			wantStored(t, srv.Handler, res.URL, data)
			if kind != "file" && res.Stats.Resent != 0 {
				t.Errorf("%s, %d stale responses: stats are %+v", kind, times, res.Stats)
			}
		}
	}
	// If the offset stays, the server has lost bytes.
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 6, Action: tustest.LoseResponse()},
		tustest.Fault{Method: "HEAD", Times: -1, Action: tustest.SetHeader("Upload-Offset", "2000")})
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
	wantError(t, err, tus.ErrNotRecoverable)
	if n := srv.Count("HEAD"); n != 4 {
		t.Errorf("%d HEAD", n)
	}
}

func TestHead_BypassesCaches(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	created, err := newClient(t, srv.Endpoint(), nil).Create(testContext(t), tus.CreateOptions{DeferLength: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newClient(t, srv.Endpoint(), nil).Info(testContext(t), created.URL); err != nil {
		t.Fatal(err)
	}
	if got := srv.Requests()[1].Header.Get("Cache-Control"); got != "no-cache, no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
}

// 421 means that the connection is for another host (RFC 9110 section 15.5.20).
func TestMisdirectedRequest_IsRetriedOnce(t *testing.T) {
	data := randomBytes(3000)
	for _, method := range []string{"POST", "PATCH"} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: method, Action: faults.RespondAfter(421, "")})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil || res.Stats.Retries != 0 {
			t.Fatalf("%s: %+v, %v", method, res.Stats, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
}

// The error of the context is returned even if a response comes at the same time.
func TestContext_EndIsReturnedDespiteResponse(t *testing.T) {
	for _, method := range []string{"OPTIONS", "POST", "PATCH", "HEAD"} {
		for _, status := range []int{400, 401, 403, 404, 409, 423, 500} {
			srv := tustest.NewServer(t, nil)
			if method == "HEAD" {
				srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutBefore()})
			}
			srv.Inject(tustest.Fault{Method: method, Action: faults.RespondAfter(status, "")})
			ctx, cancel := context.WithCancel(testContext(t))
			client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin(), Hooks: tus.Hooks{
				AfterResponse: func(r *http.Request, _ *tus.Response) {
					if r.Method == method {
						cancel()
					}
				},
			}})
			u, err := client.NewUploader(tus.Bytes(randomBytes(1000)), whole())
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.Run(ctx)
			if !errors.Is(err, context.Canceled) || u.State() != tus.StatePaused || tus.IsRetryable(err) {
				t.Errorf("%s, %d: state %v, error %v", method, status, u.State(), err)
			}
			cancel()
		}
	}
	// The same for calls without an Uploader.
	srv := tustest.NewServer(t, nil)
	for what, call := range map[string]func(ctx context.Context, c *tus.Client) error{
		"Info":      func(ctx context.Context, c *tus.Client) error { _, err := c.Info(ctx, srv.Endpoint()+"1"); return err },
		"Terminate": func(ctx context.Context, c *tus.Client) error { return c.Terminate(ctx, srv.Endpoint()+"1") },
		"Create": func(ctx context.Context, c *tus.Client) error {
			_, err := c.Create(ctx, tus.CreateOptions{Size: 1, Partial: true})
			return err
		},
	} {
		srv.Inject(tustest.Fault{Action: faults.RespondAfter(403, "")})
		ctx, cancel := context.WithCancel(testContext(t))
		c := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{AfterResponse: func(*http.Request, *tus.Response) { cancel() }}})
		if err := call(ctx, c); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
		cancel()
	}
}

// Servers verify the checksum of a PATCH; some ignore that of a creation.
func TestChecksum_CreationCarriesNoData(t *testing.T) {
	data := randomBytes(3000)
	ignoring := func(t *testing.T) *tustest.Server {
		srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer")})
		srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			r.Header.Del("Upload-Checksum")
			faults.FlipBit(100)(w, r, h)
		}})
		return srv
	}
	for name, choice := range map[string]string{"automatic": "", "named": "sha1"} {
		srv := ignoring(t)
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()}).
			Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Checksum: choice})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		wantMethods(t, srv.Handler, "OPTIONS", "POST", "PATCH")
	}
}

// A load balancer that selects servers by cookie distributes the requests of a client
// without cookies over all of them.
func TestCreation_GoneTwiceAtOnceNamesCookies(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: faults.Vanish()})
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(randomBytes(5000)), chunked())
	wantError(t, err, tus.ErrUploadGone)
	if !strings.Contains(err.Error(), "cookie") || srv.Count("POST") != 2 {
		t.Errorf("%d creations: %v", srv.Count("POST"), err)
	}
	wantEmptyStore(t, store)
}

// Starting over is logged and counted.
func TestGone_StartingOverIsLogged(t *testing.T) {
	var log bytes.Buffer
	srv, data := tustest.NewServer(t, nil), randomBytes(5000)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Action: faults.Vanish()})
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}).
		Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if res.Stats.Restarts != 1 || strings.Count(log.String(), `level=WARN msg="tus starting over: `) != 1 || !strings.Contains(log.String(), "410 Gone") {
		t.Errorf("%d restarts, the log is\n%s", res.Stats.Restarts, &log)
	}
}

// The process is killed between the refusal of the last byte and the next HEAD. The record
// contains the refusal.
func TestFinish_RecordSaysLastByteRefused(t *testing.T) {
	srv, store, left := tustest.NewServer(t, nil), &storage.Memory{}, &storage.Memory{}
	srv.Inject(tustest.Fault{Method: "HEAD", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		asOfNow(t, store, left)
		h.Serve(w, r)
	}}, onLastPatch(5000, 1, faults.SetStatus(500)))
	for _, s := range []*storage.Memory{store, left} {
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: s}).Upload(testContext(t), tus.Bytes(randomBytes(5000)), chunked())
		wantError(t, err, tus.ErrUnconfirmed)
	}
	if srv.Count("POST") != 1 || bytesReceived(srv) != 5000 {
		t.Errorf("%d creations, %d bytes received", srv.Count("POST"), bytesReceived(srv))
	}
}

package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

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
		"404":             vanishWith(404),
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

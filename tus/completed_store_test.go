package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// The upload is complete, so a store that fails does not end it with an error.
func TestRemember_FailedPutIsReported(t *testing.T) {
	full := errors.New("no space left on device")
	for name, opts := range map[string]*tus.UploadOptions{"chunks": chunked(), "one request": {}, "parts": unequal()} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				memory, data := &storage.Memory{}, randomBytes(unequalSize)
				var events []error
				failing := remembering(&scripted{Store: memory, put: func(rec storage.Record, next put) (storage.Record, error) {
					if !rec.Completed.IsZero() {
						return storage.Record{}, full
					}
					return next()
				}})
				failing.RequireStore = true
				failing.Hooks.OnStoreError = func(_ *tus.Uploader, err error) { events = append(events, err) }
				first := mustUpload(t, newClient(failing), data, opts)
				wantStored(t, h, first.URL, data)
				if len(events) != 1 || !failureOf(events[0], "put", full) {
					t.Errorf("OnStoreError got %v", events)
				}
				if name == "one request" {
					wantEmptyStore(t, memory)
					return
				}
				// The record says that the last byte was sent, and HEAD that all arrived.
				received := bytesReceived(h)
				res := mustUpload(t, newClient(remembering(memory)), data, opts)
				if res.URL != first.URL || res.Stats.Sent != 0 || res.Stats.ResumedFrom != unequalSize || bytesReceived(h) != received {
					t.Errorf("result is %+v", res)
				}
				wantRemembered(t, memory, res.URL)
			})
		})
	}
}

// The process is killed after the last response and before the record is stored.
func TestRemember_KilledBeforePutIsFoundComplete(t *testing.T) {
	for name, opts := range map[string]*tus.UploadOptions{"whole": whole(), "chunks": chunked(), "deferred length": {ChunkSize: 1000, DeferLength: true}, "parts": unequal()} {
		t.Run(name, func(t *testing.T) {
			srv, memory, left, data := tustest.NewServer(t, nil), &storage.Memory{}, &storage.Memory{}, randomBytes(unequalSize)
			store := &scripted{Store: memory, put: func(rec storage.Record, next put) (storage.Record, error) {
				if !rec.Completed.IsZero() {
					asOfNow(t, memory, left)
				}
				return next()
			}}
			first := mustUpload(t, newClient(t, srv.Endpoint(), remembering(store)), data, opts)
			for _, rec := range records(t, left) {
				if !rec.Finishing {
					t.Errorf("record is %+v", rec)
				}
			}
			received, creations := bytesReceived(srv), srv.Count("POST")
			res := mustUpload(t, newClient(t, srv.Endpoint(), remembering(left)), data, opts)
			if res.URL != first.URL || res.Stats.Sent != 0 || bytesReceived(srv) != received || srv.Count("POST") != creations {
				t.Errorf("result is %+v", res)
			}
			wantRemembered(t, left, first.URL)
		})
	}
}

func TestRemember_UnconfirmedUploadIsNotRemembered(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(5000)
	srv.Inject(onLastPatch(5000, -1, takenAway(tustest.CutBefore())))
	for range 2 {
		_, err := newClient(t, srv.Endpoint(), remembering(store)).Upload(testContext(t), tus.Bytes(data), chunked())
		wantError(t, err, tus.ErrUnconfirmed)
		if all := records(t, store); len(all) != 1 || !all[0].Completed.IsZero() {
			t.Errorf("records are %+v", all)
		}
	}
}

// The server completes the upload at its creation and returns no URL.
func TestRemember_UploadWithoutURL(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(500)
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
		w.Header().Set("Tus-Resumable", "1.0.0")
		w.Header().Set("Upload-Offset", fmt.Sprint(r.ContentLength))
		w.WriteHeader(http.StatusCreated)
	}})
	opts := remembering(store)
	opts.Capabilities, opts.VerifyCompleted = withCreationUpload(), true
	client := newClient(t, srv.Endpoint(), opts)
	first, err := client.Upload(testContext(t), tus.Bytes(data), nil)
	if err != nil || first.URL != "" {
		t.Fatalf("result is %+v, %v", first, err)
	}
	res, err := client.Upload(testContext(t), tus.Bytes(data), nil)
	wantRecalled(t, res, err, "", 500)
	wantRemembered(t, store, "")
	previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
	if err != nil || len(previous) != 1 || previous[0].Completed.IsZero() {
		t.Errorf("previous uploads are %+v, %v", previous, err)
	}
	if srv.Count("POST") != 1 || srv.Count("HEAD") != 0 {
		t.Errorf("requests are %+v", srv.Requests())
	}
	// It does not prevent another upload.
	for _, opts := range []*tus.UploadOptions{{Again: true}, again()} {
		if _, err := client.Upload(testContext(t), tus.Bytes(data), opts); err != nil {
			t.Fatal(err)
		}
		wantRemembered(t, store, "")
	}
}

func TestRemember_PreviousMayBeCompleted(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(5000)
	client := newClient(t, srv.Endpoint(), remembering(store))
	first := mustUpload(t, client, data, chunked())
	opts := again()
	opts.StopAt = 3000
	paused, err := client.Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrPaused)
	previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
	if err != nil || len(previous) != 2 {
		t.Fatalf("previous uploads are %+v, %v", previous, err)
	}
	slices.SortFunc(previous, func(a, b tus.Previous) int { return a.Completed.Compare(b.Completed) })
	unfinished, complete := &previous[0], &previous[1]
	if !unfinished.Completed.IsZero() || unfinished.URL != paused.URL || complete.URL != first.URL ||
		!complete.Expires.Equal(complete.Completed.Add(24*time.Hour)) || !complete.HeldUntil.IsZero() {
		t.Errorf("previous uploads are %+v", previous)
	}
	// The choice of the caller has the same effect in a client that does not remember.
	for _, options := range []*tus.Options{remembering(store), {Store: store}} {
		res, err := newClient(t, srv.Endpoint(), options).Upload(context.Background(), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1000, Previous: complete})
		wantRecalled(t, res, err, first.URL, 5000)
	}
	_, err = client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Again: true, Previous: complete})
	wantError(t, err, tus.ErrInvalidInput)
	res := mustUpload(t, client, data, &tus.UploadOptions{ChunkSize: 1000, Previous: unfinished})
	if res.URL != paused.URL || res.Stats.ResumedFrom != 3000 {
		t.Errorf("result is %+v", res)
	}
}

// swappedReaderAt reads one of two contents.
type swappedReaderAt struct{ data *[]byte }

func (r swappedReaderAt) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(*r.data).ReadAt(p, at)
}

// The source changes while the request for the capabilities fails, after the store was read.
func TestLookup_ChangedSourceIsLookedUpAgain(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	old := stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
	other := bytes.Clone(data)
	other[100], other[9000] = ^other[100], ^other[9000]
	now := data
	srv.Inject(tustest.Fault{Method: "OPTIONS", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		now = other
		tustest.Respond(503, "")(w, r, h)
	}})
	opts := chunked()
	opts.Checksum = "sha1"
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Checksums: checksum.Builtin()}).
		Upload(testContext(t), tus.ReaderAt(swappedReaderAt{&now}, 10_000), opts)
	if err != nil || res.URL == old.URL || srv.Count("OPTIONS") != 2 {
		t.Errorf("result is %+v, %v", res, err)
	}
	wantStored(t, srv.Handler, res.URL, other)
}

// To read the source again for each request for the capabilities that fails may take long.
func TestLookup_RetryReadsFileOnce(t *testing.T) {
	srv, fingerprints := tustest.NewServer(t, nil), 0
	srv.Inject(tustest.Fault{Method: "OPTIONS", Times: 5, Action: tustest.Respond(503, "")})
	opts := remembering(&storage.Memory{})
	opts.Checksums = checksum.Builtin()
	opts.Fingerprinter = fingerprint.Func(func(ctx context.Context, r io.ReaderAt, info fingerprint.Info) (string, error) {
		fingerprints++
		return fingerprint.Content{}.Fingerprint(ctx, r, info)
	})
	res, err := newClient(t, srv.Endpoint(), opts).UploadFile(testContext(t), tempFile(t, randomBytes(5000)), &tus.UploadOptions{Checksum: "sha1"})
	if err != nil || srv.Count("OPTIONS") != 6 || fingerprints != 1 {
		t.Errorf("%d fingerprints, result is %+v, %v", fingerprints, res, err)
	}
}

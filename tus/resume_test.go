package tus_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// stoppedAt uploads a source up to an offset.
func stoppedAt(t *testing.T, endpoint string, store storage.Store, source tus.Source, offset int64) *tus.Result {
	t.Helper()
	opts := chunked()
	opts.StopAt = offset
	res, err := newClient(t, endpoint, &tus.Options{Store: store}).Upload(testContext(t), source, opts)
	wantError(t, err, tus.ErrPaused)
	return res
}

// records returns all records of a store.
func records(t testing.TB, store storage.Store) []storage.Record {
	t.Helper()
	var all []storage.Record
	for rec, err := range store.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rec)
	}
	return all
}

func wantEmptyStore(t testing.TB, store storage.Store) {
	t.Helper()
	if left := records(t, store); len(left) > 0 {
		t.Fatalf("left in the store: %+v", left)
	}
}

func TestStoredUpload_ResumesAtAcknowledgedByte(t *testing.T) {
	data := randomBytes(10_000)
	interruptions := map[string]func(t *testing.T, srv *tustest.Server, store storage.Store){
		"paused": func(t *testing.T, srv *tustest.Server, store storage.Store) {
			var u *tus.Uploader
			opts := chunked()
			opts.Hooks.OnProgress = func(u *tus.Uploader, p tus.Progress) {
				if p.Acknowledged == 3000 {
					u.Pause()
				}
			}
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)
		},
		"stopped": func(t *testing.T, srv *tustest.Server, store storage.Store) {
			stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
		},
		"context": func(t *testing.T, srv *tustest.Server, store storage.Store) {
			ctx, cancel := context.WithCancel(testContext(t))
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				cancel()
				tustest.Stall()(w, r, h)
			}})
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(data), chunked())
			wantError(t, err, context.Canceled)
		},
		"failure": func(t *testing.T, srv *tustest.Server, store storage.Store) {
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.Respond(403, "not today")})
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
			wantError(t, err, tus.ErrUnauthorized)
		},
	}
	for name, open := range stores(t) {
		for why, interrupt := range interruptions {
			t.Run(name+"/"+why, func(t *testing.T) {
				srv, store := tustest.NewServer(t, nil), open(t)
				interrupt(t, srv, store)
				before := len(srv.Requests())
				res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				if res.Stats.ResumedFrom != 3000 || res.Stats.Sent != 7000 || res.Stats.Resent != 0 {
					t.Errorf("stats are %+v", res.Stats)
				}
				var log []string
				for _, r := range srv.Requests()[before:] {
					log = append(log, strings.TrimSpace(r.Method+" "+r.Header.Get("Upload-Offset")))
				}
				want := "HEAD PATCH 3000 PATCH 4000 PATCH 5000 PATCH 6000 PATCH 7000 PATCH 8000 PATCH 9000"
				if got := strings.Join(log, " "); got != want {
					t.Errorf("requests were %s", got)
				}
				if n := bytesReceived(srv); n != 10_000 {
					t.Errorf("both sessions sent %d bytes", n)
				}
				wantEmptyStore(t, store)
			})
		}
	}
}

func TestStoredUpload_IsKeptUntilComplete(t *testing.T) {
	srv, removed := tustest.NewServer(t, nil), 0
	store := &scripted{Store: &storage.Memory{}, delete: func(next func() error) error {
		if up := srv.Uploads()[0]; !up.Complete() {
			t.Errorf("record was deleted when the server had %d bytes", len(up.Data))
		}
		removed++
		return next()
	}}
	seen := 0
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		all := records(t, store)
		if len(all) != 1 || !strings.HasSuffix(all[0].UploadURL, r.URL.Path) || all[0].Size != 10_000 || all[0].Lease == nil || all[0].Endpoint != srv.Endpoint() {
			t.Errorf("at PATCH %s the store has %+v", r.Header.Get("Upload-Offset"), all)
		}
		seen++
		h.Serve(w, r)
	}})
	if _, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(randomBytes(10_000)), chunked()); err != nil {
		t.Fatal(err)
	}
	if seen != 10 || removed != 1 {
		t.Errorf("%d PATCH requests, %d deletions", seen, removed)
	}
	wantEmptyStore(t, store)
}

func TestStoredUpload_NotForOneRequest(t *testing.T) {
	srv, puts := tustest.NewServer(t, nil), 0
	store := &scripted{Store: &storage.Memory{}, put: func(_ storage.Record, next put) (storage.Record, error) {
		puts++
		return next()
	}}
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	for _, size := range []int{0, 100} {
		if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(size)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if puts != 0 || srv.Count("PATCH") != 0 {
		t.Errorf("%d records were stored, %d PATCH requests", puts, srv.Count("PATCH"))
	}
}

func TestStoredUpload_ShortWriteOfOneRequest(t *testing.T) {
	// After a short write there is an upload to resume.
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(100)
	srv.Inject(tustest.Fault{Method: "POST", Action: faults.AcceptOnly(30)},
		tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if all := records(t, store); len(all) != 1 || !strings.HasSuffix(all[0].UploadURL, r.URL.Path) {
				t.Errorf("at PATCH the store has %+v", all)
			}
			faults.RespondAfter(403, "not today")(w, r, h)
		}})
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	_, err := client.Upload(testContext(t), tus.Bytes(data), nil)
	wantError(t, err, tus.ErrUnauthorized)
	res, err := client.Upload(testContext(t), tus.Bytes(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	// The first HEAD checks whether the server stored the refused bytes.
	wantMethods(t, srv.Handler, "OPTIONS", "POST", "PATCH", "HEAD", "HEAD", "PATCH")
	if res.Stats.ResumedFrom != 30 || res.Stats.Sent != 70 {
		t.Errorf("stats are %+v", res.Stats)
	}
	wantEmptyStore(t, store)
}

func TestPreviousUploads_FurthestIsResumedUnlessChosen(t *testing.T) {
	data := randomBytes(10_000)
	prepare := func(t *testing.T) (*tustest.Server, *storage.Memory, []tus.Previous) {
		srv, store := tustest.NewServer(t, nil), &storage.Memory{}
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
		// Three at the same time, so that none resumes another.
		var uploaders []*tus.Uploader
		for _, offset := range []int64{2000, 5000, 3000} {
			opts := chunked()
			opts.StopAt = offset
			uploaders = append(uploaders, created(t, client, tus.Bytes(data), opts))
		}
		for _, u := range uploaders {
			_, err := u.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)
		}
		previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
		if err != nil || len(previous) != 3 {
			t.Fatalf("previous uploads are %+v, %v", previous, err)
		}
		return srv, store, previous
	}
	t.Run("furthest", func(t *testing.T) {
		srv, store, _ := prepare(t)
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if res.Stats.ResumedFrom != 5000 {
			t.Errorf("resumed from %d", res.Stats.ResumedFrom)
		}
		for _, rec := range records(t, store) {
			if rec.Lease != nil {
				t.Errorf("the lease of another upload is left: %+v", rec)
			}
		}
	})
	t.Run("chosen", func(t *testing.T) {
		for chosen := range 3 {
			srv, store, previous := prepare(t)
			heads := srv.Count("HEAD")
			opts := chunked()
			opts.Previous = &previous[chosen]
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if res.URL != previous[chosen].URL || srv.Count("HEAD") != heads+1 {
				t.Errorf("resumed %s after %d HEAD requests, want %s", res.URL, srv.Count("HEAD")-heads, previous[chosen].URL)
			}
			if left := records(t, store); len(left) != 2 {
				t.Errorf("%d of the other uploads are left", len(left))
			}
		}
	})
	t.Run("one of them gone", func(t *testing.T) {
		srv, store, previous := prepare(t)
		for _, p := range previous {
			if up, _ := srv.Upload(p.URL); len(up.Data) == 5000 {
				srv.Forget(p.URL)
			}
		}
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if left := records(t, store); res.Stats.ResumedFrom != 3000 || len(left) != 1 {
			t.Errorf("resumed from %d, and %d records are left", res.Stats.ResumedFrom, len(left))
		}
	})
}

func TestPreviousUploads_DeletedOneStartsOver(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	old := stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
	if err != nil || len(previous) != 1 {
		t.Fatalf("previous uploads are %+v, %v", previous, err)
	}
	if err := store.Delete(context.Background(), previous[0].ID, previous[0].Revision); err != nil {
		t.Fatal(err)
	}
	opts := chunked()
	opts.Previous = &previous[0]
	res, err := client.Upload(testContext(t), tus.Bytes(data), opts)
	if err != nil || res.URL == old.URL {
		t.Fatalf("resumed %s, %v", res.URL, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestPreviousUploads_SendsNothing(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	u := created(t, client, tus.Bytes(data), chunked())
	requests := len(srv.Requests())
	previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
	if err != nil || len(previous) != 1 || previous[0].URL != u.URL() || previous[0].HeldUntil.IsZero() {
		t.Errorf("previous uploads are %+v, %v", previous, err)
	}
	for name, source := range map[string]tus.Source{"another": tus.Bytes(randomBytes(9999)), "a stream": tus.Reader(bytes.NewReader(data))} {
		if previous, err := client.PreviousUploads(testContext(t), source, nil); err != nil || len(previous) != 0 {
			t.Errorf("%s: previous uploads are %+v, %v", name, previous, err)
		}
	}
	if previous, err := newClient(t, srv.Endpoint(), nil).PreviousUploads(testContext(t), tus.Bytes(data), nil); err != nil || len(previous) != 0 {
		t.Errorf("without a store: previous uploads are %+v, %v", previous, err)
	}
	broken := &scripted{Store: store, find: func(func() ([]storage.Record, error)) ([]storage.Record, error) { return nil, storage.ErrClosed }}
	_, err = newClient(t, srv.Endpoint(), &tus.Options{Store: broken}).PreviousUploads(testContext(t), tus.Bytes(data), nil)
	wantError(t, err, tus.ErrStore)
	wantError(t, err, storage.ErrClosed)
	if n := len(srv.Requests()); n != requests {
		t.Errorf("%d requests", n-requests)
	}
}

// created returns an Uploader whose upload is created.
func created(t testing.TB, client *tus.Client, source tus.Source, opts *tus.UploadOptions) *tus.Uploader {
	t.Helper()
	u, err := client.NewUploader(source, opts)
	if err != nil {
		t.Fatal(err)
	}
	for u.URL() == "" {
		if err := u.Step(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// stepTo calls Step until the server has acknowledged an offset.
func stepTo(t testing.TB, u *tus.Uploader, offset int64) {
	t.Helper()
	for u.Offset() < offset {
		if err := u.Step(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStoredUpload_UnusableStartsOver(t *testing.T) {
	data := randomBytes(10_000)
	for name, fault := range map[string]tustest.Action{
		"404":            goneWith(404),
		"410":            goneWith(410),
		"shorter":        tustest.SetHeader("Upload-Length", "9999"),
		"longer":         tustest.SetHeader("Upload-Length", "10001"),
		"beyond the end": tustest.SetHeader("Upload-Length", "", "Upload-Defer-Length", "1", "Upload-Offset", "10001"),
		"huge":           tustest.SetHeader("Upload-Length", "9223372036854775807"),
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			old := stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
			srv.Inject(tustest.Fault{Method: "HEAD", Action: fault})
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if res.URL == old.URL || res.Stats.ResumedFrom != 0 || srv.Count("HEAD") != 1 {
				t.Errorf("resumed it: %+v", res.Stats)
			}
			if res.Stats.Restarts != 1 { // starting over is counted
				t.Errorf("%d restarts", res.Stats.Restarts)
			}
			wantEmptyStore(t, store)
		})
	}
}

func TestStoredUpload_ExpiredIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		srv := tustest.NewHandler(&tustest.Options{Expires: time.Hour})
		h.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) { srv.ServeHTTP(w, r) }})
		store, data := &storage.Memory{}, randomBytes(10_000)
		opts := chunked()
		opts.StopAt = 3000
		client := newClient(&tus.Options{Store: store})
		old, err := client.Upload(context.Background(), tus.Bytes(data), opts)
		wantError(t, err, tus.ErrPaused)
		time.Sleep(2 * time.Hour)
		res, err := client.Upload(context.Background(), tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv, res.URL, data)
		if res.URL == old.URL {
			t.Error("resumed it")
		}
		wantEmptyStore(t, store)
	})
}

func TestStoredUpload_KeptPastExpiryIsResumed(t *testing.T) {
	// Clocks differ, and servers may delete late, so the client sends HEAD.
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	old := stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
	rec := records(t, store)[0]
	rec.Expires = time.Now().Add(-time.Hour)
	if _, err := store.Put(context.Background(), rec); err != nil {
		t.Fatal(err)
	}
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.URL != old.URL || res.Stats.ResumedFrom != 3000 {
		t.Errorf("result is %+v, %v", res, err)
	}
}

func TestStoredUpload_ServerErrorKeepsRecord(t *testing.T) {
	data := randomBytes(10_000)
	for name, action := range map[string]tustest.Action{
		"400": tustest.Respond(400, ""), "401": tustest.Respond(401, ""), "403": tustest.Respond(403, ""), "423": tustest.Respond(423, ""),
		"429": tustest.Respond(429, ""), "500": tustest.Respond(500, ""), "502": tustest.Respond(502, "<html>"), "503": tustest.Respond(503, ""),
		"connection lost":          tustest.CutBefore(),
		"redirect to a login page": tustest.Respond(302, "", "Location", "/login"),
		"page of a captive portal": tustest.Respond(200, "<html>"),
		"another version":          tustest.Respond(412, "", "Tus-Version", "2.0.0"),
		"garbage":                  tustest.SetHeader("Upload-Offset", "3e3"),
		"offset beyond its length": tustest.SetHeader("Upload-Offset", "10001"),
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			old := stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
			posts := srv.Count("POST")
			var over atomic.Bool
			srv.Inject(tustest.Fault{Method: "HEAD", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				if over.Load() {
					h.Serve(w, r)
					return
				}
				action(w, r, h)
			}})
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
			if _, err := client.Upload(testContext(t), tus.Bytes(data), chunked()); err == nil {
				t.Fatal("upload succeeded")
			}
			all := records(t, store)
			if len(all) != 1 || all[0].UploadURL != old.URL || all[0].Lease != nil || srv.Count("POST") != posts {
				t.Fatalf("the store holds %+v, %d creations", all, srv.Count("POST"))
			}
			over.Store(true)
			res, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, old.URL, data)
			if res.Stats.ResumedFrom != 3000 || bytesReceived(srv) != 10_000 {
				t.Errorf("stats are %+v", res.Stats)
			}
		})
	}
}

func TestStoredUpload_TemporaryErrorIsRetried(t *testing.T) {
	for _, status := range []int{423, 429, 500, 503} {
		srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
		old := stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
		srv.Inject(tustest.Fault{Method: "HEAD", Times: 3, Action: tustest.Respond(status, "")})
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil || res.URL != old.URL || res.Stats.ResumedFrom != 3000 || res.Stats.Retries != 3 || res.Stats.Requests["POST"] != 0 {
			t.Errorf("%d: result is %+v, %v", status, res, err)
		}
	}
}

func TestStoredUpload_CompleteIsNotResent(t *testing.T) {
	data := randomBytes(10_000)
	srv := tustest.NewServer(t, nil)
	full := errors.New("disk full")
	store := &scripted{Store: &storage.Memory{}, delete: func(func() error) error { return full }}
	var events []error
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Hooks: tus.Hooks{OnStoreError: func(_ *tus.Uploader, err error) { events = append(events, err) }}})
	first, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 || !failureOf(events[0], "delete", full) {
		t.Errorf("OnStoreError got %+v", events)
	}
	store.delete = nil
	second, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if second.URL != first.URL || second.Stats.Sent != 0 || second.Stats.ResumedFrom != 10_000 {
		t.Errorf("second result is %+v", second)
	}
	// The third is another upload: the record of a complete one is deleted.
	third, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || third.URL == first.URL || third.Stats.Sent != 10_000 {
		t.Errorf("third result is %+v, %v", third, err)
	}
}

func TestStoredUpload_IsFoundOnlyForSameInput(t *testing.T) {
	dir := t.TempDir()
	data := randomBytes(10_000)
	write := func(name string, data []byte, modified time.Time) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
		return path
	}
	then := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	original := write("original.bin", data, then)
	changed := bytes.Clone(data)
	changed[5000] ^= 1

	srv, other := tustest.NewServer(t, nil), tustest.NewServer(t, nil)
	for name, test := range map[string]struct {
		endpoint string
		path     string
		options  tus.Options
		upload   tus.UploadOptions
		resumes  bool
	}{
		"the same":         {srv.Endpoint(), original, tus.Options{}, tus.UploadOptions{}, true},
		"copied":           {srv.Endpoint(), write("copied.bin", data, then), tus.Options{}, tus.UploadOptions{}, false},
		"one byte changed": {srv.Endpoint(), write("changed.bin", changed, then), tus.Options{}, tus.UploadOptions{}, false},
		"touched":          {srv.Endpoint(), write("touched.bin", data, then.Add(time.Second)), tus.Options{}, tus.UploadOptions{}, false},
		"longer":           {srv.Endpoint(), write("longer.bin", append(bytes.Clone(data), 1), then), tus.Options{}, tus.UploadOptions{}, false},
		"other metadata":   {srv.Endpoint(), original, tus.Options{}, tus.UploadOptions{Metadata: tus.Metadata{"object": "2"}}, false},
		"other resume key": {srv.Endpoint(), original, tus.Options{}, tus.UploadOptions{ResumeKey: "object 2"}, false},
		"other scope":      {srv.Endpoint(), original, tus.Options{ResumeScope: "other"}, tus.UploadOptions{}, false},
		"other server":     {other.Endpoint(), original, tus.Options{}, tus.UploadOptions{}, false},
		"other path":       {srv.Endpoint() + "?tenant=2", original, tus.Options{}, tus.UploadOptions{}, false},
		"content only":     {srv.Endpoint(), original, tus.Options{Fingerprinter: fingerprint.Content{}}, tus.UploadOptions{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			store := &storage.Memory{}
			opts := chunked()
			opts.StopAt = 3000
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).UploadFile(testContext(t), original, opts)
			wantError(t, err, tus.ErrPaused)
			test.options.Store = store
			test.upload.ChunkSize = 1000
			res, err := newClient(t, test.endpoint, &test.options).UploadFile(testContext(t), test.path, &test.upload)
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Stats.ResumedFrom == 3000; got != test.resumes {
				t.Errorf("resumed from %d", res.Stats.ResumedFrom)
			}
		})
	}
}

func TestResumeScope_ReplacesEndpoint(t *testing.T) {
	// Some services create an endpoint for each upload.
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	data := randomBytes(10_000)
	opts := chunked()
	opts.StopAt = 3000
	_, err := newClient(t, srv.Endpoint()+"?token=1", &tus.Options{Store: store, ResumeScope: "the service"}).Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrPaused)
	res, err := newClient(t, srv.Endpoint()+"?token=2", &tus.Options{Store: store, ResumeScope: "the service"}).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.Stats.ResumedFrom != 3000 {
		t.Errorf("result is %+v, %v", res, err)
	}
}

func TestStoredUpload_OfOtherSizeStartsOver(t *testing.T) {
	byName := fingerprint.Func(func(context.Context, io.ReaderAt, fingerprint.Info) (string, error) { return "the log", nil })
	short, long := randomBytes(10_000), randomBytes(12_000)
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Fingerprinter: byName})
	stop := chunked()
	stop.StopAt = 3000
	_, err := client.Upload(testContext(t), tus.Bytes(short), stop)
	wantError(t, err, tus.ErrPaused)
	res, err := client.Upload(testContext(t), tus.Bytes(long), chunked())
	if err != nil || res.Stats.ResumedFrom != 0 || res.Stats.NotResumed != 1 {
		t.Fatalf("result is %+v, %v", res, err)
	}
	wantStored(t, srv.Handler, res.URL, long)
	wantEmptyStore(t, store)
}

func TestResumeKey_ReplacesMetadata(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	first := &tus.UploadOptions{ChunkSize: 1000, StopAt: 3000, ResumeKey: "object 1", Metadata: tus.Metadata{"sent": "at noon"}}
	_, err := client.Upload(testContext(t), tus.Bytes(data), first)
	wantError(t, err, tus.ErrPaused)
	second := &tus.UploadOptions{ChunkSize: 1000, ResumeKey: "object 1", Metadata: tus.Metadata{"sent": "at one"}}
	res, err := client.Upload(testContext(t), tus.Bytes(data), second)
	if err != nil || res.Stats.ResumedFrom != 3000 {
		t.Errorf("result is %+v, %v", res, err)
	}
}

func TestStoredUpload_ChangedSourceDropsRecord(t *testing.T) {
	data := randomBytes(10_000)
	for name, change := range map[string]func(path string) error{
		"truncated": func(path string) error { return os.Truncate(path, 5000) },
		"grown":     func(path string) error { return os.WriteFile(path, append(bytes.Clone(data), 1), 0o600) },
		"written to": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("other"), 8000)
			later := time.Now().Add(time.Second)
			return errors.Join(err, f.Close(), os.Chtimes(path, later, later))
		},
		"replaced": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			other := bytes.Clone(data)
			other[8000] ^= 1
			return errors.Join(os.WriteFile(path+".new", other, 0o600),
				os.Chtimes(path+".new", info.ModTime(), info.ModTime()), os.Rename(path+".new", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			path := tempFile(t, data)
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				if err := change(path); err != nil {
					t.Error(err)
				}
				h.Serve(w, r)
			}})
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).UploadFile(testContext(t), path, chunked())
			wantError(t, err, tus.ErrSourceChanged)
			wantEmptyStore(t, store)
			if up := srv.Uploads()[0]; up.Complete() {
				t.Error("upload of two versions was completed")
			}
		})
	}
}

func TestStoredUpload_MissingSourceKeepsRecord(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	path := tempFile(t, data)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if err := os.Rename(path, path+".away"); err != nil {
			t.Error(err)
		}
		h.Serve(w, r)
	}})
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	_, err := client.UploadFile(testContext(t), path, chunked())
	wantError(t, err, fs.ErrNotExist)
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	res, err := client.UploadFile(testContext(t), path, chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if res.Stats.ResumedFrom < 3000 {
		t.Errorf("stats are %+v", res.Stats)
	}
}

func TestAbort_DropsRecord(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	opts := chunked()
	opts.StopAt = 3000
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(randomBytes(10_000)), opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	if err := u.Abort(testContext(t)); err != nil {
		t.Fatal(err)
	}
	wantEmptyStore(t, store)
	if up, _ := srv.Upload(u.URL()); !up.Terminated {
		t.Error("the upload is still on the server")
	}
}

func TestStoredUpload_RecordHasExpiry(t *testing.T) {
	srv, store := tustest.NewServer(t, &tustest.Options{Expires: time.Hour}), &storage.Memory{}
	stoppedAt(t, srv.Endpoint(), store, tus.Bytes(randomBytes(10_000)), 3000)
	all := records(t, store)
	if left := time.Until(all[0].Expires); left < 59*time.Minute || left > 61*time.Minute {
		t.Errorf("record expires in %v", left)
	}
}

func TestStoredUpload_ResumesWithOtherOptions(t *testing.T) {
	data := randomBytes(unequalSize)
	for name, test := range map[string]struct {
		first, second *tus.UploadOptions
	}{
		"parts, then whole":       {unequal(), &tus.UploadOptions{ChunkSize: 500}},
		"parts, then other parts": {unequal(), &tus.UploadOptions{ChunkSize: 500, Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{2000}}}},
		"whole, then parts":       {&tus.UploadOptions{ChunkSize: 250}, unequal()},
		"other chunks":            {&tus.UploadOptions{ChunkSize: 250}, &tus.UploadOptions{ChunkSize: 333}},
		"no chunks":               {&tus.UploadOptions{ChunkSize: 250}, nil},
		"deferred length":         {&tus.UploadOptions{ChunkSize: 250, DeferLength: true}, &tus.UploadOptions{ChunkSize: 500}},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := finalLast(t), &storage.Memory{}
			ctx, cancel := context.WithCancel(testContext(t))
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 9, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				cancel()
				tustest.Stall()(w, r, h)
			}})
			first, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(data), test.first)
			wantError(t, err, context.Canceled)
			posts := srv.Count("POST")
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), test.second)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			wantEmptyStore(t, store)
			wantLittleResent(t, srv, unequalSize)
			if first.Offset == 0 || res.Stats.ResumedFrom < first.Offset {
				t.Errorf("first ended at %d, stats of the second are %+v", first.Offset, res.Stats)
			}
			finals := 0
			if test.first.Parallel > 0 {
				finals = 1
			}
			if n := srv.Count("POST") - posts; n != finals {
				t.Errorf("%d creations", n)
			}
		})
	}
}

// Of two stored uploads the further one is gone, and a pause comes before the creation of a
// new one. Then the other one is found, which has fewer bytes.
func TestProgress_DoesNotFallToOtherStoredUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	store := new(storage.Memory)
	data := randomBytes(10_000)
	newUploader := func(stopAt int64, hooks tus.Hooks) *tus.Uploader {
		u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data),
			&tus.UploadOptions{ChunkSize: 1000, StopAt: stopAt, Hooks: hooks})
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	// Both run at the same time, so that there are two uploads.
	one, two := newUploader(4000, tus.Hooks{}), newUploader(8000, tus.Hooks{})
	for one.Offset() < 2000 {
		if err := one.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, err := two.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	_, err = one.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)

	srv.Inject(tustest.Fault{Method: "PATCH", From: 8000, Action: goneWith(404)})
	var u *tus.Uploader
	paused, highest := false, int64(0)
	u = newUploader(0, tus.Hooks{
		OnStateChange: func(u *tus.Uploader, _, to tus.State, _ error) {
			if to == tus.StateCreating && !paused {
				paused = true
				u.Pause()
			}
		},
		OnProgress: func(_ *tus.Uploader, p tus.Progress) {
			if p.Acknowledged < highest {
				t.Errorf("acknowledged fell from %d to %d", highest, p.Acknowledged)
			}
			highest = max(highest, p.Acknowledged)
		},
	})
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	res, err := u.Run(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if s := res.Stats; s.ResumedFrom > int64(len(data)) || s.ResumedFrom+s.Uploaded > int64(len(data)) {
		t.Errorf("resumed from %d and %d acknowledged of %d bytes", s.ResumedFrom, s.Uploaded, len(data))
	}
}

// TestStoredUpload_GoneStartsOverInParts sends the new upload in parts. The stored upload
// is gone at the first HEAD, or later.
func TestStoredUpload_GoneStartsOverInParts(t *testing.T) {
	gone := func(method string) tustest.Fault {
		return tustest.Fault{Method: method, Action: goneWith(404)}
	}
	for name, test := range map[string]struct {
		faults []tustest.Fault
		path   string
	}{
		"at HEAD":             {[]tustest.Fault{gone("HEAD")}, "locating idle creating"},
		"at PATCH":            {[]tustest.Fault{gone("PATCH")}, "locating ready sending idle creating"},
		"at HEAD after a cut": {[]tustest.Fault{{Method: "PATCH", Action: tustest.CutBefore()}, {Method: "HEAD", Skip: 1, Action: goneWith(404)}}, "locating ready sending recovering idle creating"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, data, seen := tustest.NewServer(t, nil), randomBytes(10_000), recorder{}
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}})
			_, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1000, StopAt: 4000})
			wantError(t, err, tus.ErrPaused)
			before := len(srv.Uploads())
			srv.Inject(test.faults...)
			res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{5000}}, ChunkSize: 1000, Hooks: seen.hooks()})
			if err != nil {
				t.Fatal(err)
			}
			wantOneFinal(t, srv.Handler, res.URL, data)
			if n := len(srv.Uploads()) - before; n != 3 || res.Stats.Restarts != 1 || !strings.HasPrefix(seen.path(), test.path+" ") {
				t.Errorf("%d uploads were created, want two parts and the final one; states were %s; %+v", n, seen.path(), res.Stats)
			}
		})
	}
}

// A caller who chose an upload gets an error instead of an upload from zero.
func TestPreviousUploads_OfOtherSourceIsInvalid(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), new(storage.Memory), randomBytes(5000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	if _, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{StopAt: 1000}); !errors.Is(err, tus.ErrPaused) {
		t.Fatal(err)
	}
	previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
	if err != nil || len(previous) != 1 {
		t.Fatalf("%d previous uploads: %v", len(previous), err)
	}
	created := srv.Count("POST")
	for name, upload := range map[string]struct {
		source tus.Source
		opts   tus.UploadOptions
	}{
		"other source":   {tus.Bytes(data[1:]), tus.UploadOptions{Previous: &previous[0]}},
		"other metadata": {tus.Bytes(data), tus.UploadOptions{Previous: &previous[0], Metadata: tus.Metadata{"a": "b"}}},
		"stream":         {tus.Reader(bytes.NewReader(data[1:])), tus.UploadOptions{Previous: &previous[0]}},
		"no record":      {tus.Bytes(data), tus.UploadOptions{Previous: new(tus.Previous)}},
	} {
		_, err := client.Upload(testContext(t), upload.source, &upload.opts)
		if !errors.Is(err, tus.ErrInvalidInput) || srv.Count("POST") != created {
			t.Errorf("%s: %v", name, err)
		}
	}
	res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Previous: &previous[0]})
	if err != nil || res.Stats.ResumedFrom != 1000 {
		t.Errorf("resumed from %d: %v", res.Stats.ResumedFrom, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestRun_AfterFailureReturnsItAgain(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.Respond(423, "no")})
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: tus.RetryPolicy{MaxRetries: -1}}).NewUploader(tus.Bytes(randomBytes(10)), nil)
	if err != nil {
		t.Fatal(err)
	}
	for run := range 3 {
		_, err := u.Run(testContext(t))
		if statusOf(err) != 423 || tus.IsRetryable(err) != (run == 0) { // a later Run cannot succeed
			t.Errorf("run %d: retryable is %v: %v", run, tus.IsRetryable(err), err)
		}
	}
	if err := u.Abort(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Run(testContext(t)); err == nil || statusOf(err) == 423 {
		t.Errorf("after Abort: %v", err)
	}
}

func TestPreviousUploads_ReturnsWhatIsStored(t *testing.T) {
	srv, store, data := finalLast(t), &storage.Memory{}, randomBytes(unequalSize)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	interruptedInParts(t, srv, store, data)
	rec := records(t, store)[0]
	previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
	if err != nil || len(previous) != 1 {
		t.Fatalf("previous uploads are %+v, %v", previous, err)
	}
	p := previous[0]
	if p.ID != rec.ID || p.Revision != rec.Revision || p.URL != "" || p.Size != unequalSize || !slices.Equal(p.Parts, rec.Parts) ||
		!p.Created.Equal(rec.Created) || !p.Updated.Equal(rec.Updated) || !p.Expires.Equal(rec.Expires) || !p.HeldUntil.IsZero() {
		t.Errorf("previous upload is %+v, record %+v", p, rec)
	}
	if err := store.Delete(t.Context(), p.ID, p.Revision); err != nil {
		t.Error(err)
	}
	u, err := client.NewUploader(tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	for u.State() != tus.StateCreating {
		if err := u.Step(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	// The record is stored without an upload URL.
	if previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil); err != nil || len(previous) != 0 || len(records(t, store)) != 1 {
		t.Errorf("previous uploads are %+v, %v", previous, err)
	}
}

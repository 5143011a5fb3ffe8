package tus_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestStoredUpload_UnusableStartsOver(t *testing.T) {
	data := randomBytes(10_000)
	for name, fault := range map[string]tustest.Action{
		"404":            vanishWith(404),
		"410":            vanishWith(410),
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

// TestStoredUpload_GoneStartsOverInParts sends the new upload in parts. The stored upload
// is gone at the first HEAD, or later.
func TestStoredUpload_GoneStartsOverInParts(t *testing.T) {
	gone := func(method string) tustest.Fault {
		return tustest.Fault{Method: method, Action: vanishWith(404)}
	}
	for name, test := range map[string]struct {
		faults []tustest.Fault
		path   string
	}{
		"at HEAD":             {[]tustest.Fault{gone("HEAD")}, "locating idle creating"},
		"at PATCH":            {[]tustest.Fault{gone("PATCH")}, "locating ready sending recovering idle creating"},
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

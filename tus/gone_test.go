package tus_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

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
		if err := client.Terminate(t.Context(), created.URL); err != nil || h.Count("HEAD") != 19 || h.Count("DELETE") != 9 {
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

// HEAD decides after each PATCH, also if it found the upload before.
func TestGone_HeadDecidesAfterEachPatch(t *testing.T) {
	for how, opts := range map[string]*tus.UploadOptions{"chunks": chunked(), "parts": inParts(2)} {
		opts.ChunkSize = 1000
		srv, data := finalLast(t), randomBytes(10_000)
		srv.Inject(tustest.Fault{Method: "PATCH", From: 1000, Action: goneWith(410)}, tustest.Fault{Method: "PATCH", From: 3000, Action: vanishWith(404)})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if res.Stats.Restarts != 1 || res.Stats.Retries != 1 || srv.Count("HEAD") != 2 {
			t.Errorf("%s: stats are %+v", how, res.Stats)
		}
	}
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

func TestGone_UploadStartsOver(t *testing.T) {
	for _, status := range []int{404, 410} {
		srv, res := uploadThrough(t, tustest.Fault{Method: "PATCH", Skip: 3, Action: vanishWith(status)})
		if srv.Count("POST") != 2 || res.Stats.Restarts != 1 {
			t.Errorf("%d creations, stats %+v", srv.Count("POST"), res.Stats)
		}
		// The 3000 lost bytes, and the sent bytes of the refused chunk.
		if res.Stats.Resent < 3000 || res.Stats.Resent > 4000 {
			t.Errorf("%d bytes were resent", res.Stats.Resent)
		}
	}
	srv, res := uploadThrough(t,
		tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.CutBefore()},
		tustest.Fault{Method: "HEAD", Action: goneWith(404)})
	if srv.Count("POST") != 2 || res.Stats.Restarts != 1 {
		t.Errorf("%d creations, stats %+v", srv.Count("POST"), res.Stats)
	}
}

func TestGone_RepeatedlyEndsUpload(t *testing.T) {
	srv, res, err := failThrough(t, tus.ErrUploadGone, tustest.Fault{Method: "PATCH", Skip: 0, Times: -1, Action: vanishWith(404)})
	if n := srv.Count("POST"); n != 2 { // each further creation would leave another orphan
		t.Errorf("%d creations: %v", n, err)
	}
	if res.Stats.Retries != 1 || !strings.Contains(err.Error(), "cookie") {
		t.Errorf("%d retries", res.Stats.Retries)
	}
	// Also if some bytes are acknowledged in between.
	srv = tustest.NewServer(t, nil)
	n := 0
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if n++; n%2 == 0 {
			h.Forget(r.URL.Path)
		}
		h.Serve(w, r)
	}})
	_, err = newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(10_000)), &tus.UploadOptions{ChunkSize: 1000})
	if err == nil || srv.Count("POST") > 20 {
		t.Errorf("%d creations: %v", srv.Count("POST"), err)
	}
}

package tus_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// One failed probe must not disable checksums for the life of a client, nor cause a
// probe for each upload.
func TestProbe_FailureIsRepeatedAfterDelay(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "OPTIONS", Times: 2, Action: tustest.Respond(503, "")})
		var log bytes.Buffer
		client := newClient(&tus.Options{Checksums: checksum.Builtin(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		upload := func() string {
			t.Helper()
			res, err := client.Upload(t.Context(), tus.Bytes(randomBytes(3000)), nil)
			if err != nil {
				t.Fatal(err)
			}
			return res.Checksum
		}
		for _, step := range []struct {
			after    time.Duration
			probes   int
			checksum string
		}{
			{0, 1, ""}, {0, 1, ""}, {59 * time.Second, 1, ""}, {2 * time.Second, 2, ""},
			{119 * time.Second, 2, ""}, {2 * time.Second, 3, "sha256"}, {24 * time.Hour, 3, "sha256"},
		} {
			time.Sleep(step.after)
			if got := upload(); got != step.checksum || h.Count("OPTIONS") != step.probes {
				t.Errorf("%v later: checksum %q, %d OPTIONS, want %q and %d", step.after, got, h.Count("OPTIONS"), step.checksum, step.probes)
			}
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 2 || !strings.Contains(log.String(), "503") {
			t.Errorf("%d warnings, want one for each failure:\n%s", n, &log)
		}
	})
}

func TestProbe_IsRepeatedWithNewCredentials(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "OPTIONS", Action: tustest.Respond(401, "")})
	client := newClient(t, srv.Endpoint(), &tus.Options{
		Checksums: checksum.Builtin(), Hooks: renewingHooks(),
	})
	res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), nil)
	if err != nil || res.Checksum == "" || res.Stats.Retries != 0 {
		t.Errorf("checksum %q, %d retries: %v", res.Checksum, res.Stats.Retries, err)
	}
	wantMethods(t, srv.Handler, "OPTIONS", "OPTIONS", "POST", "PATCH")
}

// An upload that depends on the response retries the probe. All retries are one failure.
func TestProbe_RetriesDoNotLengthenDelay(t *testing.T) {
	asking := &tus.Options{Checksums: checksum.Builtin(), Hooks: renewingHooks()}
	for name, fault := range map[string]tustest.Fault{
		"unavailable for a minute": {Method: "OPTIONS", Times: 9, Action: tustest.Respond(503, "")},
		"refused twice":            {Method: "OPTIONS", Times: 2, Action: tustest.Respond(401, "")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				h.Inject(fault)
				client := newClient(asking)
				_, err := client.Upload(t.Context(), tus.Bytes(randomBytes(3000)), &tus.UploadOptions{Checksum: "sha1"})
				if err == nil {
					t.Fatal("the upload with sha1 did not fail")
				}
				time.Sleep(121 * time.Second) // much less than the delay after nine failures
				res, err := client.Upload(t.Context(), tus.Bytes(randomBytes(3000)), nil)
				if err != nil || res.Checksum == "" {
					t.Errorf("checksum %q after the delay, %d OPTIONS: %v", res.Checksum, h.Count("OPTIONS"), err)
				}
			})
		})
	}
}

// A proxy may respond to OPTIONS in place of the server, for example for CORS.
func TestProbe_NoExtensionsMeansCoreOnly(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "OPTIONS", Times: -1, Action: tustest.Respond(204, "")})
	client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()})
	data := randomBytes(5000)
	res, err := client.Upload(testContext(t), tus.Reader(bytes.NewReader(data)), &tus.UploadOptions{ChunkSize: 1000, BufferLimit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	_, err = client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Checksum: "sha1"})
	wantError(t, err, tus.ErrUnsupported)
	_, err = client.Upload(testContext(t), tus.Bytes(data), required(&tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 1}}))
	wantError(t, err, tus.ErrUnsupported)
}

// A captive portal responds to everything with 200 and a page.
func TestHTMLPage_IsNoTusResponse(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	portal := func(method string) {
		srv.Inject(tustest.Fault{Method: method, Times: map[string]int{"OPTIONS": 1, "DELETE": 9}[method], Action: tustest.Respond(200, htmlPage)})
	}
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: new(storage.Memory)})
	portal("OPTIONS")
	_, err := client.Capabilities(testContext(t))
	wantError(t, err, tus.ErrProtocol)
	wantError(t, err, tus.ErrUnsupported)
	if caps, err := client.Capabilities(testContext(t)); err != nil || !slices.Contains(caps.Extensions, "concatenation") {
		t.Errorf("after the portal: %v, %v", caps, err)
	}

	data := randomBytes(3000)
	u, err := client.NewUploader(tus.Bytes(data), &tus.UploadOptions{StopAt: 1000, ResumeKey: "one"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	portal("DELETE")
	wantError(t, client.Terminate(testContext(t), u.URL()), tus.ErrProtocol)
	portal("DELETE")
	wantError(t, u.Abort(testContext(t)), tus.ErrProtocol)
	res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ResumeKey: "one"})
	if err != nil || res.URL != u.URL() {
		t.Errorf("resumed %s, want %s: %v", res.URL, u.URL(), err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestProbe_WaitEndsWithContext(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "OPTIONS", Action: tustest.Delay(20 * time.Second)})
		client := newClient(nil)
		first := make(chan error, 1)
		go func() {
			_, err := client.Capabilities(t.Context())
			first <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client.Capabilities(ctx)
		wantError(t, err, context.DeadlineExceeded)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if _, err := client.Capabilities(t.Context()); err != nil || h.Count("OPTIONS") != 1 {
			t.Errorf("%d requests: %v", h.Count("OPTIONS"), err)
		}
	})
}

func TestCapabilities(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{MaxSize: 5000})
	client := newClient(t, srv.Endpoint(), nil)
	for range 2 {
		caps, err := client.Capabilities(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		if caps.MaxSize != 5000 || !slices.Contains(caps.Extensions, "termination") || slices.Contains(caps.Extensions, "nonsense") ||
			len(caps.ChecksumAlgorithms) != 5 || len(caps.Versions) != 1 || caps.Versions[0] != "1.0.0" {
			t.Errorf("capabilities are %+v", caps)
		}
		caps.Extensions[0] = "changed" // must not change the copy of the client
	}
	wantMethods(t, srv.Handler, "OPTIONS")
}

func TestProbe_FailureNeverEndsUpload(t *testing.T) {
	for name, action := range map[string]tustest.Action{
		"missing":   tustest.Respond(404, "nothing here"),
		"forbidden": tustest.Respond(401, ""),
		"garbage":   tustest.Respond(200, "", "Tus-Max-Size", "-1", "Tus-Extension", "creation-with-upload"),
		"cut":       tustest.CutBefore(),
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "OPTIONS", Times: -1, Action: action})
			client := newClient(t, srv.Endpoint(), nil)
			data := randomBytes(100)
			for range 2 {
				res, err := client.Upload(testContext(t), tus.Bytes(data), nil)
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv.Handler, res.URL, data)
			}
			if n := srv.Count("OPTIONS"); n > 2 { // the transport may repeat a cut request
				t.Errorf("%d OPTIONS", n)
			}
		})
	}
}

func TestCapabilities_OfCallerAreNotRequested(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{Capabilities: &tus.Capabilities{
		Extensions: []string{"creation-with-upload"}, MaxSize: 10}})
	if _, err := client.Upload(testContext(t), tus.Bytes([]byte("0123456789")), nil); err != nil {
		t.Fatal(err)
	}
	_, err := client.Upload(testContext(t), tus.Bytes([]byte("0123456789x")), nil)
	wantError(t, err, tus.ErrTooLarge)
	wantMethods(t, srv.Handler, "POST")
}

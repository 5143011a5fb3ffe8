package tus_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
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
	if caps, err := client.Capabilities(testContext(t)); err != nil || !caps.Supports("concatenation") {
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

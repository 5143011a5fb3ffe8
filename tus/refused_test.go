package tus_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// refusedCase is a stored upload of 10,000 bytes that the server refuses to show.
type refusedCase struct {
	t      *testing.T
	srv    *tustest.Server
	store  *storage.Memory
	data   []byte
	before int // creations
	stored storage.Record
	log    bytes.Buffer
	events []*tus.StoredError
	client *tus.Client

	hidesAll bool // also the other parts
}

// newRefused interrupts an upload after 3000 bytes, or more in parts. refuse is then the
// response to each HEAD of the upload, or of its last part.
func newRefused(t *testing.T, how *tus.UploadOptions, refuse tustest.Action, opts tus.Options) *refusedCase {
	t.Helper()
	c := &refusedCase{t: t, srv: finalLast(t), store: &storage.Memory{}, data: randomBytes(10_000)}
	first := *how
	first.Refused, first.Hooks = tus.RefusedFail, tus.Hooks{}
	c.srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Times: 1, Action: tustest.Respond(422, "")})
	if _, err := newClient(t, c.srv.Endpoint(), &tus.Options{Store: c.store, Checksums: opts.Checksums}).Upload(testContext(t), tus.Bytes(c.data), &first); err == nil {
		t.Fatal("first session is complete")
	}
	c.before, c.stored = c.srv.Count("POST"), records(t, c.store)[0]
	hidden := c.stored.UploadURL
	for _, part := range c.stored.Parts {
		hidden = part.UploadURL
	}
	c.srv.Inject(tustest.Fault{Method: "HEAD", Times: always, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if c.hidesAll || strings.HasSuffix(hidden, r.URL.Path) {
			refuse(w, r, h)
			return
		}
		h.Serve(w, r)
	}})
	opts.Store, opts.Logger = c.store, slog.New(slog.NewTextHandler(&c.log, nil))
	opts.Hooks.OnStoredUploadRefused = func(u *tus.Uploader, refused *tus.StoredError) {
		if u == nil || u.State() != tus.StateLocating {
			t.Errorf("hook is called with %v", u)
		}
		c.events = append(c.events, refused)
	}
	c.client = newClient(t, c.srv.Endpoint(), &opts)
	return c
}

// wantFailed fails unless the error names the stored upload, which stays stored.
func (c *refusedCase) wantFailed(err error, status int) {
	c.t.Helper()
	var stored *tus.StoredError
	if !errors.As(err, &stored) || statusOf(err) != status || stored.ID != c.stored.ID || !stored.Created.Equal(c.stored.Created) {
		c.t.Fatalf("error is %v", err)
	}
	for _, want := range []string{"stored upload of " + c.stored.Created.UTC().Format(time.RFC3339), c.stored.ID} {
		if !strings.Contains(err.Error(), want) {
			c.t.Errorf("no %q in %q", want, err)
		}
	}
	if left := records(c.t, c.store); len(left) != 1 || left[0].ID != c.stored.ID || left[0].UploadURL != c.stored.UploadURL || c.srv.Count("POST") != c.before {
		c.t.Errorf("records are %+v, %d creations", left, c.srv.Count("POST")-c.before)
	}
}

// wantStartedOver fails unless a new upload has the data, and the old one, which is still on
// the server, was reported.
func (c *refusedCase) wantStartedOver(res *tus.Result, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	wantStored(c.t, c.srv.Handler, res.URL, c.data)
	wantEmptyStore(c.t, c.store)
	if res.Stats.Restarts != 1 || len(c.events) != 1 || c.events[0].ID != c.stored.ID {
		c.t.Errorf("stats are %+v, hook got %v", res.Stats, c.events)
	}
	for _, want := range []string{`msg="tus stored upload is refused"`, `msg="tus starting over: `, "the server refuses to show it"} {
		if !strings.Contains(c.log.String(), want) {
			c.t.Errorf("no %s in the log:\n%s", want, &c.log)
		}
	}
	if c.srv.Count("DELETE") != 0 {
		c.t.Error("the old upload was deleted on the server")
	}
}

// refusals are responses to HEAD of servers that do not show an upload.
var refusals = map[string]tustest.Action{
	"400 of tuspyserver":          tustest.Respond(400, ""),
	"403 of the server":           tustest.Respond(403, "", "Tus-Resumable", "1.0.0"),
	"403 of something in between": tustest.Respond(403, ""),
	"405":                         tustest.Respond(405, ""),
	"451":                         tustest.Respond(451, ""),
}

// refusedModes are the ways of sending a source that can be stored.
func refusedModes() map[string]*tus.UploadOptions {
	whole := whole()
	whole.StopAt = 3000
	checked := chunked()
	checked.Checksum = "sha1"
	return map[string]*tus.UploadOptions{"whole": whole, "chunks": chunked(), "checksums": checked, "digest": {ChunkSize: 1000, Digest: "sha256"}, "deferred length": {ChunkSize: 1000, DeferLength: true}}
}

func TestRefused_FailNamesStoredUpload(t *testing.T) {
	for name, action := range refusals {
		t.Run(name, func(t *testing.T) {
			c := newRefused(t, chunked(), action, tus.Options{})
			res, err := c.client.Upload(testContext(t), tus.Bytes(c.data), chunked())
			c.wantFailed(err, statusOf(err))
			if !strings.Contains(err.Error(), "3000 of 10000 bytes acknowledged") || !strings.Contains(err.Error(), "UploadOptions.Refused") || tus.IsRetryable(err) {
				t.Errorf("error is %v", err)
			}
			if len(c.events) != 1 || res.Stats.Restarts != 0 || res.Stats.NotResumed != 0 {
				t.Errorf("stats are %+v, hook got %v", res.Stats, c.events)
			}
		})
	}
}

func TestRefused_StartOverSendsAll(t *testing.T) {
	for name, action := range refusals {
		t.Run(name, func(t *testing.T) {
			c, how := newRefused(t, chunked(), action, tus.Options{}), chunked()
			how.Refused = tus.RefusedStartOver
			res, err := c.client.Upload(testContext(t), tus.Bytes(c.data), how)
			c.wantStartedOver(res, err)
			if res.Stats.NotResumed != 1 || res.Stats.ResumedFrom != 0 || res.Stats.Sent != 10_000 || res.Stats.Retries != 0 {
				t.Errorf("stats are %+v", res.Stats)
			}
		})
	}
}

func TestRefused_StartOverInEveryMode(t *testing.T) {
	for mode, how := range refusedModes() {
		t.Run(mode, func(t *testing.T) {
			c := newRefused(t, how, refusals["400 of tuspyserver"], tus.Options{Checksums: checksum.Builtin()})
			how.Refused, how.StopAt = tus.RefusedStartOver, 0
			res, err := c.client.Upload(testContext(t), tus.Bytes(c.data), how)
			c.wantStartedOver(res, err)
			if how.Digest != "" && res.Digest != sha256Of(c.data) {
				t.Errorf("digest is %q", res.Digest)
			}
		})
	}
}

// The other parts are resumed.
func TestRefused_PartStartsOverAlone(t *testing.T) {
	how := inParts(2)
	how.ChunkSize = 1000
	c := newRefused(t, how, refusals["403 of the server"], tus.Options{})
	_, err := c.client.Upload(testContext(t), tus.Bytes(c.data), how)
	c.wantFailed(err, 403)
	c.events = nil
	how.Refused = tus.RefusedStartOver
	res, err := c.client.Upload(testContext(t), tus.Bytes(c.data), how)
	c.wantStartedOver(res, err)
	if n := c.srv.Count("POST") - c.before; n != 2 { // a part and the final upload
		t.Errorf("%d creations", n)
	}
}

// All parts of one stored upload are reported once.
func TestRefused_AllPartsStartOver(t *testing.T) {
	how := inParts(3)
	how.ChunkSize = 1000
	c := newRefused(t, how, refusals["403 of the server"], tus.Options{})
	c.hidesAll = true
	how.Refused = tus.RefusedStartOver
	res, err := c.client.Upload(testContext(t), tus.Bytes(c.data), how)
	if err != nil || len(c.events) != 1 || res.Stats.Restarts != len(c.stored.Parts) || res.Stats.ResumedFrom != 0 {
		t.Fatalf("%+v, %v, hook got %v", res, err, c.events)
	}
	wantStored(t, c.srv.Handler, res.URL, c.data)
	wantEmptyStore(t, c.store)
}

func TestRefused_StartOverByStep(t *testing.T) {
	c, how := newRefused(t, chunked(), refusals["400 of tuspyserver"], tus.Options{}), chunked()
	how.Refused = tus.RefusedStartOver
	u, err := c.client.NewUploader(tus.Bytes(c.data), how)
	if err != nil {
		t.Fatal(err)
	}
	for u.State() != tus.StateComplete {
		if err := u.Step(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	c.wantStartedOver(&tus.Result{URL: u.URL(), Stats: u.Stats()}, nil)
}

func TestRefused_StartOverInBatch(t *testing.T) {
	c, how := newRefused(t, chunked(), refusals["400 of tuspyserver"], tus.Options{}), chunked()
	how.Refused = tus.RefusedStartOver
	jobs := func(yield func(tus.Job) bool) { yield(tus.Job{Source: tus.Bytes(c.data), Options: how}) }
	for res, err := range c.client.UploadAll(testContext(t), jobs, 1) {
		c.wantStartedOver(res, err)
	}
}

// A policy that retries a refusal is asked first.
func TestRefused_StartOverFollowsRetries(t *testing.T) {
	c, how := newRefused(t, chunked(), refusals["403 of the server"], tus.Options{Retry: tus.RetryPolicy{
		MaxRetries: 3, ShouldRetry: func(err error, _ int) bool { return statusOf(err) == 403 },
	}}), chunked()
	_, err := c.client.Upload(testContext(t), tus.Bytes(c.data), how)
	c.wantFailed(err, 403)
	c.events = nil
	how.Refused = tus.RefusedStartOver
	before := c.srv.Count("HEAD")
	res, err := c.client.Upload(testContext(t), tus.Bytes(c.data), how)
	c.wantStartedOver(res, err)
	if n := c.srv.Count("HEAD") - before; n != 4 || res.Stats.Retries != 3 {
		t.Errorf("%d HEAD, stats are %+v", n, res.Stats)
	}
}

// Another stored upload is resumed.
func TestRefused_StartOverResumesAnother(t *testing.T) {
	c, how := newRefused(t, chunked(), refusals["400 of tuspyserver"], tus.Options{}), chunked()
	shown := c.stored
	shown.ID, shown.Revision, shown.Seal = storage.NewID(), 0, ""
	shown.UploadURL = other(t, c.srv, len(c.data), nil)
	if _, err := c.store.Put(t.Context(), shown); err != nil {
		t.Fatal(err)
	}
	how.Refused = tus.RefusedStartOver
	res, err := c.client.Upload(testContext(t), tus.Bytes(c.data), how)
	if err != nil || res.URL != shown.UploadURL || res.Stats.Restarts != 0 || res.Stats.NotResumed != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	wantStored(t, c.srv.Handler, res.URL, c.data)
	wantEmptyStore(t, c.store)
}

// Statuses that are temporary, about credentials or about the version are no reason to start
// over, and neither is a refused PATCH.
func TestRefused_OtherFailuresKeepStoredUpload(t *testing.T) {
	for name, status := range map[string]int{"locked": 423, "unavailable": 503, "error": 500, "rate": 429, "credentials": 401, "proxy": 407, "version": 412} {
		t.Run(name, func(t *testing.T) {
			c, how := newRefused(t, chunked(), tustest.Respond(status, ""), tus.Options{}), chunked()
			how.Refused = tus.RefusedStartOver
			_, err := c.client.Upload(testContext(t), tus.Bytes(c.data), how)
			if left := records(t, c.store); statusOf(err) != status || len(left) != 1 || left[0].ID != c.stored.ID || len(c.events) != 0 || c.srv.Count("POST") != c.before {
				t.Errorf("%v, records are %+v, hook got %v", err, left, c.events)
			}
		})
	}
	t.Run("PATCH", func(t *testing.T) {
		c, how := newRefused(t, chunked(), func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) { h.Serve(w, r) }, tus.Options{}), chunked()
		c.srv.Inject(tustest.Fault{Method: "PATCH", Times: always, Action: faults.RespondAfter(403, "")})
		how.Refused = tus.RefusedStartOver
		_, err := c.client.Upload(testContext(t), tus.Bytes(c.data), how)
		c.wantFailed(err, 403)
		if len(c.events) != 0 || !strings.Contains(err.Error(), "3000 of 10000 bytes acknowledged") || strings.Contains(err.Error(), "UploadOptions.Refused") {
			t.Errorf("%v, hook got %v", err, c.events)
		}
	})
}

// An upload whose last byte may have been sent may be complete.
func TestRefused_PossiblyCompleteIsKept(t *testing.T) {
	c, how := newRefused(t, chunked(), refusals["400 of tuspyserver"], tus.Options{}), chunked()
	rec := c.stored
	rec.Finishing = true
	if _, err := c.store.Put(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	how.Refused = tus.RefusedStartOver
	_, err := c.client.Upload(testContext(t), tus.Bytes(c.data), how)
	c.wantFailed(err, 400)
	if len(c.events) != 0 || strings.Contains(err.Error(), "UploadOptions.Refused") {
		t.Errorf("%v, hook got %v", err, c.events)
	}
}

// Uploads of a token or of an external URL never start over.
func TestRefused_TokenAndURLDoNotStartOver(t *testing.T) {
	data := randomBytes(10_000)
	srv := tustest.NewServer(t, nil)
	how := chunked()
	how.StopAt = 3000
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}})
	u, err := client.NewUploader(tus.Bytes(data), how)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	token, err := u.Token(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	srv.Inject(tustest.Fault{Method: "HEAD", Times: always, Action: refusals["400 of tuspyserver"]})
	again := &tus.UploadOptions{ChunkSize: 1000, Refused: tus.RefusedStartOver, Hooks: tus.Hooks{
		OnStoredUploadRefused: func(*tus.Uploader, *tus.StoredError) { t.Error("hook is called") }}}
	byToken := *again
	byToken.Token = token
	for name, upload := range map[string]func(ctx context.Context) (*tus.Result, error){
		"token": func(ctx context.Context) (*tus.Result, error) { return client.Upload(ctx, tus.Bytes(data), &byToken) },
		"URL": func(ctx context.Context) (*tus.Result, error) {
			return client.Resume(ctx, u.URL(), tus.Bytes(data), again)
		},
		"URL of a stream": func(ctx context.Context) (*tus.Result, error) {
			return client.Resume(ctx, u.URL(), tus.Reader(bytes.NewReader(data)), again)
		},
	} {
		_, err := upload(testContext(t))
		if errors.As(err, new(*tus.StoredError)) || statusOf(err) != 400 || srv.Count("POST") != 1 {
			t.Errorf("%s: %v, %d creations", name, err, srv.Count("POST"))
		}
	}
}

// A completed upload that is hidden is not uploaded again.
func TestRefused_CompletedUploadIsKept(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(3000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, RememberCompleted: time.Hour, VerifyCompleted: true})
	how := &tus.UploadOptions{ChunkSize: 1000, Refused: tus.RefusedStartOver}
	if _, err := client.Upload(testContext(t), tus.Bytes(data), how); err != nil {
		t.Fatal(err)
	}
	srv.Inject(tustest.Fault{Method: "HEAD", Times: always, Action: refusals["403 of the server"]})
	_, err := client.Upload(testContext(t), tus.Bytes(data), how)
	if !errors.As(err, new(*tus.StoredError)) || srv.Count("POST") != 1 || len(records(t, store)) != 1 {
		t.Errorf("%v, %d creations", err, srv.Count("POST"))
	}
}

func TestRefused_UnknownPolicyIsInvalid(t *testing.T) {
	client := newClient(t, "https://example.org/files/", nil)
	for _, policy := range []tus.RefusedPolicy{-1, tus.RefusedStartOver + 1} {
		_, err := client.NewUploader(tus.Bytes(nil), &tus.UploadOptions{Refused: policy})
		wantError(t, err, tus.ErrInvalidInput)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/hooks"
	hookshttp "github.com/tus/tusd/v2/pkg/hooks/http"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	"go.uber.org/goleak"
	tusdslog "golang.org/x/exp/slog"

	"github.com/seed-175555ba/tus-go/tus"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// tusd never stops reading its events.
		goleak.IgnoreTopFunction("github.com/tus/tusd/v2/pkg/hooks.NewHandlerWithHooks.func4"))
}

const (
	hookKey = "the key of tusd"
	maxSize = 100_000
)

// journal records the hooks that a receiver handled.
type journal struct {
	mu       sync.Mutex
	types    []string
	handled  chan string // type of each hook after its response
	finished chan upload
	fail     int // number of calls of finish that fail
}

func (j *journal) has(hook string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, t := range j.types {
		if t == hook {
			return true
		}
	}
	return false
}

func (j *journal) finish(_ context.Context, u upload) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail > 0 {
		j.fail--
		return errors.New("the database is unavailable")
	}
	j.finished <- u
	return nil
}

// next returns the next finished upload.
func (j *journal) next(t *testing.T) upload {
	t.Helper()
	select {
	case u := <-j.finished:
		return u
	case <-testContext(t).Done():
		t.Fatal("no upload was reported as finished")
		return upload{}
	}
}

// testContext returns a context that ends a hanging test after a minute.
func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// newReceiver starts a server for hooks and returns its URL for tusd.
func newReceiver(t *testing.T, j *journal) string {
	t.Helper()
	j.finished, j.handled = make(chan upload, 10), make(chan string, 10_000)
	receiver := &tusdHooks{
		key: hookKey, rules: rules{maxSize: maxSize, tokens: []string{"alice", "bob"}},
		finished: j.finish, log: slog.New(slog.DiscardHandler),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var e event
		if err := json.Unmarshal(content, &e); err != nil {
			t.Error(err)
		}
		j.mu.Lock()
		j.types = append(j.types, e.Type)
		j.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(content))
		receiver.ServeHTTP(w, r)
		j.handled <- e.Type
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("tusd", hookKey)
	return u.String()
}

// newTusd starts a tusd that calls hooks, and returns its endpoint.
func newTusd(t *testing.T, hookURL string) string {
	t.Helper()
	composer := handler.NewStoreComposer()
	filestore.New(t.TempDir()).UseIn(composer)
	memorylocker.New().UseIn(composer)
	config := handler.Config{
		BasePath: "/files/", StoreComposer: composer,
		Logger:                           tusdslog.New(tusdslog.NewTextHandler(io.Discard, nil)),
		UploadProgressInterval:           time.Millisecond,
		GracefulRequestCompletionTimeout: 50 * time.Millisecond, // for goleak
	}
	tusd, err := hooks.NewHandlerWithHooks(&config, &hookshttp.HttpHook{
		Endpoint: hookURL, MaxRetries: 3, Backoff: time.Millisecond, Timeout: time.Minute, SizeLimit: 1 << 20,
	}, hooks.AvailableHooks)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.StripPrefix("/files/", tusd))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections) // used by tusd for hooks
	return server.URL + "/files/"
}

func newClient(t *testing.T, endpoint, token string) *tus.Client {
	t.Helper()
	client, err := tus.NewClient(endpoint, &tus.Options{
		Header: http.Header{"Authorization": {"Bearer " + token}},
		Retry:  tus.RetryPolicy{MaxRetries: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func named(name string) *tus.UploadOptions {
	return &tus.UploadOptions{Metadata: tus.Metadata{"filename": name}}
}

func TestTusd_AcceptedUploadIsReported(t *testing.T) {
	var j journal
	client := newClient(t, newTusd(t, newReceiver(t, &j)), "bob")
	result, err := client.Upload(testContext(t), tus.Bytes(make([]byte, 5000)), named("a.bin"))
	if err != nil {
		t.Fatal(err)
	}
	u := j.next(t)
	if !strings.HasSuffix(result.URL, "/"+u.ID) || u.Size != 5000 || u.Offset != 5000 {
		t.Errorf("finished is %+v, the upload %s", u, result.URL)
	}
	if u.MetaData["filename"] != "a.bin" || u.MetaData["owner"] != "user 2" {
		t.Errorf("metadata is %v", u.MetaData)
	}
	last := result.LastPatch
	if last.StatusCode == 0 {
		last = result.Creation // sent in one request
	}
	if got := last.Header.Get("X-Asset"); got != "/assets/"+u.ID {
		t.Errorf("the client got X-Asset %q", got)
	}
}

func TestTusd_InvalidUploadIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		token, filename string
		size            int
		code            int
	}{
		"unknown user": {"mallory", "a", 10, http.StatusUnauthorized},
		"no token":     {"", "a", 10, http.StatusUnauthorized},
		"no name":      {"alice", "", 10, http.StatusBadRequest},
		"too large":    {"alice", "a", maxSize + 1, http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			var j journal
			client := newClient(t, newTusd(t, newReceiver(t, &j)), c.token)
			_, err := client.Upload(testContext(t), tus.Bytes(make([]byte, c.size)), named(c.filename))
			var refused *tus.Error
			if !errors.As(err, &refused) || refused.StatusCode != c.code || refused.Message == "" {
				t.Errorf("error is %v, want status %d", err, c.code)
			}
			if j.has("post-create") || j.has("post-finish") {
				t.Error("the refused upload was created")
			}
		})
	}
}

// The size of the stream is unknown at its creation. tusd stops the request of the hook
// only while it is in flight, so the rate limit makes each request slow.
func TestTusd_StreamAboveMaxSizeIsStopped(t *testing.T) {
	var j journal
	endpoint := newTusd(t, newReceiver(t, &j))
	client, err := tus.NewClient(endpoint, &tus.Options{
		Header: http.Header{"Authorization": {"Bearer alice"}}, Retry: tus.RetryPolicy{MaxRetries: -1},
		RateLimit: tus.NewRateLimit(4 << 20), // bytes per second
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	result, err := client.Upload(testContext(t), tus.Reader(io.LimitReader(zeros{}, 1<<30)), &tus.UploadOptions{
		Metadata: tus.Metadata{"filename": "a"}, ChunkSize: 4 << 20,
	})
	if err == nil || result.Offset == 1<<30 || errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the upload was not stopped: %v, %+v", err, result)
	}
	for ctx := testContext(t); ; time.Sleep(time.Millisecond) { // tusd deletes it after the response
		if _, err := client.Info(ctx, result.URL); errors.Is(err, tus.ErrUploadGone) {
			break
		} else if err != nil {
			t.Fatalf("Info returned %v", err)
		}
	}
	if j.has("post-finish") {
		t.Error("the upload was reported as finished")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestTusd_PartialUploadsAreNotReported(t *testing.T) {
	var j journal
	client := newClient(t, newTusd(t, newReceiver(t, &j)), "alice")
	opts := named("whole.bin")
	opts.Parallel, opts.ParallelOptions.MinPartSize = 3, 1000
	if _, err := client.Upload(testContext(t), tus.Bytes(make([]byte, 30_000)), opts); err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	for finished := 0; finished < 3+1; {
		select {
		case hook := <-j.handled:
			if hook == "post-finish" {
				finished++
			}
		case <-ctx.Done():
			t.Fatalf("got %d post-finish hooks", finished)
		}
	}
	u := j.next(t)
	if !u.IsFinal || u.Size != 30_000 || u.MetaData["filename"] != "whole.bin" {
		t.Errorf("finished is %+v", u)
	}
	select {
	case more := <-j.finished:
		t.Errorf("also reported as finished: %+v", more)
	default:
	}
}

func TestTusd_FailedHookIsRetried(t *testing.T) {
	j := journal{fail: 2}
	client := newClient(t, newTusd(t, newReceiver(t, &j)), "alice")
	if _, err := client.Upload(testContext(t), tus.Bytes(make([]byte, 10)), named("a")); err != nil {
		t.Fatal(err)
	}
	j.next(t)
}

func TestTusd_HookWithoutKeyIsRefused(t *testing.T) {
	receiver := &tusdHooks{key: hookKey, log: slog.New(slog.DiscardHandler), finished: func(context.Context, upload) error {
		t.Error("the upload was reported as finished")
		return nil
	}}
	call := func(key, content string) int {
		r := httptest.NewRequest(http.MethodPost, "/tusd", strings.NewReader(content))
		if key != "" {
			r.SetBasicAuth("tusd", key)
		}
		w := httptest.NewRecorder()
		receiver.ServeHTTP(w, r)
		return w.Code
	}
	const finish = `{"Type":"post-finish","Event":{"Upload":{"ID":"1"}}}`
	for _, key := range []string{"", "another", hookKey + " "} {
		if got := call(key, finish); got != http.StatusUnauthorized {
			t.Errorf("key %q got %d", key, got)
		}
	}
	for _, content := range []string{"", "{", "[]", `{"Type":1}`, fmt.Sprintf(`{"Type":%q}`, strings.Repeat("x", 2<<20))} {
		if got := call(hookKey, content); got != http.StatusBadRequest {
			t.Errorf("a hook of %d bytes got %d", len(content), got)
		}
	}
	if got := call(hookKey, `{"Type":"post-something-new"}`); got != http.StatusOK {
		t.Errorf("an unknown hook got %d", got)
	}
}

func TestNewHandler_RequiresSecrets(t *testing.T) {
	all := map[string]string{"HOOKS_KEY": "k", "HOOKS_SECRETS": "s,s2", "HOOKS_TOKENS": "t"}
	getenv := func(without string) func(string) string {
		return func(name string) string {
			if name == without {
				return ""
			}
			return all[name]
		}
	}
	if _, err := newHandler(getenv(""), maxSize, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
	for name := range all {
		if _, err := newHandler(getenv(name), maxSize, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("without %s there was no error", name)
		}
	}
}

package tus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// logged returns a client and its log.
func logged(t *testing.T, srv *tustest.Server, opts tus.Options) (*tus.Client, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	opts.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	opts.Retry = retryAtOnce()
	return newClient(t, srv.Endpoint(), &opts), &log
}

// lines returns the records of a log as "LEVEL message", without level Debug.
func lines(t *testing.T, log *bytes.Buffer) []string {
	t.Helper()
	var lines []string
	for line := range bytes.Lines(log.Bytes()) {
		var record struct{ Level, Msg, To string }
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		if record.Level != "DEBUG" {
			lines = append(lines, strings.TrimSpace(record.Level+" "+record.Msg+" "+record.To))
		}
	}
	return lines
}

func TestLog_RecordsOfUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", From: 1000, Action: tustest.CutBefore()})
	client, log := logged(t, srv, tus.Options{Store: &fullStore{}})
	if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"INFO tus upload created",
		"ERROR tus store",
		"WARN tus retry",
		"ERROR tus store", // the second Put
		"INFO tus state complete",
	}
	if got := slices.Compact(lines(t, log)); !slices.Equal(got, want) {
		t.Errorf("log is %q, want %q", got, want)
	}
	if n := strings.Count(log.String(), `"msg":"tus request"`); n != len(srv.Requests())-1 { // one had no response
		t.Errorf("%d of %d requests are in the log", n, len(srv.Requests()))
	}
}

func TestLog_FailureAndPause(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client, log := logged(t, srv, tus.Options{})
	opts := chunked()
	opts.StopAt = 1000
	_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), opts)
	wantError(t, err, tus.ErrPaused)
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.Respond(http.StatusForbidden, "")})
	_, err = client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked())
	wantError(t, err, tus.ErrUnauthorized)
	want := []string{"INFO tus upload created", "INFO tus state paused", "ERROR tus state failed"}
	if got := lines(t, log); !slices.Equal(got, want) {
		t.Errorf("log is %q, want %q", got, want)
	}
}

func TestLog_OffsetsAreNumbers(t *testing.T) {
	client, log := logged(t, tustest.NewServer(t, nil), tus.Options{})
	if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(log.Bytes()) {
		var record struct {
			Msg    string
			Offset *int64
		}
		if err := json.Unmarshal(line, &record); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		if record.Msg == "tus request" && record.Offset != nil {
			n++
		}
	}
	if n == 0 {
		t.Error("no request has an offset")
	}
}

func TestLog_HasNoSecrets(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(
		tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", "/files/00000001?signature="+planted)},
		tustest.Fault{Method: "PATCH", Action: tustest.Respond(http.StatusServiceUnavailable, "Bearer PLANTED-bearer-token is late")},
		tustest.Fault{Method: "HEAD", Action: tustest.CutBefore()},
	)
	client, log := logged(t, srv, *secretOptions())
	if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked()); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); strings.Contains(text, planted) || !strings.Contains(text, "/files/00000001") {
		t.Errorf("log is %s", text)
	}
}

// contextHandler adds a context value to each record.
type contextHandler struct{ slog.Handler }

type contextKey struct{}

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.Any("trace", ctx.Value(contextKey{})))
	return h.Handler.Handle(ctx, r)
}

func TestLog_NamesUploadAndPassesContext(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", From: 1000, Action: tustest.CutBefore()})
	var log bytes.Buffer
	client := newClient(t, srv.Endpoint(), &tus.Options{
		Retry: retryAtOnce(), Logger: slog.New(contextHandler{slog.NewJSONHandler(&log, nil)}),
	})
	data := randomBytes(3000)
	u, err := client.NewUploader(tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Run(context.WithValue(testContext(t), contextKey{}, "mine")); err != nil {
		t.Fatal(err)
	}
	records := 0
	for line := range bytes.Lines(log.Bytes()) {
		records++
		var r struct {
			Msg, To, URL, Trace             string
			Offset, Sent, Requests, Retries int64
			Elapsed                         time.Duration
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		if r.URL != u.URL() || r.Trace != "mine" {
			t.Errorf("record is %s", line)
		}
		stats := u.Stats()
		if r.To == "complete" && (r.Offset != 3000 || r.Sent != stats.Sent || r.Requests != int64(requestsOf(stats)) || r.Retries != 1 || r.Elapsed != stats.Elapsed) {
			t.Errorf("the last record is %s, with %+v", line, stats)
		}
	}
	if records != 3 {
		t.Errorf("%d records: %s", records, log.Bytes())
	}

	log.Reset()
	u, err = client.NewUploader(tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Abort(context.WithValue(testContext(t), contextKey{}, "mine")); err != nil {
		t.Fatal(err)
	}
	if last := lines(t, &log); len(last) != 2 || last[1] != "INFO tus state aborted" || !strings.Contains(log.String(), `"to":"aborted","offset":0`) {
		t.Errorf("log of an abort is %s", log.Bytes())
	}
	if _, aborted, _ := bytes.Cut(log.Bytes(), []byte("\n")); !bytes.Contains(aborted, []byte(`"trace":"mine"`)) {
		t.Errorf("record of the abort is %s", aborted)
	}
}

func TestLog_ResumedUpload(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), new(storage.Memory)
	stoppedAt(t, srv.Endpoint(), store, tus.Bytes(randomBytes(3000)), 1000)
	client, log := logged(t, srv, tus.Options{Store: store})
	if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked()); err != nil {
		t.Fatal(err)
	}
	if got, want := lines(t, log), []string{"INFO tus upload resumed", "INFO tus state complete"}; !slices.Equal(got, want) {
		t.Errorf("log is %q, want %q", got, want)
	}
}

package tus_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// remembering returns options with a store that keeps completed uploads for a day.
func remembering(store storage.Store) *tus.Options {
	return &tus.Options{Store: store, RememberCompleted: 24 * time.Hour}
}

// again returns options for an upload of data that is already complete.
func again() *tus.UploadOptions {
	opts := chunked()
	opts.Again = true
	return opts
}

// mustUpload uploads data in chunks, unless it is already complete.
func mustUpload(t *testing.T, client *tus.Client, data []byte, opts *tus.UploadOptions) *tus.Result {
	t.Helper()
	res, err := client.Upload(t.Context(), tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// wantRecalled fails unless the upload of url is reported as complete without a byte sent.
func wantRecalled(t *testing.T, res *tus.Result, err error, url string, size int64) {
	t.Helper()
	if err != nil || !res.AlreadyComplete || res.URL != url || res.Offset != size || res.Size != size ||
		res.Stats.Sent != 0 || res.Stats.Uploaded != 0 || res.Stats.ResumedFrom != size || !res.Expires.IsZero() {
		t.Errorf("result is %+v, %v, want %s", res, err, url)
	}
	wantNoNil(t, res)
}

// wantRemembered fails unless the store has the record of one upload, which is complete.
func wantRemembered(t *testing.T, store storage.Store, url string) {
	t.Helper()
	all := records(t, store)
	if len(all) != 1 {
		t.Fatalf("the store has %+v", all)
	}
	rec := all[0]
	if rec.UploadURL != url || rec.Completed.IsZero() || !rec.Expires.Equal(rec.Completed.Add(24*time.Hour)) ||
		rec.Lease != nil || rec.Parts != nil || rec.Finishing || rec.Refusal != "" {
		t.Errorf("record is %+v", rec)
	}
}

func TestRemember_SameSourceIsUploadedOnce(t *testing.T) {
	// A checksum algorithm makes the client request the capabilities.
	sha1 := checksum.Builtin()[:1]
	for name, way := range map[string]struct {
		size int
		opts tus.UploadOptions
		sums []checksum.Algorithm
	}{
		"whole":           {5000, *whole(), nil},
		"chunks":          {5000, *chunked(), nil},
		"parallel":        {unequalSize, *unequal(), nil},
		"checksum":        {5000, *chunked(), sha1},
		"deferred length": {5000, tus.UploadOptions{ChunkSize: 1000, DeferLength: true}, nil},
		"one request":     {5000, tus.UploadOptions{}, nil},
		"empty":           {0, tus.UploadOptions{}, nil},
		"empty, created":  {0, *whole(), nil},
		"held fails":      {5000, tus.UploadOptions{Held: tus.HeldFail}, nil},
		"held begins":     {5000, tus.UploadOptions{ChunkSize: 1000, Held: tus.HeldBegin}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(way.size)
			opts := remembering(store)
			opts.Checksums = way.sums
			first := mustUpload(t, newClient(t, srv.Endpoint(), opts), data, &way.opts)
			wantStored(t, srv.Handler, first.URL, data)
			wantRemembered(t, store, first.URL)
			if first.AlreadyComplete {
				t.Error("the first upload was already complete")
			}
			requests := len(srv.Requests())
			rec := &recorder{}
			next := way.opts
			next.Hooks = rec.hooks()
			res, err := newClient(t, srv.Endpoint(), opts).Upload(testContext(t), tus.Bytes(data), &next)
			wantRecalled(t, res, err, first.URL, int64(way.size))
			if n := len(srv.Requests()); n != requests || requestsOf(res.Stats) != 0 {
				t.Errorf("%d requests", n-requests)
			}
			if rec.path() != "complete" || len(rec.reports) != 1 ||
				rec.reports[0] != (tus.Progress{Acknowledged: int64(way.size), Size: int64(way.size)}) {
				t.Errorf("states are %s, progress is %+v", rec.path(), rec.reports)
			}
		})
	}
}

// The first reserves the upload: other Uploaders of the source wait for it.
func TestRemember_OneRequestIsTwoStoreOperations(t *testing.T) {
	srv, puts := tustest.NewServer(t, nil), 0
	store := &scripted{Store: &storage.Memory{}, put: func(_ storage.Record, next put) (storage.Record, error) {
		puts++
		return next()
	}, delete: func(next func() error) error {
		t.Error("a record was deleted")
		return next()
	}}
	mustUpload(t, newClient(t, srv.Endpoint(), remembering(store)), randomBytes(5000), nil)
	if puts != 2 || srv.Count("POST") != 1 || srv.Count("PATCH") != 0 {
		t.Errorf("%d store operations, requests are %+v", puts, srv.Requests())
	}
}

func TestRemember_StepEndsAtOnce(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(5000)
	client := newClient(t, srv.Endpoint(), remembering(store))
	u := created(t, client, tus.Bytes(data), chunked())
	for u.State() != tus.StateComplete {
		if err := u.Step(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	wantRemembered(t, store, u.URL())
	second, err := client.NewUploader(tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := second.Step(testContext(t)); err != nil || second.State() != tus.StateComplete || second.URL() != u.URL() || second.Offset() != 5000 {
			t.Fatalf("state is %v at %d of %s, %v", second.State(), second.Offset(), second.URL(), err)
		}
	}
	res, err := second.Run(testContext(t))
	wantRecalled(t, res, err, u.URL(), 5000)
	wantError(t, second.Abort(testContext(t)), tus.ErrInvalidInput)
	if _, ok := srv.Upload(u.URL()); !ok {
		t.Error("Abort deleted the completed upload")
	}
}

func TestRemember_BatchReportsCompletedJobs(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	var jobs []tus.Job
	for i := range 6 {
		jobs = append(jobs, tus.Job{Source: tus.Bytes(randomBytes(2000 + i)), Options: chunked(), Tag: i})
	}
	for session, want := range []int{0, 4} {
		sent := jobs
		if session == 0 {
			sent = jobs[:4]
		}
		complete := 0
		for res, err := range newClient(t, srv.Endpoint(), remembering(store)).UploadAll(testContext(t), slices.Values(sent), 2) {
			if err != nil {
				t.Fatal(err)
			}
			if res.AlreadyComplete {
				complete++
			}
		}
		if complete != want {
			t.Errorf("session %d: %d jobs were already complete, want %d", session, complete, want)
		}
	}
	if n := srv.Count("POST"); n != 6 {
		t.Errorf("%d uploads of 6 sources", n)
	}
}

// The default options request the capabilities for a checksum. They are not needed here.
func TestRemember_DefaultOptionsSendNothing(t *testing.T) {
	srv, store, path := tustest.NewServer(t, nil), &storage.Memory{}, tempFile(t, randomBytes(5000))
	for session := range 2 {
		client, err := tus.NewClient(srv.Endpoint(), remembering(store))
		if err != nil {
			t.Fatal(err)
		}
		defer client.CloseIdleConnections()
		requests := len(srv.Requests())
		res, err := client.UploadFile(testContext(t), path, nil)
		if err != nil || res.AlreadyComplete != (session == 1) {
			t.Fatalf("session %d: %+v, %v", session, res, err)
		}
		if session == 1 && len(srv.Requests()) != requests {
			t.Errorf("requests are %+v", srv.Requests()[requests:])
		}
	}
}

func TestRemember_ChangedSourceIsUploaded(t *testing.T) {
	data := randomBytes(5000)
	other := bytes.Clone(data)
	other[4000] ^= 1
	metadata := func(value string) *tus.UploadOptions {
		opts := chunked()
		opts.Metadata = tus.Metadata{"name": value}
		return opts
	}
	key := func(key string) *tus.UploadOptions {
		opts := chunked()
		opts.ResumeKey = key
		return opts
	}
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	client := newClient(t, srv.Endpoint(), remembering(store))
	for name, upload := range map[string]struct {
		data []byte
		opts *tus.UploadOptions
	}{
		"first": {data, chunked()}, "other content": {other, chunked()}, "shorter": {data[:4999], chunked()},
		"metadata": {data, metadata("a")}, "other metadata": {data, metadata("b")},
		"resume key": {data, key("a")}, "other resume key": {data, key("b")},
	} {
		res := mustUpload(t, client, upload.data, upload.opts)
		if res.AlreadyComplete {
			t.Errorf("%s: already complete", name)
		}
		wantStored(t, srv.Handler, res.URL, upload.data)
		res, err := client.Upload(testContext(t), tus.Bytes(upload.data), upload.opts)
		wantRecalled(t, res, err, res.URL, int64(len(upload.data)))
	}
	// A file that changed since.
	path := tempFile(t, data)
	for _, content := range [][]byte{data, other} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Unix(int64(content[4000]), 0)); err != nil {
			t.Fatal(err)
		}
		res, err := client.UploadFile(testContext(t), path, chunked())
		if err != nil || res.AlreadyComplete {
			t.Fatalf("result is %+v, %v", res, err)
		}
		wantStored(t, srv.Handler, res.URL, content)
	}
}

// A fingerprint may be a name only. The size is compared as well.
func TestRemember_SourceThatGrewIsUploaded(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(5000)
	opts := remembering(store)
	opts.Fingerprinter = fingerprint.Func(func(context.Context, io.ReaderAt, fingerprint.Info) (string, error) { return "backup", nil })
	client := newClient(t, srv.Endpoint(), opts)
	mustUpload(t, client, data[:3000], chunked())
	res := mustUpload(t, client, data, chunked())
	if res.AlreadyComplete {
		t.Error("already complete")
	}
	wantStored(t, srv.Handler, res.URL, data)
	wantRemembered(t, store, res.URL)
}

func TestRemember_RecordExpires(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store, data := &storage.Memory{}, randomBytes(5000)
		client := newClient(remembering(store))
		first := mustUpload(t, client, data, chunked())
		time.Sleep(24*time.Hour - time.Second)
		if res := mustUpload(t, client, data, chunked()); !res.AlreadyComplete {
			t.Error("forgotten before the end")
		}
		if n, err := storage.DeleteExpired(t.Context(), store, time.Now()); n != 0 || err != nil {
			t.Errorf("%d deleted, %v", n, err)
		}
		time.Sleep(2 * time.Second)
		if previous, err := client.PreviousUploads(t.Context(), tus.Bytes(data), nil); err != nil || len(previous) != 0 {
			t.Errorf("previous uploads are %+v, %v", previous, err)
		}
		second := mustUpload(t, client, data, chunked())
		if second.AlreadyComplete || second.URL == first.URL || second.Stats.NotResumed != 0 {
			t.Errorf("result is %+v", second)
		}
		wantRemembered(t, store, second.URL)
		time.Sleep(25 * time.Hour)
		if n, err := storage.DeleteExpired(t.Context(), store, time.Now()); n != 1 || err != nil {
			t.Errorf("%d deleted, %v", n, err)
		}
	})
}

func TestRemember_AgainReplacesRecord(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(5000)
	client := newClient(t, srv.Endpoint(), remembering(store))
	seen := map[string]bool{}
	for _, opts := range []*tus.UploadOptions{chunked(), again(), again(), {Again: true}, {Again: true}} {
		res := mustUpload(t, client, data, opts)
		if res.AlreadyComplete || seen[res.URL] {
			t.Errorf("result is %+v", res)
		}
		seen[res.URL] = true
		wantStored(t, srv.Handler, res.URL, data)
		wantRemembered(t, store, res.URL)
		recalled, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
		wantRecalled(t, recalled, err, res.URL, 5000)
	}
}

func TestRemember_InterruptedAgainIsResumed(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(5000)
	client := newClient(t, srv.Endpoint(), remembering(store))
	first := mustUpload(t, client, data, chunked())
	opts := again()
	opts.StopAt = 3000
	paused, err := client.Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrPaused)
	res, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	wantRecalled(t, res, err, first.URL, 5000)
	res = mustUpload(t, client, data, again())
	if res.URL != paused.URL || res.Stats.ResumedFrom != 3000 {
		t.Errorf("result is %+v, want %s", res, paused.URL)
	}
	wantRemembered(t, store, res.URL)
}

func TestRemember_OtherClientIgnoresCompletedRecord(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(5000)
	first := mustUpload(t, newClient(t, srv.Endpoint(), remembering(store)), data, chunked())
	for range 2 {
		res := mustUpload(t, newClient(t, srv.Endpoint(), &tus.Options{Store: store}), data, chunked())
		if res.AlreadyComplete || res.URL == first.URL || res.Stats.ResumedFrom != 0 || res.Stats.NotResumed != 0 {
			t.Errorf("result is %+v", res)
		}
		wantStored(t, srv.Handler, res.URL, data)
		wantRemembered(t, store, first.URL)
	}
	if srv.Count("HEAD") != 0 {
		t.Errorf("%d HEAD requests", srv.Count("HEAD"))
	}
}

func TestRemember_KeepsHeadersOfCreation(t *testing.T) {
	for name, opts := range map[string]*tus.UploadOptions{"chunks": chunked(), "one request": {}, "parts": unequal()} {
		srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(unequalSize)
		numbered(srv)
		client := remembering(store)
		client.KeepHeaders = []string{"X-Media-Id"}
		first := mustUpload(t, newClient(t, srv.Endpoint(), client), data, opts)
		res, err := newClient(t, srv.Endpoint(), client).Upload(testContext(t), tus.Bytes(data), opts)
		wantRecalled(t, res, err, first.URL, unequalSize)
		if got := res.Creation.Header.Get("X-Media-Id"); got != "1" {
			t.Errorf("%s: X-Media-Id is %q", name, got)
		}
	}
}

func TestRemember_LogsAlreadyComplete(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(5000)
	mustUpload(t, newClient(t, srv.Endpoint(), remembering(store)), data, chunked())
	client, log := logged(t, srv, *remembering(store))
	mustUpload(t, client, data, chunked())
	if got, want := lines(t, log), []string{"INFO tus already complete", "INFO tus state complete"}; !slices.Equal(got, want) {
		t.Errorf("log is %q, want %q", got, want)
	}
}

func TestRemember_NegativeDurationIsInvalid(t *testing.T) {
	_, err := tus.NewClient("https://example.org/files/", &tus.Options{RememberCompleted: -time.Second})
	wantError(t, err, tus.ErrInvalidInput)
	if !strings.Contains(err.Error(), "Options.RememberCompleted: -1s") {
		t.Error(err)
	}
}

// Nothing is remembered without a store, of a stream and of an external upload URL.
func TestRemember_WithoutKeyHasNoEffect(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(5000)
	client := newClient(t, srv.Endpoint(), remembering(store))
	for range 2 {
		if res := mustUpload(t, newClient(t, srv.Endpoint(), remembering(nil)), data, chunked()); res.AlreadyComplete {
			t.Error("without a store: already complete")
		}
		res, err := client.Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
		if err != nil || res.AlreadyComplete {
			t.Errorf("stream: %+v, %v", res, err)
		}
		made, err := client.Create(testContext(t), tus.CreateOptions{Size: 5000})
		if err != nil {
			t.Fatal(err)
		}
		if res, err := client.Resume(testContext(t), made.URL, tus.Bytes(data), nil); err != nil || res.AlreadyComplete {
			t.Errorf("external URL: %+v, %v", res, err)
		}
	}
	wantEmptyStore(t, store)
}

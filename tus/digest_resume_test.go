package tus_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// sameVersion gives a source a version, which proves that it is the same in a later session.
func sameVersion(source tus.Source, version string) tus.Source {
	return &hookedSource{Source: source, changeInfo: func(i *tus.SourceInfo) { i.Version = version }}
}

// attributesOnly returns options with a store and a fingerprint that reads no content.
func attributesOnly() *tus.Options {
	return &tus.Options{Store: new(storage.Memory), Fingerprinter: fingerprint.Func(
		func(context.Context, io.ReaderAt, fingerprint.Info) (string, error) { return "key-of-the-asset", nil })}
}

// digestStopped uploads the first 600,000 bytes of a source in a session of its own.
func digestStopped(t *testing.T, srv *tustest.Server, client *tus.Options, source tus.Source, opts tus.UploadOptions) *tus.Result {
	t.Helper()
	opts.ChunkSize, opts.StopAt = 300_000, 600_000
	res, err := newClient(t, srv.Endpoint(), client).Upload(testContext(t), source, &opts)
	wantError(t, err, tus.ErrPaused)
	if res.Digest != "" {
		t.Errorf("digest of an incomplete upload is %q", res.Digest)
	}
	return res
}

func TestDigest_SameVersionIsNotReadAgain(t *testing.T) {
	data := randomBytes(1_000_000)
	srv, opts := tustest.NewServer(t, nil), attributesOnly()
	digestStopped(t, srv, opts, sameVersion(tus.Bytes(data), "1"), *digested(tus.UploadOptions{}))
	if d := records(t, opts.Store)[0].Digest; d == nil || d.Algorithm != "sha256" || d.Offset != 600_000 || d.Source == "" || len(d.State) == 0 {
		t.Fatalf("digest of the record is %+v", d)
	}
	source := &countingSource{Source: sameVersion(tus.Bytes(data), "1")}
	res, err := newClient(t, srv.Endpoint(), opts).Upload(testContext(t), source, digested(tus.UploadOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	wantDigest(t, srv.Handler, res, data)
	if n := source.bytes.Load(); res.Stats.ResumedFrom != 600_000 || n != 400_000 {
		t.Errorf("resumed at %d, %d bytes were read", res.Stats.ResumedFrom, n)
	}
}

// A ctime cannot be set, but the files of this package are old.
func TestDigest_OldFileIsNotReadAgain(t *testing.T) {
	const path = "digest.go"
	data, err := os.ReadFile(path)
	wantNoError(t, err)
	srv, opts := tustest.NewServer(t, nil), attributesOnly()
	opts.SourceTimeout = time.Minute // through memory: the follower does not read so few bytes
	_, err = newClient(t, srv.Endpoint(), opts).Upload(testContext(t), tus.File(path), digested(tus.UploadOptions{ChunkSize: 1000, StopAt: 4000}))
	wantError(t, err, tus.ErrPaused)
	if d := records(t, opts.Store)[0].Digest; d == nil || runtime.GOOS == "linux" && d.Source == "" {
		t.Fatalf("digest of the record is %+v", d)
	}
	res, err := newClient(t, srv.Endpoint(), opts).Upload(testContext(t), tus.File(path), digested(tus.UploadOptions{}))
	wantNoError(t, err)
	wantDigest(t, srv.Handler, res, data)
}

func TestDigest_ChangedPrefixIsFoundBeforeAnyPatch(t *testing.T) {
	data := randomBytes(1_000_000)
	path := tempFile(t, data)
	wantNoError(t, os.Chtimes(path, time.Time{}, longAgo))
	for name, how := range map[string]tus.UploadOptions{
		"whole": {}, "parts": {Parallel: 3, ParallelOptions: tus.ParallelOptions{MinPartSize: 200_000}},
	} {
		t.Run(name, func(t *testing.T) {
			wantNoError(t, os.WriteFile(path, data, 0o600))
			wantNoError(t, os.Chtimes(path, time.Time{}, longAgo))
			srv, opts := tustest.NewServer(t, nil), attributesOnly()
			digestInterrupted(t, srv, opts, tus.File(path), how)

			changed := bytes.Clone(data)
			changed[1]++
			wantNoError(t, os.WriteFile(path, changed, 0o600))
			wantNoError(t, os.Chtimes(path, time.Time{}, longAgo))
			res, err := newClient(t, srv.Endpoint(), opts).Upload(testContext(t), tus.File(path), digested(how))
			wantError(t, err, tus.ErrSourceChanged)
			if n := res.Stats.Requests[http.MethodPatch]; n != 0 {
				t.Errorf("%d PATCH requests were sent", n)
			}
			wantEmptyStore(t, opts.Store)
			res, err = newClient(t, srv.Endpoint(), opts).Upload(testContext(t), tus.File(path), digested(how))
			wantNoError(t, err)
			wantDigest(t, srv.Handler, res, changed)
		})
	}
}

// digestInterrupted uploads more than half of a source, until the context is canceled.
func digestInterrupted(t *testing.T, srv *tustest.Server, client *tus.Options, source tus.Source, how tus.UploadOptions) {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	how.ChunkSize = 200_000
	srv.Inject(tustest.Fault{Method: http.MethodPatch, Skip: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		time.Sleep(100 * time.Millisecond) // the digest follows the bytes that were sent
		cancel()
		tustest.CutBefore()(w, r, h)
	}})
	_, err := newClient(t, srv.Endpoint(), client).Upload(ctx, source, digested(how))
	wantError(t, err, context.Canceled)
	if d := records(t, client.Store)[0].Digest; d == nil || d.Offset == 0 {
		t.Fatalf("digest of the record is %+v", d)
	}
}

func TestDigest_UnchangedPrefixIsComparedAndResumed(t *testing.T) {
	data := randomBytes(1_000_000)
	for name, open := range map[string]func() tus.Source{
		"bytes":  func() tus.Source { return tus.Bytes(data) },
		"seeker": func() tus.Source { return tus.ReadSeeker(bytes.NewReader(data), int64(len(data))) },
	} {
		srv, opts := tustest.NewServer(t, nil), attributesOnly()
		digestStopped(t, srv, opts, open(), *digested(tus.UploadOptions{}))
		source := &countingSource{Source: open()}
		res, err := newClient(t, srv.Endpoint(), opts).Upload(testContext(t), source, digested(tus.UploadOptions{}))
		wantNoError(t, err)
		wantDigest(t, srv.Handler, res, data)
		if n := source.bytes.Load(); res.Stats.ResumedFrom != 600_000 || n != 1_000_000 {
			t.Errorf("%s: resumed at %d, %d bytes were read", name, res.Stats.ResumedFrom, n)
		}
	}
}

func TestDigest_WithoutStoredStatePrefixIsRead(t *testing.T) {
	data := randomBytes(1_000_000)
	for name, open := range map[string]func() tus.Source{
		"bytes":  func() tus.Source { return tus.Bytes(data) },
		"seeker": func() tus.Source { return tus.ReadSeeker(bytes.NewReader(data), int64(len(data))) },
		"file":   func() tus.Source { return tus.File(tempFile(t, data)) },
	} {
		srv := tustest.NewServer(t, nil)
		opts := attributesOnly()
		first := digestStopped(t, srv, opts, open(), tus.UploadOptions{}) // without a digest
		if d := records(t, opts.Store)[0].Digest; d != nil {
			t.Errorf("%s: digest of the record is %+v", name, d)
		}
		client := newClient(t, srv.Endpoint(), opts)
		_, err := client.Upload(testContext(t), open(), digested(tus.UploadOptions{StopAt: 800_000}))
		wantError(t, err, tus.ErrPaused)
		res, err := client.Resume(testContext(t), first.URL, open(), digested(tus.UploadOptions{}))
		wantNoError(t, err)
		wantDigest(t, srv.Handler, res, data)
		if res.Stats.ResumedFrom != 800_000 {
			t.Errorf("%s: resumed at %d", name, res.Stats.ResumedFrom)
		}
	}
}

func TestDigest_StreamFromItsStartResumesURL(t *testing.T) {
	data := randomBytes(1_000_000)
	srv := tustest.NewServer(t, nil)
	first := digestStopped(t, srv, attributesOnly(), tus.Bytes(data), tus.UploadOptions{})
	res, err := newClient(t, srv.Endpoint(), nil).Resume(testContext(t), first.URL, tus.Reader(bytes.NewReader(data)), digested(tus.UploadOptions{ChunkSize: 250_000}))
	wantNoError(t, err)
	wantDigest(t, srv.Handler, res, data)
}

func TestDigest_OtherOrDamagedStateIsIgnored(t *testing.T) {
	data := randomBytes(1_000_000)
	for name, change := range map[string]func(*storage.Digest){
		"other algorithm": func(d *storage.Digest) { d.Algorithm = "md5" },
		"damaged":         func(d *storage.Digest) { d.State = []byte("sha\x00") },
		"no state":        func(d *storage.Digest) { d.State = nil },
	} {
		srv, opts := tustest.NewServer(t, nil), attributesOnly()
		digestStopped(t, srv, opts, tus.Bytes(data), *digested(tus.UploadOptions{}))
		rec := records(t, opts.Store)[0]
		change(rec.Digest)
		if _, err := opts.Store.Put(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		res, err := newClient(t, srv.Endpoint(), opts).Upload(testContext(t), tus.Bytes(data), digested(tus.UploadOptions{}))
		wantNoError(t, err)
		wantDigest(t, srv.Handler, res, data)
		if res.Stats.ResumedFrom != 600_000 {
			t.Errorf("%s: resumed at %d", name, res.Stats.ResumedFrom)
		}
	}
}

func TestDigest_CompletedUploadHasIt(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(100_000)
	opts := remembering(new(storage.Memory))
	client := newClient(t, srv.Endpoint(), opts)
	for _, already := range []bool{false, true} {
		res, err := client.Upload(testContext(t), tus.Bytes(data), digested(tus.UploadOptions{}))
		wantNoError(t, err)
		wantDigest(t, srv.Handler, res, data)
		if res.AlreadyComplete != already {
			t.Errorf("already complete: %v", res.AlreadyComplete)
		}
	}
	res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Digest: "md5"})
	if err != nil || !res.AlreadyComplete || res.Digest != "" {
		t.Errorf("with another algorithm: %+v, %v", res, err)
	}
}

func TestDigest_OfFileChangedDuringUploadIsNotReported(t *testing.T) {
	data := randomBytes(300_000)
	for _, name := range []string{"overwritten in place", "replaced", "replaced by one of the same size and time", "grown", "truncated"} {
		t.Run(name, func(t *testing.T) {
			path := tempFile(t, data)
			wantNoError(t, os.Chtimes(path, time.Time{}, longAgo))
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: http.MethodPatch, Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				changes(t, path)[name]()
				h.Serve(w, r)
			}})
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.File(path), digested(tus.UploadOptions{ChunkSize: 100_000}))
			wantError(t, err, tus.ErrSourceChanged)
			if res.Digest != "" {
				t.Errorf("digest is %q", res.Digest)
			}
		})
	}
}

func TestDigest_OfFileChangedAfterItsLastByteIsNotReported(t *testing.T) {
	path := tempFile(t, randomBytes(300_000))
	wantNoError(t, os.Chtimes(path, time.Time{}, longAgo))
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: http.MethodPatch, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Serve(w, r)
		changes(t, path)["overwritten in place"]()
	}})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.File(path), digested(*whole()))
	wantError(t, err, tus.ErrSourceChanged)
	if res.Digest != "" {
		t.Errorf("digest is %q", res.Digest)
	}
}

func wantNoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

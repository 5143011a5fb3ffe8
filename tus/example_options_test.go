package tus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// exampleServer starts a server and returns it with a client.
func exampleServer(opts *tus.Options) (h *tustest.Handler, client *tus.Client, stop func()) {
	h = tustest.NewHandler(nil)
	srv := httptest.NewServer(h)
	client, err := tus.NewClient(srv.URL+"/files/", opts)
	if err != nil {
		panic(err)
	}
	return h, client, func() {
		client.CloseIdleConnections()
		srv.Close()
	}
}

// Set changes the limit while uploads run.
func ExampleRateLimit() {
	limit := tus.NewRateLimit(1) // byte per second
	_, client, stop := exampleServer(&tus.Options{RateLimit: limit})
	defer stop()
	time.AfterFunc(10*time.Millisecond, func() { limit.Set(0) }) // no limit
	result, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 50_000)), nil)
	fmt.Println(result.Offset, err)
	// Output: 50000 <nil>
}

// countingLimiter is a Limiter that counts bytes and never waits. A program would use
// [tus.RateLimit].
type countingLimiter struct{ bytes int }

func (l *countingLimiter) Burst() int { return 10_000 }

func (l *countingLimiter) WaitN(ctx context.Context, n int) error {
	l.bytes += n
	return ctx.Err()
}

func ExampleOptions_rateLimit() {
	limiter := &countingLimiter{}
	_, client, stop := exampleServer(&tus.Options{RateLimit: limiter})
	defer stop()
	_, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 50_000)), nil)
	fmt.Println(limiter.bytes, err)
	// Output: 50000 <nil>
}

// OverridePatchMethod sends PATCH as POST, for networks that block PATCH.
func ExampleOptions_overridePatchMethod() {
	h, client, stop := exampleServer(&tus.Options{OverridePatchMethod: true})
	defer stop()
	_, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 1000)), &tus.UploadOptions{ChunkSize: 500})
	for _, r := range h.Requests() {
		fmt.Printf("%s %q\n", r.Method, r.Header.Get("X-HTTP-Method-Override"))
	}
	fmt.Println(err)
	// Output:
	// OPTIONS ""
	// POST ""
	// POST "PATCH"
	// POST "PATCH"
	// <nil>
}

// If a proxy refuses large requests with 413, the client halves its chunks, down to
// MinChunkSize.
func ExampleUploadOptions_minChunkSize() {
	h, client, stop := exampleServer(nil)
	defer stop()
	h.Inject(tustest.Fault{Method: "PATCH", Times: 2, Action: faults.RespondAfter(413, "too large")})
	result, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 8_000_000)), &tus.UploadOptions{
		ChunkSize: 4_000_000, MinChunkSize: 256 << 10,
	})
	fmt.Println(result.Offset, err)
	// Output: 8000000 <nil>
}

// DeferLength sends the length of the upload with the last chunk.
func ExampleUploadOptions_deferLength() {
	h, client, stop := exampleServer(nil)
	defer stop()
	_, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 1000)), &tus.UploadOptions{ChunkSize: 500, DeferLength: true})
	for _, r := range h.Requests() {
		fmt.Printf("%s deferred=%q length=%q\n", r.Method, r.Header.Get("Upload-Defer-Length"), r.Header.Get("Upload-Length"))
	}
	fmt.Println(err)
	// Output:
	// OPTIONS deferred="" length=""
	// POST deferred="1" length=""
	// PATCH deferred="" length=""
	// PATCH deferred="" length="1000"
	// <nil>
}

// With different resume keys, one source has two independent uploads. Different
// metadata has the same effect.
func ExampleUploadOptions_resumeKey() {
	_, client, stop := exampleServer(&tus.Options{Store: &storage.Memory{}})
	defer stop()
	source := tus.Bytes(make([]byte, 1000))
	upload := func(object string, stopAt int64) {
		result, err := client.Upload(context.Background(), source, &tus.UploadOptions{ChunkSize: 100, ResumeKey: object, StopAt: stopAt})
		fmt.Println(object, "from", result.Stats.ResumedFrom, err)
	}
	upload("a", 300)
	upload("b", 0)
	upload("a", 0)
	// Output:
	// a from 0 upload paused
	// b from 0 <nil>
	// a from 300 <nil>
}

// ResumeScope replaces the endpoint in the resume key, for a service that creates a new
// endpoint for each session.
func ExampleOptions_resumeScope() {
	srv := httptest.NewServer(tustest.NewHandler(nil))
	defer srv.Close()
	store := &storage.Memory{}
	session := func(token string, stopAt int64) {
		client, err := tus.NewClient(srv.URL+"/files/?session="+token, &tus.Options{Store: store, ResumeScope: "the service"})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer client.CloseIdleConnections()
		result, _ := client.Upload(context.Background(), tus.Bytes(make([]byte, 1000)), &tus.UploadOptions{ChunkSize: 100, StopAt: stopAt})
		fmt.Println("from", result.Stats.ResumedFrom, "to", result.Offset)
	}
	session("monday", 300)
	session("tuesday", 0)
	// Output:
	// from 0 to 300
	// from 300 to 1000
}

// fullStore is a store without space for records.
type fullStore struct{ storage.Memory }

func (*fullStore) Put(context.Context, storage.Record) (storage.Record, error) {
	return storage.Record{}, errors.New("no space left on device")
}

// Without RequireStore, an upload continues if its record cannot be stored.
func ExampleOptions_requireStore() {
	for _, require := range []bool{false, true} {
		_, client, stop := exampleServer(&tus.Options{
			Store: &fullStore{}, RequireStore: require,
			Hooks: tus.Hooks{OnStoreError: func(_ *tus.Uploader, err error) { fmt.Println(err) }},
		})
		_, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 1000)), &tus.UploadOptions{ChunkSize: 500})
		fmt.Println(errors.Is(err, tus.ErrStore))
		stop()
	}
	// Output:
	// tus: store of upload URLs failed: put: no space left on device
	// false
	// tus: store of upload URLs failed: put: no space left on device
	// true
}

// A Fingerprinter may use anything that identifies a source, here a fixed name. The
// size is compared as well: the upload of a source that grew starts over.
func ExampleOptions_fingerprinter() {
	byName := fingerprint.Func(func(context.Context, io.ReaderAt, fingerprint.Info) (string, error) {
		return "backup-of-today", nil
	})
	_, client, stop := exampleServer(&tus.Options{Store: &storage.Memory{}, Fingerprinter: byName})
	defer stop()
	ctx := context.Background()
	short, long := tus.Bytes(make([]byte, 1000)), tus.Bytes(make([]byte, 2000))
	_, err := client.Upload(ctx, short, &tus.UploadOptions{ChunkSize: 100, StopAt: 300})
	fmt.Println(err)
	result, err := client.Upload(ctx, long, &tus.UploadOptions{ChunkSize: 100})
	fmt.Println(result.Stats.ResumedFrom, result.Stats.NotResumed, err)
	// Output:
	// upload paused
	// 0 1 <nil>
}

// A negative CreationLimit sends no data with the creation, for servers that advertise
// creation-with-upload and do not store the bytes.
func ExampleUploadOptions_creationLimit() {
	h, client, stop := exampleServer(&tus.Options{Capabilities: &tus.Capabilities{}})
	defer stop()
	_, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 1000)), &tus.UploadOptions{CreationLimit: -1})
	for _, r := range h.Requests() {
		fmt.Println(r.Method, r.Body)
	}
	fmt.Println(err)
	// Output:
	// POST 0
	// PATCH 1000
	// <nil>
}

// FirstChunkInCreation saves a request for each source that exceeds CreationLimit.
func ExampleUploadOptions_firstChunkInCreation() {
	h, client, stop := exampleServer(&tus.Options{Capabilities: &tus.Capabilities{Extensions: []string{"creation", "creation-with-upload"}}})
	defer stop()
	opts := &tus.UploadOptions{ChunkSize: 400, FirstChunkInCreation: true}
	_, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 1000)), opts)
	for _, r := range h.Requests() {
		fmt.Println(r.Method, r.Body)
	}
	fmt.Println(err)
	// Output:
	// POST 400
	// PATCH 400
	// PATCH 200
	// <nil>
}

func ExampleUploadOptions_checksum() {
	h := tustest.NewHandler(nil)
	srv := httptest.NewServer(h)
	defer srv.Close()
	client, err := tus.NewClient(srv.URL+"/files/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	res, err := client.Upload(context.Background(), tus.Bytes([]byte("hello")), &tus.UploadOptions{Checksum: "sha1"})
	fmt.Println(res.Checksum, err)
	_, err = client.Upload(context.Background(), tus.Bytes([]byte("hello")), &tus.UploadOptions{Checksum: "xxh3"})
	fmt.Println(errors.Is(err, tus.ErrInvalidInput))
	// Output:
	// sha1 <nil>
	// true
}

// With a Logger, an upload logs to the logs and traces of a program.
func ExampleOptions_logger() {
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "url" || a.Key == "elapsed" {
				return slog.Attr{} // not reproducible
			}
			return a
		},
	})
	_, client, stop := exampleServer(&tus.Options{Logger: slog.New(handler)})
	defer stop()
	_, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 1000)), &tus.UploadOptions{ChunkSize: 500})
	fmt.Println(err)
	// Output:
	// level=INFO msg="tus upload created" name=""
	// level=INFO msg="tus state" name="" from=finishing to=complete offset=1000 resumed_from=0 sent=1000 requests=4 retries=0
	// <nil>
}

package contract_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

var (
	errSource = errors.New("source failed")
	errHook   = errors.New("hook failed")
)

// fixture is what the calls of a scenario share.
type fixture struct {
	server   *scriptedServer
	records  storage.Memory
	recorder recorder
	uploader *tus.Uploader
}

// run returns what is not as the scenario says.
func run(t *testing.T, s scenario) (problems []string) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{server: startServer()}
		defer f.server.close()
		for i, call := range append([]scenario{s}, s.then...) {
			for _, problem := range f.run(call) {
				if i > 0 {
					problem = fmt.Sprintf("call %d: %s", i+1, problem)
				}
				problems = append(problems, problem)
			}
			if len(problems) > 0 {
				break
			}
		}
	})
	return problems
}

// run makes one call and returns what is not as the scenario says.
func (f *fixture) run(s scenario) []string {
	script, err := parse(s.exchanges)
	if err != nil {
		return []string{err.Error()}
	}
	time.Sleep(s.after)
	ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
	defer cancel()
	f.server.prepare(s, script, cancel, f.recorder.trigger)

	transport := tus.NewTransport()
	transport.Proxy, transport.DialContext = nil, f.server.dial
	defer transport.CloseIdleConnections()
	client, err := f.client(s, transport)
	if err != nil {
		return []string{err.Error()}
	}
	start := time.Now()
	got := f.call(ctx, cancel, client, s)
	got.waited = time.Since(start).Truncate(time.Second)
	problems := f.server.finish()
	if len(problems) > 0 {
		return problems // the outcome is a consequence
	}
	return append(f.recorder.problems, f.compare(s, got)...)
}

// result is the outcome of a call.
type result struct {
	err    error
	url    string
	upload *tus.Result // nil if the call is no upload
	info   tus.Info
	listed []string
	offers string
	waited time.Duration
}

func (f *fixture) call(ctx context.Context, cancel func(), client *tus.Client, s scenario) (r result) {
	opts := s.uploadOptions()
	f.recorder.reset(s.call != again)
	switch s.call {
	case offers:
		c, err := client.Capabilities(ctx)
		r.offers, r.err = fmt.Sprint(c.Extensions, c.ChecksumAlgorithms, c.MaxSize), err
	case create:
		created, err := client.Create(ctx, tus.CreateOptions{Size: int64(len(s.source.data())), Metadata: s.metadata})
		r.err = err
		if err == nil {
			r.url = created.URL
		}
	case info:
		r.info, r.err = client.Info(ctx, absolute(s.url))
	case terminate:
		r.err = client.Terminate(ctx, absolute(s.url))
	case concatenate:
		var parts []string
		for _, u := range s.partURLs {
			parts = append(parts, absolute(u))
		}
		created, err := client.Concatenate(ctx, parts, s.metadata)
		r.err = err
		if err == nil {
			r.url = created.URL
		}
	case list:
		previous, err := client.PreviousUploads(ctx, s.source.open(), opts)
		r.err = err
		for _, p := range previous {
			r.listed = append(r.listed, relative(p.URL))
		}
	case again:
		f.drive(ctx, cancel, s, &r)
	case resume:
		f.uploader, r.err = client.NewResumer(absolute(s.url), s.source.open(), opts)
		f.drive(ctx, cancel, s, &r)
	default:
		f.uploader, r.err = client.NewUploader(s.source.open(), opts)
		f.drive(ctx, cancel, s, &r)
	}
	return r
}

// drive runs the Uploader, and stops it at the event of the scenario.
func (f *fixture) drive(ctx context.Context, cancel func(), s scenario, r *result) {
	if r.err != nil {
		return // the options are invalid
	}
	u, aborted := f.uploader, make(chan error, 1)
	how, event, _ := strings.Cut(s.stop, " at ")
	f.recorder.stopAt(event, map[string]func(){
		"": nil, "pause": u.Pause, "cancel": cancel,
		"abort": func() { go func() { aborted <- u.Abort(ctx) }() },
	}[how])
	r.upload, r.err = u.Run(ctx)
	if f.recorder.waits() {
		r.err = fmt.Errorf("the event %q did not occur before the end: %v", event, r.err)
		return
	}
	if how == "abort" {
		if r.err = <-aborted; r.err == nil {
			_, r.err = u.Run(ctx)
		}
	}
	r.url = r.upload.URL
}

func (f *fixture) client(s scenario, transport http.RoundTripper) (*tus.Client, error) {
	header := http.Header{}
	for name, value := range s.header {
		header.Set(name, value)
	}
	opts := &tus.Options{
		HTTPClient: &http.Client{Transport: transport}, Header: header, Retry: s.retryPolicy(),
		OverridePatchMethod: s.override, RequestIDHeader: s.requestID, RememberCompleted: s.remember,
		Hooks: f.recorder.hooks(s.options),
	}
	if s.trusted != "" {
		opts.TrustedOrigins = []string{s.trusted}
	}
	if s.store {
		opts.Store = &f.records
	}
	if s.fingerprint != "" {
		opts.Fingerprinter = fingerprint.Func(func(context.Context, io.ReaderAt, fingerprint.Info) (string, error) {
			return s.fingerprint, nil
		})
	}
	return tus.NewClient(absolute(cmp.Or(s.endpoint, "/files/")), opts)
}

func (o options) uploadOptions() *tus.UploadOptions {
	return &tus.UploadOptions{
		ChunkSize: o.chunk, MinChunkSize: o.minChunk, FirstChunkInCreation: o.firstChunk, DeferLength: o.deferLength,
		Metadata: o.metadata, Checksum: o.checksum, ResumeKey: o.resumeKey, Parallel: o.parallel,
		ParallelOptions: tus.ParallelOptions{
			Required: o.partsRequired, PartBoundaries: o.boundaries, PartMetadata: o.partMetadata, TerminateParts: o.deleteParts,
		},
	}
}

func (o options) retryPolicy() tus.RetryPolicy {
	delays := o.delays
	if delays == nil {
		delays = zero(3)
	}
	policy := tus.RetryPolicy{
		MaxRetries: cmp.Or(len(delays), -1),
		Delay:      func(attempt int) time.Duration { return delays[min(attempt, len(delays))-1] },
	}
	if o.retryOnly != 0 {
		policy.ShouldRetry = func(err error, _ int) bool {
			var e *tus.Error
			return errors.As(err, &e) && e.StatusCode == o.retryOnly
		}
	}
	return policy
}

// data returns the bytes of the source.
func (s source) data() []byte {
	if s.empty {
		return nil
	}
	return []byte(cmp.Or(s.text, "hello world"))
}

// open returns the source as the library takes it.
func (s source) open() tus.Source {
	data := s.data()
	var r io.Reader = bytes.NewBuffer(data)
	if s.fails > 0 {
		r = io.MultiReader(bytes.NewReader(data[:s.fails]), failingReader{})
	}
	if s.ends > 0 {
		r = bytes.NewBuffer(data[:s.ends])
	}
	switch s.kind {
	case "stream":
		return tus.Reader(r)
	case "sized":
		return tus.ReaderN(r, int64(len(data)))
	}
	return tus.WithInfo(tus.Bytes(data), tus.SourceInfo{Name: s.name})
}

// failingReader fails with errSource.
type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errSource }

// stored returns the URLs in the store, those of parts for an upload without its own.
func (f *fixture) stored() string {
	var all []string
	for rec, err := range f.records.All(context.Background()) {
		if err != nil {
			return err.Error()
		}
		if rec.UploadURL != "" || rec.Parts == nil {
			all = append(all, relative(rec.UploadURL))
		}
		for _, part := range rec.Parts {
			all = append(all, relative(part.UploadURL))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

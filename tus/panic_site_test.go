package tus_test

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// callerCode are the functions of the caller that an upload calls. Hooks are those of the
// client or, with "own", of the upload.
var callerCode = []string{
	"BeforeRequest", "AfterResponse", "OnCreated", "OnStateChange", "OnProgress", "OnRetry", "OnStoreError",
	"own BeforeRequest", "own AfterResponse", "own OnCreated", "own OnStateChange", "own OnProgress", "own OnRetry", "own OnStoreError",
	"Stat", "Open", "Read", "Close", "Fingerprint", "New", "Write", "Sum",
	"Find", "Put", "Delete", "WaitN", "Burst", "Delay", "ShouldRetry",
	"jobs",
}

// bomb calls explode in one function of the caller, at its nth call and, if lasting is
// set, at later calls.
type bomb struct {
	explode func()
	open    atomic.Int32 // readers of sources

	mu       sync.Mutex
	in       string
	n        int
	lasting  bool
	exploded bool
}

func (b *bomb) call(name string) {
	b.mu.Lock()
	hit := false
	if name == b.in {
		b.n--
		hit = b.n == 0 || b.n < 0 && b.lasting
		b.exploded = b.exploded || hit
	}
	b.mu.Unlock()
	if hit {
		b.explode()
	}
}

// defuse stops the bomb and reports whether it exploded.
func (b *bomb) defuse() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.in = ""
	return b.exploded
}

func (b *bomb) hooks(whose string) tus.Hooks {
	return tus.Hooks{
		BeforeRequest: func(*http.Request) error { b.call(whose + "BeforeRequest"); return nil },
		AfterResponse: func(*http.Request, *tus.Response) { b.call(whose + "AfterResponse") },
		OnCreated:     func(*tus.Uploader, *tus.Created) { b.call(whose + "OnCreated") },
		OnStateChange: func(*tus.Uploader, tus.State, tus.State, error) { b.call(whose + "OnStateChange") },
		OnProgress:    func(*tus.Uploader, tus.Progress) { b.call(whose + "OnProgress") },
		OnRetry:       func(*tus.Uploader, tus.Retry) { b.call(whose + "OnRetry") },
		OnStoreError:  func(*tus.Uploader, error) { b.call(whose + "OnStoreError") },
	}
}

func (b *bomb) retry() tus.RetryPolicy {
	return tus.RetryPolicy{
		MaxRetries:  1000, // a cut request may still hold its lock
		Delay:       func(int) time.Duration { b.call("Delay"); return time.Millisecond },
		ShouldRetry: func(err error, _ int) bool { b.call("ShouldRetry"); return tus.IsRetryable(err) },
	}
}

type bombLimiter struct{ *bomb }

func (b bombLimiter) WaitN(context.Context, int) error { b.call("WaitN"); return nil }
func (b bombLimiter) Burst() int                       { b.call("Burst"); return 1 << 20 }

// bombStore returns its records and an error from Find.
type bombStore struct {
	*bomb
	storage.Store
}

func (s bombStore) Find(ctx context.Context, key string) ([]storage.Record, error) {
	s.call("Find")
	found, _ := s.Store.Find(ctx, key)
	return found, errors.New("disk is slow")
}

func (s bombStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	s.call("Put")
	return s.Store.Put(ctx, rec)
}

func (s bombStore) Delete(ctx context.Context, id string, revision int64) error {
	s.call("Delete")
	return s.Store.Delete(ctx, id, revision)
}

type bombHash struct {
	*bomb
	hash.Hash
}

func (h bombHash) Write(p []byte) (int, error) { h.call("Write"); return h.Hash.Write(p) }
func (h bombHash) Sum(p []byte) []byte         { h.call("Sum"); return h.Hash.Sum(p) }

func (b *bomb) checksums() []checksum.Algorithm {
	return []checksum.Algorithm{{Name: "crc32", New: func() hash.Hash { b.call("New"); return bombHash{b, crc32.NewIEEE()} }}}
}

type bombSource struct {
	*bomb
	tus.Source
	change func(*tus.SourceInfo)
}

func (s bombSource) Stat(ctx context.Context) (tus.SourceInfo, error) {
	s.call("Stat")
	info, err := s.Source.Stat(ctx)
	if s.change != nil {
		s.change(&info)
	}
	return info, err
}

func (s bombSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	s.call("Open")
	r, err := s.Source.Open(ctx, offset)
	if _, ok := r.(*os.File); ok || err != nil {
		return r, err
	}
	s.open.Add(1)
	return bombReader{s.bomb, r}, nil
}

type bombReader struct {
	*bomb
	io.ReadCloser
}

func (r bombReader) Read(p []byte) (int, error) {
	r.call("Read")
	return r.ReadCloser.Read(p)
}

func (r bombReader) Close() error {
	r.open.Add(-1)
	r.call("Close")
	return r.ReadCloser.Close()
}

// site is an upload with a bomb somewhere in it.
type site struct {
	*bomb
	srv    *tustest.Server
	store  *storage.Memory
	client *tus.Client
	data   []byte
	source tus.Source
	url    string // of an upload that exists; empty for a new one
	opts   tus.UploadOptions
	made   chan *tus.Uploader
	ended  bool // made is closed
}

// siteKinds are the ways to upload. The first responses to the method unavailable are
// 503.
var siteKinds = map[string]struct {
	unavailable string
	extensions  []string
	prepare     func(t *testing.T, s *site)
	drive       func(t *testing.T, s *site) error
}{
	"whole":                {unavailable: "PATCH"},
	"with the creation":    {unavailable: "POST", prepare: func(_ *testing.T, s *site) { s.opts.CreationLimit = 0 }},
	"file":                 {unavailable: "PATCH", prepare: asFile},
	"chunks":               {unavailable: "PATCH", prepare: inChunksOf1000},
	"chunks in steps":      {unavailable: "PATCH", prepare: inChunksOf1000, drive: driveInSteps},
	"parallel":             {unavailable: "PATCH", prepare: inTwoParts},
	"stream":               {unavailable: "PATCH", prepare: asStream},
	"checksum":             {unavailable: "PATCH", prepare: checkedInChunks, extensions: tustest.Without("checksum-trailer")},
	"checksum, one reader": {unavailable: "PATCH", prepare: checkedSequentially, extensions: tustest.Without("checksum-trailer")},
	"checksum trailer":     {unavailable: "PATCH", prepare: checkedInChunks},
	"stored upload":        {unavailable: "PATCH", prepare: storedUpload},
	"upload URL":           {unavailable: "PATCH", prepare: externalURL},
	"batch":                {unavailable: "PATCH", drive: driveBatch},
}

func inChunksOf1000(_ *testing.T, s *site) { s.opts.ChunkSize = 1000 }

func inTwoParts(_ *testing.T, s *site) {
	s.opts.Parallel, s.opts.ParallelOptions.PartBoundaries = 2, []int64{1700}
}

func asStream(_ *testing.T, s *site) {
	s.opts.ChunkSize = 1000
	s.source = bombSource{bomb: s.bomb, Source: tus.Bytes(s.data), change: func(info *tus.SourceInfo) {
		*info = tus.SourceInfo{SizeUnknown: true, Sequential: true}
	}}
}

func checkedInChunks(t *testing.T, s *site) {
	s.opts.ChunkSize, s.opts.Checksum = 1000, "crc32"
}

func checkedSequentially(t *testing.T, s *site) {
	checkedInChunks(t, s)
	s.source = bombSource{bomb: s.bomb, Source: tus.Bytes(s.data), change: func(info *tus.SourceInfo) { info.Sequential = true }}
}

func storedUpload(t *testing.T, s *site) {
	stoppedAt(t, s.srv.Endpoint(), s.store, tus.Bytes(s.data), 1000)
}

func externalURL(t *testing.T, s *site) {
	made, err := newClient(t, s.srv.Endpoint(), nil).Create(testContext(t), tus.CreateOptions{Size: int64(len(s.data)), Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	s.url = made.URL
}

// asFile makes the kernel send the source.
func asFile(t *testing.T, s *site) {
	s.data = randomBytes(200_000)
	path := tempFile(t, s.data)
	s.source = bombSource{bomb: s.bomb, Source: tus.File(path)}
}

func (s *site) uploader(t *testing.T) *tus.Uploader {
	u, err := prepare(s.client, s.url, s.source, &s.opts)
	if err != nil {
		t.Error(err)
		runtime.Goexit()
	}
	s.made <- u
	return u
}

func driveToTheEnd(t *testing.T, s *site) error {
	_, err := s.uploader(t).Run(testContext(t))
	return err
}

func driveInSteps(t *testing.T, s *site) error {
	ctx := testContext(t)
	u := s.uploader(t)
	for ctx.Err() == nil && !u.State().Final() {
		if err := u.Step(ctx); err != nil && !tus.IsRetryable(err) {
			return err
		}
	}
	return ctx.Err()
}

func driveBatch(t *testing.T, s *site) (err error) {
	jobs := func(yield func(tus.Job) bool) {
		for i := range 3 {
			s.call("jobs")
			opts := s.opts
			opts.ResumeKey = fmt.Sprint("job ", i)
			if !yield(tus.Job{Source: s.source, Options: &opts}) {
				return
			}
		}
	}
	for _, failure := range s.client.UploadAll(testContext(t), jobs, 2) {
		err = errors.Join(err, failure)
	}
	return err
}

func newSite(t *testing.T, kind string, b *bomb) *site {
	k := siteKinds[kind]
	s := &site{
		bomb: b, srv: tustest.NewServer(t, &tustest.Options{Extensions: k.extensions}),
		store: &storage.Memory{}, data: randomBytes(3000), opts: *whole(), made: make(chan *tus.Uploader, 3),
	}
	s.source, s.opts.Hooks = bombSource{bomb: b, Source: tus.Bytes(s.data)}, b.hooks("own ")
	s.opts.Checksum = "off"
	hooks := b.hooks("")
	if explode := hooks.OnStateChange; kind == "batch" {
		var jobs sync.Map
		hooks.OnStateChange = func(u *tus.Uploader, from, to tus.State, err error) {
			if _, again := jobs.LoadOrStore(u, true); !again && !s.ended {
				s.made <- u
			}
			explode(u, from, to, err)
		}
	}
	in := b.in
	b.in = "" // NewClient calls Burst
	s.client = newClient(t, s.srv.Endpoint(), &tus.Options{
		Hooks: hooks, Retry: b.retry(), RateLimit: bombLimiter{b}, Store: bombStore{b, s.store},
		Checksums: b.checksums(), StallTimeout: -1, MaxConnections: 2,
		Fingerprinter: fingerprint.Func(func(ctx context.Context, r io.ReaderAt, info fingerprint.Info) (string, error) {
			b.call("Fingerprint")
			return fingerprint.Sample{}.Fingerprint(ctx, r, info)
		}),
	})
	if k.prepare != nil {
		k.prepare(t, s)
	}
	b.in = in
	s.srv.Inject(tustest.Fault{Method: k.unavailable, Times: 3, Action: faults.RespondAfter(503, "")})
	return s
}

// ending is the way in which a function ended.
type ending struct {
	err    error
	panics any
	exited bool // by runtime.Goexit
}

func endingOf(f func() error) (e ending) {
	done := make(chan struct{})
	e.exited = true
	go func() {
		defer close(done)
		defer func() {
			e.panics = recover()
			e.exited = e.exited && e.panics == nil
		}()
		e.err = f()
		e.exited = false
	}()
	<-done
	return e
}

func (s *site) blow(t *testing.T, kind string) ending {
	drive := siteKinds[kind].drive
	if drive == nil {
		drive = driveToTheEnd
	}
	e := endingOf(func() error { return drive(t, s) })
	s.ended = true
	close(s.made)
	return e
}

// wantUsable fails unless the upload can be resumed after an explosion, and the client can
// make new ones.
func (s *site) wantUsable(t *testing.T, kind, in string) {
	t.Helper()
	store := slices.Contains([]string{"Find", "Put", "Delete"}, in)
	for _, rec := range records(t, s.store) {
		if rec.Lease != nil && !store && kind != "batch" {
			t.Errorf("record is still leased until %v", rec.Lease.Until)
		}
	}
	for u := range s.made {
		_, err := u.Run(testContext(t))
		switch {
		case err == nil:
			wantStored(t, s.srv.Handler, u.URL(), s.data)
		case u.State() != tus.StateFailed || !strings.Contains(kind, "stream") && !strings.Contains(kind, "checksum"):
			t.Errorf("Run after it: %v", err)
		}
	}
	if n := s.open.Load(); n != 0 {
		t.Errorf("%d readers are open", n)
	}
	opts := s.opts
	opts.ResumeKey = "another"
	for range 3 { // more than the connection limit
		res, err := s.client.Upload(testContext(t), tus.Bytes(s.data), &opts)
		if err != nil {
			t.Fatalf("another upload: %v", err)
		}
		wantStored(t, s.srv.Handler, res.URL, s.data)
	}
}

// Package crash uploads in a child process that can be killed at a known offset,
// as kill -9 or a power failure ends a real uploader.
package crash

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/tus"
)

const uploadRole = "upload"

// Role returns the uploading process, for [child.Main].
func Role() child.Role { return child.Role{Name: uploadRole, Run: run} }

// Config configures the upload of the process.
type Config struct {
	// Endpoint is the upload creation URL.
	Endpoint string
	// File is the path of the source.
	File string
	// URL, if not empty, is the upload to resume.
	URL string
	// ChunkSize and StopAt are those of [tus.UploadOptions], in bytes.
	ChunkSize, StopAt int64
	// HoldAt, if positive, blocks the process forever before it sends more than
	// this many bytes. See [Uploader.Held].
	HoldAt int64
	// KernelOnly makes the kernel kill the process with SIGSYS if it sends bytes
	// of the source from its memory. Linux only.
	KernelOnly bool
	// NoKernel hides the file from the client, so that it copies the bytes.
	NoKernel bool
}

// Result is the result of an upload whose process was not killed.
type Result struct {
	URL          string
	Size, Offset int64
	Stats        tus.Stats
	// Error is the text of the error, empty if there was none.
	Error string
}

// event is one line from the child.
type event struct {
	URL    string  `json:",omitempty"`
	Held   bool    `json:",omitempty"`
	Result *Result `json:",omitempty"`
}

// Uploader is an uploading process.
type Uploader struct {
	*child.Process

	mu     sync.Mutex
	url    string
	result *Result
	held   chan struct{}
}

// Start starts an uploading process. It is killed at the end of the test.
func Start(t testing.TB, config Config) *Uploader {
	t.Helper()
	u := &Uploader{held: make(chan struct{})}
	p, err := child.Start(t, uploadRole, config, u.note)
	if err != nil {
		t.Fatal(err)
	}
	u.Process = p
	return u
}

func (u *Uploader) note(line json.RawMessage) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case e.URL != "":
		u.url = e.URL
	case e.Result != nil:
		u.result = e.Result
	case e.Held:
		close(u.held)
	}
}

// URL returns the last upload that the process created, "" if there is none.
func (u *Uploader) URL() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.url
}

// Held returns nil when the process has sent Config.HoldAt bytes and is blocked. It
// returns an error if the process exits before.
func (u *Uploader) Held(ctx context.Context) error {
	select {
	case <-u.held:
		return nil
	case <-u.Done():
		return errors.Join(errors.New("crash: the process exited before it was held"), u.Wait(ctx))
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Result waits for the process to exit and returns its result.
func (u *Uploader) Result(ctx context.Context) (Result, error) {
	if err := u.Wait(ctx); err != nil {
		return Result{}, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.result == nil {
		return Result{}, errors.New("crash: the process exited without a result")
	}
	return *u.result, nil
}

// run is the child process.
func run(ctx context.Context, encoded []byte, emit func(any)) error {
	var c Config
	if err := json.Unmarshal(encoded, &c); err != nil {
		return err
	}
	if c.KernelOnly {
		if err := forbidLargeWrites(); err != nil {
			return err
		}
	}
	options := &tus.Options{
		Hooks: tus.Hooks{OnCreated: func(_ *tus.Uploader, c *tus.Created) { emit(event{URL: c.URL}) }},
	}
	if c.HoldAt > 0 {
		options.RateLimit = &brake{at: c.HoldAt, hold: func() { emit(event{Held: true}) }}
	}
	client, err := tus.NewClient(c.Endpoint, options)
	if err != nil {
		return err
	}
	source := tus.File(c.File)
	if c.NoKernel {
		source = copied{source}
	}
	opts := &tus.UploadOptions{ChunkSize: c.ChunkSize, StopAt: c.StopAt}
	var result *tus.Result
	if c.URL != "" {
		result, err = client.Resume(ctx, c.URL, source, opts)
	} else {
		result, err = client.Upload(ctx, source, opts)
	}
	r := Result{URL: result.URL, Size: result.Size, Offset: result.Offset, Stats: result.Stats}
	if err != nil {
		r.Error = err.Error()
	}
	emit(event{Result: &r})
	return nil
}

// brake is a [tus.Limiter] that blocks after at bytes.
type brake struct {
	at     int64
	hold   func()
	passed atomic.Int64
	once   sync.Once
}

func (b *brake) Burst() int { return 64 << 10 }

func (b *brake) WaitN(ctx context.Context, n int) error {
	if b.passed.Add(int64(n))-int64(n) < b.at {
		return nil
	}
	b.once.Do(b.hold)
	<-ctx.Done()
	return ctx.Err()
}

package tus_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// stuckSource hangs in the nth call of one method until release is closed. It ignores
// its context.
type stuckSource struct {
	tus.Source
	change  func(*tus.SourceInfo)
	method  string
	nth     int64
	calls   atomic.Int64
	hung    chan struct{}
	release chan struct{}
}

func (s *stuckSource) call(method string) {
	if method == s.method && s.calls.Add(1) == s.nth {
		close(s.hung)
		<-s.release
	}
}

func (s *stuckSource) Stat(ctx context.Context) (tus.SourceInfo, error) {
	s.call("Stat")
	info, err := s.Source.Stat(ctx)
	s.change(&info)
	return info, err
}

func (s *stuckSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	s.call("Open")
	r, err := s.Source.Open(ctx, offset)
	return stuckReader{r, s}, err
}

type stuckReader struct {
	io.ReadCloser
	source *stuckSource
}

func (r stuckReader) Read(p []byte) (int, error) {
	r.source.call("Read")
	return r.ReadCloser.Read(p)
}

func (r stuckReader) Close() error {
	r.source.call("Close")
	return r.ReadCloser.Close()
}

// The end of the context ends the upload, wherever its source hangs.
func TestUpload_HangingSourceDoesNotOutliveTheContext(t *testing.T) {
	type way struct {
		opts   tus.UploadOptions
		sums   []checksum.Algorithm
		change func(*tus.SourceInfo)
	}
	same := func(*tus.SourceInfo) {}
	ways := map[string]way{
		"one request": {*whole(), nil, same},
		"chunks":      {tus.UploadOptions{ChunkSize: 1000}, nil, same},
		"checksums":   {tus.UploadOptions{ChunkSize: 1000}, checksum.Builtin(), same},
		"sequential":  {tus.UploadOptions{ChunkSize: 1000}, checksum.Builtin(), func(i *tus.SourceInfo) { i.Sequential = true }},
		"parallel":    {tus.UploadOptions{ChunkSize: 1000, Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1500}}}, nil, same},
		"stream":      {tus.UploadOptions{ChunkSize: 1000}, nil, func(i *tus.SourceInfo) { i.SizeUnknown = true }},
	}
	data := randomBytes(3000)
	for name, way := range ways {
		for _, method := range []string{"Stat", "Open", "Read", "Close"} {
			t.Run(name+"/"+method, func(t *testing.T) {
				nth := int64(1)
				for done := false; !done; nth++ {
					extensions := tustest.Without("checksum-trailer", "concatenation-unfinished")
					bubbleWith(t, &tustest.Options{Extensions: extensions}, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
						source := &stuckSource{
							Source: tus.Bytes(data), change: way.change, method: method, nth: nth,
							hung: make(chan struct{}), release: make(chan struct{}),
						}
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						client := newClient(&tus.Options{Checksums: way.sums, Store: &storage.Memory{}})
						returned := make(chan error, 1)
						go func() {
							_, err := client.Upload(ctx, source, &way.opts)
							returned <- err
						}()
						var err error
						select {
						case err = <-returned:
							done = true
						case <-source.hung:
							cancel()
							begin := time.Now()
							err = <-returned
							if took := time.Since(begin); took > 100*time.Millisecond {
								t.Errorf("call %d: it took %v", nth, took)
							}
						}
						close(source.release)
						if err != nil && !errors.Is(err, context.Canceled) {
							t.Errorf("call %d: %v", nth, err)
						}
					})
					if t.Failed() || nth > 100 {
						break
					}
				}
				if nth == 2 && !(name == "stream" && method == "Close") {
					t.Errorf("%s was never called", method)
				}
			})
		}
	}
}

func TestSource_BlockedReadDoesNotDelayEnd(t *testing.T) {
	data := randomBytes(3000)
	for name, closes := range map[string]bool{"Close ends the Read": true, "Close does not": false} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			release, reading := make(chan struct{}), make(chan struct{})
			wake := sync.OnceFunc(func() { close(release) })
			defer wake()
			begun := sync.OnceFunc(func() { close(reading) })
			source := blockingSource{Source: tus.Bytes(data), read: func() { begun(); <-release }}
			if closes {
				source.close = wake
			}
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := newClient(t, srv.Endpoint(), nil).Upload(ctx, source, whole())
				done <- err
			}()
			<-reading
			cancel()
			wantError(t, <-done, context.Canceled)
		})
	}
}

// blockingSource is a source whose readers call read before each Read, and close in Close.
type blockingSource struct {
	tus.Source
	read, close func()
}

func (s blockingSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	r, err := s.Source.Open(ctx, offset)
	return blockingReader{r, s}, err
}

type blockingReader struct {
	io.ReadCloser
	source blockingSource
}

func (r blockingReader) Read(p []byte) (int, error) {
	r.source.read()
	return r.ReadCloser.Read(p)
}

func (r blockingReader) Close() error {
	if r.source.close != nil {
		r.source.close()
	}
	return r.ReadCloser.Close()
}

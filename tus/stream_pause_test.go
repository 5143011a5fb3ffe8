package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestUploadToAGivenURLMayBePausedBeforeItBegins(t *testing.T) {
	data := randomBytes(2500)
	ended, end := context.WithCancel(context.Background())
	end()
	stops := map[string]func(u *tus.Uploader){
		"paused":   func(u *tus.Uploader) { u.Pause() },
		"canceled": func(u *tus.Uploader) { u.Run(ended) },
		"both":     func(u *tus.Uploader) { u.Run(ended); u.Pause(); u.Step(ended) },
	}
	for name, stop := range stops {
		for _, deferred := range []bool{true, false} {
			for _, source := range []tus.Source{tus.Bytes(data), tus.Reader(bytes.NewReader(data)), tus.ReadSeeker(bytes.NewReader(data), 2500)} {
				srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer")})
				client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()})
				made, err := client.Create(testContext(t), tus.CreateOptions{DeferLength: true})
				if err != nil {
					t.Fatal(err)
				}
				if !deferred {
					fill(t, made.URL, "2500", nil)
				}
				u, err := client.NewResumer(made.URL, source, &tus.UploadOptions{ChunkSize: 1000, Checksum: "md5"})
				if err != nil {
					t.Fatal(err)
				}
				stop(u)
				res, err := u.Run(testContext(t))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				wantStored(t, srv.Handler, made.URL, data)
				if res.Size != 2500 || res.Checksum != "md5" {
					t.Errorf("%s: result is %+v", name, res)
				}
			}
		}
	}
}

func TestStreamStopsAndGoesOn(t *testing.T) {
	data := randomBytes(3500)
	for _, at := range []int64{1, 999, 1000, 1001, 1500, 2000, 3499, 3500, 9999} {
		srv := tustest.NewServer(t, nil)
		u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Reader(bytes.NewReader(data)), &tus.UploadOptions{ChunkSize: 1000, StopAt: at})
		if err != nil {
			t.Fatal(err)
		}
		res, err := u.Run(testContext(t))
		if at < 3500 {
			wantError(t, err, tus.ErrPaused)
			if up, _ := srv.Upload(res.URL); int64(len(up.Data)) != at || res.Offset != at {
				t.Fatalf("stop at %d: server has %d bytes, result is %+v", at, len(up.Data), res)
			}
		}
		for errors.Is(err, tus.ErrPaused) {
			res, err = u.Run(testContext(t))
		}
		if err != nil {
			t.Fatalf("stop at %d: %v", at, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if res.Stats.Sent != 3500 {
			t.Errorf("stop at %d: stats are %+v", at, res.Stats)
		}
	}
}

// pipes are readers that block, with and without a way to end a Read from
// outside.
var pipes = map[string]func(t *testing.T) (io.ReadCloser, io.WriteCloser){
	"io.Pipe": func(*testing.T) (io.ReadCloser, io.WriteCloser) { return io.Pipe() },
	"net.Pipe": func(*testing.T) (io.ReadCloser, io.WriteCloser) {
		a, b := net.Pipe()
		return a, b
	},
	"os.Pipe": func(t *testing.T) (io.ReadCloser, io.WriteCloser) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return r, w
	},
}

func TestBlockedReaderDoesNotKeepACancelledStream(t *testing.T) {
	for name, pipe := range pipes {
		for _, n := range []int{0, 500, 1000, 1500, 2000, 2500} {
			t.Run(fmt.Sprint(name, " after ", n), func(t *testing.T) {
				srv, data := tustest.NewServer(t, nil), randomBytes(n)
				r, w := pipe(t)
				ctx, cancel := context.WithCancel(testContext(t))
				defer cancel()
				var writer sync.WaitGroup
				writer.Go(func() {
					w.Write(data)
					cancel() // the reader waits for more, which does not come
				})
				res, err := newClient(t, srv.Endpoint(), nil).Upload(ctx, tus.Reader(r), chunked())
				writer.Wait()
				wantError(t, err, context.Canceled)
				if up, ok := srv.Upload(res.URL); ok && (up.Complete() || !bytes.Equal(up.Data, data[:len(up.Data)])) {
					t.Errorf("server has %d bytes", len(up.Data))
				}
				if _, ok := r.(interface{ SetReadDeadline(time.Time) error }); ok {
					// Nobody reads any more, and the next reader is not hurried: it gets what
					// is left.
					writer.Go(func() {
						w.Write([]byte("more"))
						w.Close()
					})
					left, err := io.ReadAll(r)
					if err != nil || !bytes.HasSuffix(append(data, "more"...), left) || !bytes.HasSuffix(left, []byte("more")) {
						t.Errorf("next reader got %d other bytes, %v", len(left), err)
					}
					writer.Wait()
				}
				w.Close()
				r.Close()
			})
		}
	}
}

func TestStreamThatWaitsForBytesReturnsAtOnceWhenPaused(t *testing.T) {
	for name, pipe := range pipes {
		if name == "os.Pipe" { // the kernel is not part of a bubble
			continue
		}
		for _, n := range []int{0, 1, 999, 1000, 1001, 1500, 2000, 2001} {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				data := randomBytes(3500)
				r, w := pipe(t)
				u, err := newClient(nil).NewUploader(tus.Reader(r), chunked())
				if err != nil {
					t.Fatal(err)
				}
				var res *tus.Result
				ran := make(chan struct{})
				go func() { res, err = u.Run(t.Context()); close(ran) }()
				if n > 0 {
					if _, err := w.Write(data[:n]); err != nil {
						t.Error(err)
					}
				}
				for rest := data[n:]; ; rest = rest[min(len(rest), 400):] {
					synctest.Wait() // everything that is there has been read, and the next Read blocks
					begin := time.Now()
					u.Pause()
					<-ran
					wantError(t, err, tus.ErrPaused)
					if d := time.Since(begin); d > 0 {
						t.Errorf("%s: returned %v after Pause", name, d)
					}
					ran = make(chan struct{})
					go func() { res, err = u.Run(t.Context()); close(ran) }()
					if len(rest) == 0 {
						break
					}
					if _, err := w.Write(rest[:min(len(rest), 400)]); err != nil {
						t.Error(err)
					}
				}
				w.Close()
				<-ran
				if err != nil {
					t.Fatalf("%s: %d bytes: %v", name, n, err)
				}
				wantStored(t, h, res.URL, data)
				if s := res.Stats; s.Sent != 3500 || s.Resent != 0 {
					t.Errorf("%s: %d bytes: stats are %+v", name, n, s)
				}
				r.Close()
			})
		}
	}
}

// pausingReader pauses its upload at every Read, before or after the data is
// there, and hands out what it likes.
type pausingReader struct {
	data   []byte
	random *rand.Rand
	pause  func()
}

func (r *pausingReader) Read(p []byte) (int, error) {
	when := r.random.IntN(4)
	if when == 0 {
		r.pause()
	}
	n := copy(p[:min(len(p), r.random.IntN(700))], r.data)
	r.data = r.data[n:]
	if when == 1 {
		r.pause()
	}
	if len(r.data) == 0 && (n == 0 || r.random.IntN(2) == 0) {
		return n, io.EOF
	}
	return n, nil
}

func TestPausesAnywhereInAStreamLoseNothing(t *testing.T) {
	servers := map[string]*tustest.Server{
		"deferred": tustest.NewServer(t, nil),
		"buffered": tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("creation-defer-length")}),
		"trailer":  tustest.NewServer(t, nil),
		"checksum": tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer")}),
	}
	for kind, srv := range servers {
		opts := &tus.Options{Retry: untiring()}
		if kind == "trailer" || kind == "checksum" {
			opts.Checksums = checksum.Builtin()
		}
		client, pauses := newClient(t, srv.Endpoint(), opts), 0
		for seed := range uint64(60) {
			random := rand.New(rand.NewPCG(seed, 7))
			data := randomBytes(random.IntN(9000))
			reader := &pausingReader{data: data, random: random}
			u, err := client.NewUploader(tus.Reader(reader), &tus.UploadOptions{ChunkSize: 1000, BufferLimit: 10_000})
			if err != nil {
				t.Fatal(err)
			}
			reader.pause = u.Pause
			ctx := testContext(t)
			res, err := u.Run(ctx)
			for ; errors.Is(err, tus.ErrPaused); pauses++ {
				res, err = u.Run(ctx)
			}
			if err != nil {
				t.Fatalf("%s, seed %d: %v", kind, seed, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if res.Size != int64(len(data)) {
				t.Errorf("%s, seed %d: result is %+v", kind, seed, res)
			}
		}
		if pauses < 60 {
			t.Errorf("%s: only %d pauses", kind, pauses)
		}
	}
}

func TestPausesAtAnyTimeInAStreamLoseNothing(t *testing.T) {
	// From another goroutine, at whatever moment that happens to be, with faults
	// and every kind of pipe.
	for name, pipe := range pipes {
		srv := tustest.NewServer(t, nil)
		client, pauses := newClient(t, srv.Endpoint(), &tus.Options{Retry: untiring()}), 0
		for seed := range uint64(15) {
			random := rand.New(rand.NewPCG(seed, 8))
			data := randomBytes(20_000 + random.IntN(5000))
			srv.Inject(
				tustest.Fault{Method: "PATCH", Skip: random.IntN(10), Action: tustest.CutAfter(300)},
				tustest.Fault{Method: "PATCH", Skip: random.IntN(10), Action: tustest.LoseResponse()},
				tustest.Fault{Method: "HEAD", Skip: random.IntN(3), Action: tustest.CutBefore()})
			r, w := pipe(t)
			u, err := client.NewUploader(tus.Reader(r), chunked())
			if err != nil {
				t.Fatal(err)
			}
			var around sync.WaitGroup
			around.Go(func() {
				defer w.Close()
				for left := data; len(left) > 0; {
					n, err := w.Write(left[:min(len(left), 1+int(left[0])*8)])
					if err != nil {
						t.Error(err)
						return
					}
					left = left[n:]
				}
			})
			done := make(chan struct{})
			around.Go(func() {
				for i := range 200 {
					select {
					case <-done:
						return
					default:
					}
					u.Pause()
					for range 10 * i {
						runtime.Gosched()
					}
				}
			})
			ctx := testContext(t)
			res, err := u.Run(ctx)
			for ; errors.Is(err, tus.ErrPaused); pauses++ {
				res, err = u.Run(ctx)
			}
			close(done)
			if err != nil {
				r.Close()
				around.Wait()
				t.Fatalf("%s, seed %d: %v", name, seed, err)
			}
			around.Wait()
			r.Close()
			wantStored(t, srv.Handler, res.URL, data)
		}
		if pauses < 15 {
			t.Errorf("%s: only %d pauses", name, pauses)
		}
	}
}

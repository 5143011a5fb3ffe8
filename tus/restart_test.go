package tus_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// forwardSource is data that a session can read once, from the start.
type forwardSource struct {
	tus.Source
	reader io.ReadCloser
	at     int64
}

func (s *forwardSource) Stat(ctx context.Context) (tus.SourceInfo, error) {
	info, err := s.Source.Stat(ctx)
	info.Sequential = true
	return info, err
}

func (s *forwardSource) Open(ctx context.Context, offset int64) (_ io.ReadCloser, err error) {
	if offset == 0 {
		s.reader, err = s.Source.Open(ctx, 0)
		s.at = 0
	}
	if s.at != offset || err != nil {
		return nil, fmt.Errorf("%w from byte %d on", tus.ErrNotRecoverable, offset)
	}
	return continuingReader{s}, nil
}

// continuingReader continues where the previous reader stopped.
type continuingReader struct{ *forwardSource }

func (r continuingReader) Read(p []byte) (int, error) {
	n, err := r.reader.Read(p)
	r.at += int64(n)
	return n, err
}

func (continuingReader) Close() error { return nil }

// No later session can resume the upload, so the next one starts over and reports it.
func TestForwardSource_StoredUploadStartsOver(t *testing.T) {
	data := randomBytes(10_000)
	for name, sum := range map[string]string{"plain": "off", "with checksums": ""} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			left := stoppedAt(t, srv.Endpoint(), store, &forwardSource{Source: tus.Bytes(data)}, 3000)
			var retries []tus.Retry
			opts := chunked()
			opts.Checksum = sum
			opts.Hooks.OnRetry = func(_ *tus.Uploader, r tus.Retry) { retries = append(retries, r) }
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
			res, err := client.Upload(testContext(t), &forwardSource{Source: tus.Bytes(data)}, opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			wantEmptyStore(t, store)
			if res.URL == left.URL || res.Stats.Restarts != 1 || res.Stats.Sent != 10_000 {
				t.Errorf("result is %+v", res)
			}
			if len(retries) != 1 {
				t.Fatalf("OnRetry got %v", retries)
			}
			wantError(t, retries[0].Err, tus.ErrNotRecoverable)
			if up, _ := srv.Upload(left.URL); string(up.Data) != string(data[:3000]) {
				t.Errorf("the old upload has %d bytes", len(up.Data))
			}
		})
	}
}

// If the session itself lost the data, it ends with an error. The next one starts over.
func TestForwardSource_LossEndsSession(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.CutAfter(500)})
	opts := chunked()
	opts.Checksum = "off"
	upload := func() (*tus.Result, error) {
		return newClient(t, srv.Endpoint(), &tus.Options{Store: store}).
			Upload(testContext(t), &forwardSource{Source: tus.Bytes(data)}, opts)
	}
	res, err := upload()
	wantError(t, err, tus.ErrNotRecoverable)
	if res.Stats.Restarts != 0 || len(records(t, store)) != 1 {
		t.Fatalf("stats are %+v, store has %+v", res.Stats, records(t, store))
	}
	if res, err = upload(); err != nil || res.Stats.Restarts != 1 {
		t.Fatalf("result is %+v, %v", res, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// An upload with an external URL is not replaced.
func TestForwardSource_ExternalURLIsNotReplaced(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(10_000)
	left := stoppedAt(t, srv.Endpoint(), nil, &forwardSource{Source: tus.Bytes(data)}, 3000)
	_, err := newClient(t, srv.Endpoint(), nil).Resume(testContext(t), left.URL, &forwardSource{Source: tus.Bytes(data)}, chunked())
	wantError(t, err, tus.ErrNotRecoverable)
	if n := srv.Count("POST"); n != 1 {
		t.Errorf("%d uploads were created", n)
	}
}

// forgetAt deletes the upload before the server serves a PATCH at an offset, once.
func forgetAt(offset string) tustest.Fault {
	var forgotten atomic.Bool
	return tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if r.Header.Get("Upload-Offset") == offset && !forgotten.Swap(true) {
			h.Forget(r.URL.Path)
		}
		h.Serve(w, r)
	}}
}

// A stored upload is gone, and the upload is paused before the plan for the new one. Run
// must not take the missing upload for complete.
func TestStartOver_PausedBeforeCreationCompletes(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
	srv.Inject(forgetAt("4000"))
	var u *tus.Uploader
	opts := chunked()
	opts.Hooks.OnStateChange = func(_ *tus.Uploader, from, to tus.State, _ error) {
		if from == tus.StateRecovering && to == tus.StateIdle {
			u.Pause()
		}
	}
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	res := resumePaused(t, u)
	wantStored(t, srv.Handler, res.URL, data)
	wantEmptyStore(t, store)
}

// OnProgress panics at any call while an upload, or a part, starts over. The next Run must
// not take the missing upload for complete.
func TestStartOver_PanicOfProgressHookLosesNoBytes(t *testing.T) {
	data := randomBytes(4000)
	for name, opts := range map[string]func() *tus.UploadOptions{
		"whole": func() *tus.UploadOptions { return &tus.UploadOptions{ChunkSize: 500, CreationLimit: -1} },
		"parts": func() *tus.UploadOptions {
			return &tus.UploadOptions{ChunkSize: 500, Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{2000}}}
		},
	} {
		for panics := 1; panics < 20; panics++ {
			srv := finalLast(t)
			srv.Inject(forgetAt("1000"))
			opts, reports := opts(), 0
			opts.Hooks.OnProgress = func(*tus.Uploader, tus.Progress) {
				if reports++; reports == panics {
					panic("a bug")
				}
			}
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()}).NewUploader(tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			run := func() {
				defer func() { _ = recover() }()
				_, err = u.Run(testContext(t))
			}
			if run(); u.State() == tus.StatePaused {
				run()
			}
			if err != nil || u.State() != tus.StateComplete {
				t.Fatalf("%s, panic at report %d: state is %v, %v", name, panics, u.State(), err)
			}
			wantStored(t, srv.Handler, u.URL(), data)
		}
	}
}

func TestStartOver_StopAtPausesOnce(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 1000)
	opts := chunked()
	opts.StopAt = 2000
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	srv.Forget(u.URL())
	res, err := u.Run(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// Each upload is gone right after its creation. A pause does not reset their count.
func TestStartOver_GoneAtOnceCountsAcrossPause(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Forget(r.URL.Path)
		h.Serve(w, r)
	}})
	var u *tus.Uploader
	opts := chunked()
	opts.Hooks.OnStateChange = func(_ *tus.Uploader, from, to tus.State, _ error) {
		if from == tus.StateRecovering && to == tus.StateCreating {
			u.Pause()
		}
	}
	u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(randomBytes(5000)), opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrUploadGone)
	if n := srv.Count("POST"); n != 2 {
		t.Errorf("%d uploads were created", n)
	}
}

// hangsOnce is a source whose first reader at an offset hangs until it is closed.
type hangsOnce struct {
	tus.Source
	offset int64
	hangs  atomic.Bool
	closed chan struct{}
}

func (s *hangsOnce) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if offset != s.offset || s.hangs.Swap(true) {
		return s.Source.Open(ctx, offset)
	}
	return &hangingReader{source: s}, nil
}

type hangingReader struct{ source *hangsOnce }

func (r *hangingReader) Read([]byte) (int, error) {
	<-r.source.closed
	return 0, io.ErrClosedPipe
}

func (r *hangingReader) Close() error {
	close(r.source.closed)
	return nil
}

// The stored upload is gone while a chunk of it is hashed ahead. The reader of the chunk is
// closed.
func TestStartOver_EndsHashingAhead(t *testing.T) {
	srv, store := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer")}), &storage.Memory{}
	data := randomBytes(10_000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Checksums: checksum.Builtin()})
	opts := chunked()
	opts.StopAt = 3000
	_, err := client.Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrPaused)
	source := &hangsOnce{Source: tus.Bytes(data), offset: 5000, closed: make(chan struct{})}
	srv.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		for !source.hangs.Load() {
			time.Sleep(time.Millisecond)
		}
		h.Forget(r.URL.Path)
		h.Serve(w, r)
	}})
	res, err := client.Upload(testContext(t), source, chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if res.Stats.Restarts != 1 {
		t.Errorf("stats are %+v", res.Stats)
	}
	select {
	case <-source.closed:
	case <-time.After(10 * time.Second):
		t.Error("reader is still open")
	}
}

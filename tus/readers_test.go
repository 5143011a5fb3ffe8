package tus_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// deadlineIgnorer has deadlines without effect, as some adapters of connections.
type deadlineIgnorer struct{ wake chan struct{} }

func (r deadlineIgnorer) Read([]byte) (int, error)        { <-r.wake; return 0, io.EOF }
func (r deadlineIgnorer) SetReadDeadline(time.Time) error { return nil }

func TestReader_IgnoredDeadlineDoesNotDelayEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := tus.NewClient("http://tus.test/files/", nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		r := deadlineIgnorer{make(chan struct{})}
		start := time.Now()
		_, err = client.Upload(ctx, tus.Reader(r), nil)
		wantError(t, err, context.DeadlineExceeded)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		close(r.wake)
	})
}

// panickyReader panics in Read.
type panickyReader struct{ io.ReadSeeker }

func (panickyReader) Read([]byte) (int, error)       { panic("reader panics") }
func (panickyReader) Seek(int64, int) (int64, error) { return 0, nil }

// TestPanic_OfReaderReachesStep recovers from the panic, as servers do.
func TestPanic_OfReaderReachesStep(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer")})
	for name, source := range map[string]tus.Source{
		"stream":                tus.Reader(panickyReader{}),
		"hashed chunk":          tus.ReadSeeker(panickyReader{}, 1000),
		"fingerprint":           tus.ReadSeeker(panickyReader{}, 2000),
		"chunk of many readers": readingSource(func([]byte) (int, error) { panic("reader panics") }),
	} {
		client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()})
		u, err := client.NewUploader(source, &tus.UploadOptions{CreationLimit: -1})
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if p := recover(); p != "reader panics" {
					t.Errorf("%s: recovered from %v", name, p)
				}
			}()
			_, err := u.Run(testContext(t))
			t.Errorf("%s: returned %v", name, err)
		}()
		if err := u.Abort(testContext(t)); err != nil { // the uploader is not locked
			t.Errorf("%s: %v", name, err)
		}
	}
}

// readingSource is a source of 1000 bytes whose readers call a function.
type readingSource func(p []byte) (int, error)

func (s readingSource) Stat(context.Context) (tus.SourceInfo, error) {
	return tus.SourceInfo{Size: 1000}, nil
}

func (s readingSource) Open(context.Context, int64) (io.ReadCloser, error) {
	return io.NopCloser(s), nil
}

func (s readingSource) Read(p []byte) (int, error) { return s(p) }

func TestReader_TooLargeCountIsAnError(t *testing.T) {
	for name, extensions := range map[string][]string{"hashed first": tustest.Without("checksum-trailer"), "trailer": nil} {
		srv := tustest.NewServer(t, &tustest.Options{Extensions: extensions})
		client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()})
		for _, more := range []int{1, -1 << 30} {
			source := readingSource(func(p []byte) (int, error) { return len(p) + more, nil })
			_, err := client.Upload(testContext(t), source, &tus.UploadOptions{CreationLimit: -1})
			if err == nil || !strings.Contains(err.Error(), "reader returned") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestReader_AbandonedReadDoesNotRace has a Read that returns long after the upload
// continued, for the race detector.
func TestReader_AbandonedReadDoesNotRace(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(1000)
	s := &abandonedSource{data: data, reading: make(chan struct{}), wake: make(chan struct{}), returned: make(chan struct{})}
	u, err := newClient(t, srv.Endpoint(), nil).NewUploader(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-s.reading
		u.Pause()
	}()
	if _, err := u.Run(testContext(t)); !errors.Is(err, tus.ErrPaused) {
		t.Fatal(err)
	}
	close(s.wake)
	res, err := u.Run(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	<-s.returned
	wantStored(t, srv.Handler, res.URL, data)
}

// abandonedSource is a source whose first reader hangs, even after Close.
type abandonedSource struct {
	data                    []byte
	opened                  bool
	reading, wake, returned chan struct{}
}

func (s *abandonedSource) Stat(context.Context) (tus.SourceInfo, error) {
	return tus.SourceInfo{Size: int64(len(s.data)), Version: "1"}, nil
}

func (s *abandonedSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	r, err := tus.Bytes(s.data).Open(ctx, offset)
	if s.opened || err != nil {
		return r, err
	}
	s.opened = true
	return &hangingOnce{ReadCloser: r, s: s}, nil
}

type hangingOnce struct {
	io.ReadCloser
	s    *abandonedSource
	once sync.Once
}

func (r *hangingOnce) Read(p []byte) (int, error) {
	r.once.Do(func() {
		close(r.s.reading)
		<-r.s.wake
	})
	n, err := r.ReadCloser.Read(p)
	if err == io.EOF {
		close(r.s.returned)
	}
	return n, err
}

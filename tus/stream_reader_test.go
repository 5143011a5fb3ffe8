package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// deliveries are ways in which a reader may return the same bytes.
var deliveries = map[string]func(io.Reader) io.Reader{
	"plain":         func(r io.Reader) io.Reader { return r },
	"byte by byte":  iotest.OneByteReader,
	"halves":        iotest.HalfReader,
	"data with EOF": iotest.DataErrReader,
	"stuttering":    func(r io.Reader) io.Reader { return &stutterer{r: r} },
}

// stutterer returns no bytes and no error in every other Read, which io.Reader allows.
type stutterer struct {
	r io.Reader
	n int
}

func (s *stutterer) Read(p []byte) (int, error) {
	if s.n++; s.n%2 == 1 {
		return 0, nil
	}
	return s.r.Read(p)
}

// failingAfter returns a reader of n random bytes and then an error.
func failingAfter(n int, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(randomBytes(n)), iotest.ErrReader(err))
}

func TestStream_ReadErrorLeavesResumableUpload(t *testing.T) {
	data := randomBytes(3500)
	wrappedEOF := fmt.Errorf("tunnel: %w", io.EOF)
	for _, failure := range []error{errUnplugged, io.ErrUnexpectedEOF, wrappedEOF, os.ErrDeadlineExceeded} {
		for _, n := range streamLengths[1:] {
			for name, reader := range map[string]io.Reader{
				"after the data":     failingAfter(n, failure),
				"with the data":      iotest.DataErrReader(failingAfter(n, failure)),
				"with the last byte": io.MultiReader(bytes.NewReader(data[:n-1]), readerFunc(func(p []byte) (int, error) { p[0] = data[n-1]; return 1, failure })),
			} {
				srv := tustest.NewServer(t, nil)
				client := newClient(t, srv.Endpoint(), nil)
				res, err := client.Upload(testContext(t), tus.Reader(reader), chunked())
				if !errors.Is(err, failure) {
					t.Fatalf("%s, %d bytes: error is %v, want %v", name, n, err, failure)
				}
				up, ok := srv.Upload(res.URL)
				if !ok || up.Complete() || up.Length != -1 || !bytes.Equal(up.Data, data[:n]) || res.Offset != int64(n) {
					t.Fatalf("%s, %d bytes: server has %d of them, result is %+v", name, n, len(up.Data), res)
				}
				res, err = client.Resume(testContext(t), res.URL, tus.Reader(bytes.NewReader(data)), chunked())
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				if res.Stats.ResumedFrom != int64(n) || res.Stats.Sent != int64(3500-n) || srv.Count("POST") != 1 {
					t.Errorf("%s, %d bytes: stats are %+v", name, n, res.Stats)
				}
			}
		}
	}
	t.Run("error before the first byte", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(iotest.ErrReader(errUnplugged)), chunked())
		wantError(t, err, errUnplugged)
		wantMethods(t, srv.Handler)
	})
}

func TestStream_ReaderContractViolation(t *testing.T) {
	tests := map[string]struct {
		then readerFunc
		want error
	}{
		"no bytes and no error": {func([]byte) (int, error) { return 0, nil }, io.ErrNoProgress},
		"too large a count":     {func(p []byte) (int, error) { return len(p) + 1, nil }, nil},
		"a negative count":      {func([]byte) (int, error) { return -1, nil }, nil},
	}
	for name, test := range tests {
		srv, data := tustest.NewServer(t, nil), randomBytes(2500)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(io.MultiReader(bytes.NewReader(data), test.then)), chunked())
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: error is %v", name, err)
		}
		if up, _ := srv.Upload(res.URL); up.Complete() || !bytes.Equal(up.Data, data[:len(up.Data)]) {
			t.Errorf("%s: server has %d bytes", name, len(up.Data))
		}
	}
}

func TestStream_ReadsOneChunkAhead(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(6000)
	var read, acknowledged atomic.Int64
	waiting := make(chan struct{}, 100)
	reader := bytes.NewReader(data)
	counting := readerFunc(func(p []byte) (int, error) {
		n, err := reader.Read(p)
		if got := read.Add(int64(n)); got > acknowledged.Load()+2000 {
			t.Errorf("%d bytes are read, %d acknowledged", got, acknowledged.Load())
		}
		waiting <- struct{}{}
		return n, err
	})
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		// The response to this chunk comes only after the next one was read.
		at, _ := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
		for want := min(6000, at+2000); read.Load() < want; {
			select {
			case <-waiting:
			case <-r.Context().Done():
				return
			}
		}
		acknowledged.Store(min(6000, at+1000))
		h.Serve(w, r)
	}})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(counting), chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// unknownSource is a source of unknown size that counts Open and Close.
type unknownSource struct {
	io.Reader
	closed, opened int
}

func (s *unknownSource) Stat(context.Context) (tus.SourceInfo, error) {
	return tus.SourceInfo{Name: "unknown", SizeUnknown: true, Sequential: true}, nil
}

func (s *unknownSource) Open(context.Context, int64) (io.ReadCloser, error) {
	s.opened++
	return s, nil
}

func (s *unknownSource) Close() error { s.closed++; return nil }

func TestStream_ReaderIsClosedOnce(t *testing.T) {
	ended, end := context.WithCancel(context.Background())
	end()
	tests := map[string]struct {
		ctx    context.Context
		reader io.Reader
		fault  tustest.Action
		opts   tus.UploadOptions
		want   error
	}{
		"success":      {reader: bytes.NewReader(randomBytes(2500))},
		"short":        {reader: bytes.NewReader(randomBytes(10))},
		"empty":        {reader: bytes.NewReader(nil)},
		"read failure": {reader: failingAfter(2500, errUnplugged), want: errUnplugged},
		"refused":      {reader: bytes.NewReader(randomBytes(2500)), fault: tustest.Respond(403, ""), want: tus.ErrUnauthorized},
		"stopped":      {reader: bytes.NewReader(randomBytes(2500)), opts: tus.UploadOptions{StopAt: 1500}, want: tus.ErrPaused},
		"canceled":     {ctx: ended, reader: bytes.NewReader(randomBytes(2500)), want: context.Canceled},
	}
	for name, test := range tests {
		srv := tustest.NewServer(t, nil)
		if test.fault != nil {
			srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: test.fault})
		}
		source := &unknownSource{Reader: test.reader}
		if test.ctx == nil {
			test.ctx = testContext(t)
		}
		test.opts.ChunkSize = 1000
		_, err := newClient(t, srv.Endpoint(), nil).Upload(test.ctx, source, &test.opts)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: error is %v", name, err)
		}
		if source.opened != source.closed || source.opened > 1 {
			t.Errorf("%s: reader was opened %d and closed %d times", name, source.opened, source.closed)
		}
	}
	t.Run("aborted", func(t *testing.T) {
		srv, source := tustest.NewServer(t, nil), &unknownSource{Reader: bytes.NewReader(randomBytes(2500))}
		u, err := newClient(t, srv.Endpoint(), nil).NewUploader(source, &tus.UploadOptions{ChunkSize: 1000, StopAt: 1500})
		if err != nil {
			t.Fatal(err)
		}
		_, err = u.Run(testContext(t))
		wantError(t, err, tus.ErrPaused)
		if source.closed != 0 {
			t.Error("reader of a paused upload is closed")
		}
		if err := u.Abort(testContext(t)); err != nil || source.closed != 1 {
			t.Errorf("Abort: %v, reader was closed %d times", err, source.closed)
		}
	})
}

func TestStream_SecondUploadIsNotRecoverable(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	source := tus.Reader(bytes.NewReader(randomBytes(2500)))
	if _, err := client.Upload(testContext(t), source, chunked()); err != nil {
		t.Fatal(err)
	}
	_, err := client.Upload(testContext(t), source, chunked())
	wantError(t, err, tus.ErrNotRecoverable)
	if n := len(srv.Uploads()); n != 1 {
		t.Errorf("%d uploads", n)
	}
}

func TestReader_NilIsInvalid(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	res, err := client.Upload(testContext(t), tus.Reader(nil), nil)
	wantError(t, err, tus.ErrInvalidInput)
	if res == nil {
		t.Error("result is nil")
	}
	_, err = client.Upload(testContext(t), tus.Reader(nil), nil)
	wantError(t, err, tus.ErrInvalidInput)
	_, err = client.Upload(testContext(t), tus.Reader(bytes.NewReader(nil)), &tus.UploadOptions{BufferLimit: -1})
	wantError(t, err, tus.ErrInvalidInput)
	wantMethods(t, srv.Handler)
}

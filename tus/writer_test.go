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
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// waysToWrite are ways to write the same bytes to a Writer.
var waysToWrite = map[string]func(w *tus.Writer, data []byte) error{
	"one Write":   func(w *tus.Writer, data []byte) error { _, err := w.Write(data); return err },
	"many Writes": func(w *tus.Writer, data []byte) error { return writeInPieces(w, data, 7) },
	"ReadFrom": func(w *tus.Writer, data []byte) error {
		n, err := w.ReadFrom(&stutterer{r: iotest.DataErrReader(bytes.NewReader(data))})
		if err == nil && n != int64(len(data)) {
			err = fmt.Errorf("ReadFrom returned %d", n)
		}
		return err
	},
	"mixed": func(w *tus.Writer, data []byte) error {
		half := len(data) / 2
		_, err := w.ReadFrom(bytes.NewReader(data[:half]))
		return errors.Join(err, writeInPieces(w, data[half:], 501))
	},
}

func writeInPieces(w io.Writer, data []byte, size int) error {
	for len(data) > 0 {
		n, err := w.Write(data[:min(size, len(data))])
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func TestWriter_AnyLengthIsStored(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}})
	for name, write := range waysToWrite {
		for _, n := range streamLengths {
			data := randomBytes(n)
			w := client.NewWriter(testContext(t), chunked())
			if err := write(w, data); err != nil {
				t.Fatalf("%s, %d bytes: %v", name, n, err)
			}
			if err := w.Close(); err != nil {
				t.Fatalf("%s, %d bytes: %v", name, n, err)
			}
			res := w.Result()
			wantStored(t, srv.Handler, res.URL, data)
			if res.Size != int64(n) || res.Offset != int64(n) || res.Stats.Sent != int64(n) {
				t.Errorf("%s, %d bytes: result is %+v", name, n, res)
			}
		}
	}
}

func TestWriter_SizeNeedsNoDeferredLength(t *testing.T) {
	srv := withoutDeferral(t)
	client := newClient(t, srv.Endpoint(), nil)
	for _, n := range []int{1, 1000, 3500} {
		data := randomBytes(n)
		w := client.NewWriter(testContext(t), chunked())
		w.Size = int64(n)
		if _, err := io.Copy(w, iotest.HalfReader(bytes.NewReader(data))); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, w.Result().URL, data)
	}
	w := client.NewWriter(testContext(t), chunked())
	_, err := w.Write(randomBytes(3500))
	wantError(t, errors.Join(err, w.Close()), tus.ErrUnsupported)
	for size, n := range map[int64]int{3500: 3499, 3000: 3001, 2500: 9000, 1000: 1001, 1: 0} {
		w := client.NewWriter(testContext(t), chunked())
		w.Size = size
		_, err := w.Write(randomBytes(n))
		wantError(t, errors.Join(err, w.Close()), tus.ErrSourceMismatch)
		wantError(t, w.Close(), tus.ErrSourceMismatch)
		if up, ok := srv.Upload(w.Result().URL); ok && up.Complete() {
			t.Errorf("%d of %d bytes: upload is complete", n, size)
		}
	}
}

func TestWriter_InvalidInput(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	w := client.NewWriter(testContext(t), &tus.UploadOptions{ChunkSize: -1})
	_, err := w.Write([]byte("x"))
	wantError(t, err, tus.ErrInvalidInput)
	_, err = w.ReadFrom(bytes.NewReader(nil))
	wantError(t, err, tus.ErrInvalidInput)
	wantError(t, w.Close(), tus.ErrInvalidInput)
	if err := w.CloseWithError(errUnplugged); err != nil || w.Result() == nil {
		t.Errorf("CloseWithError: %v, result %v", err, w.Result())
	}
	w = client.NewWriter(testContext(t), nil)
	w.Size = -1
	wantError(t, w.Close(), tus.ErrInvalidInput)
	wantMethods(t, srv.Handler)
}

func TestWriter_WriteBlocksAtTwoChunks(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Delay(time.Second)})
		w := newClient(nil).NewWriter(t.Context(), chunked())
		data := randomBytes(10_000)
		var written atomic.Int64
		time.AfterFunc(500*time.Millisecond, func() {
			if n := written.Load(); n != 2000 {
				t.Errorf("%d bytes are written while the first chunk is being sent", n)
			}
		})
		for at := 0; at < len(data); at += 500 {
			if _, err := w.Write(data[at : at+500]); err != nil {
				t.Fatal(err)
			}
			written.Add(500)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		wantStored(t, h, w.Result().URL, data)
	})
}

func TestWriter_ReadFromFillsTheChunk(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	w := newClient(t, srv.Endpoint(), nil).NewWriter(testContext(t), &tus.UploadOptions{ChunkSize: 100_000})
	var largest int
	reader := bytes.NewReader(randomBytes(250_000))
	n, err := io.Copy(w, readerFunc(func(p []byte) (int, error) {
		largest = max(largest, len(p))
		return reader.Read(p)
	}))
	if err := errors.Join(err, w.Close()); err != nil || n != 250_000 {
		t.Fatalf("%d bytes: %v", n, err)
	}
	if largest != 100_000 {
		t.Errorf("largest Read has %d bytes, want a whole chunk", largest)
	}
}

func TestWriter_FailedUploadFailsWrite(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: faults.RespondAfter(403, "")})
	w := newClient(t, srv.Endpoint(), nil).NewWriter(testContext(t), chunked())
	data := randomBytes(20_000)
	n, err := w.Write(data)
	wantError(t, err, tus.ErrUnauthorized)
	if n < 1000 || n > 4000 {
		t.Errorf("Write returned %d", n)
	}
	_, err = w.Write([]byte("x"))
	wantError(t, err, tus.ErrUnauthorized)
	_, err = w.ReadFrom(bytes.NewReader(data))
	wantError(t, err, tus.ErrUnauthorized)
	wantError(t, w.Close(), tus.ErrUnauthorized)
	res, err := newClient(t, srv.Endpoint(), nil).Resume(testContext(t), w.Result().URL, tus.Bytes(data), chunked())
	if err != nil || res.Stats.ResumedFrom != 1000 {
		t.Errorf("resumed from %d: %v", res.Stats.ResumedFrom, err)
	}
}

func TestWriter_EndOfContextEndsWrite(t *testing.T) {
	for _, n := range []int{0, 500, 1500, 5000} {
		bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
			h.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Times: -1, Action: tustest.Stall()})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			w := newClient(nil).NewWriter(ctx, chunked())
			if _, err := w.Write(randomBytes(n)); err != nil {
				wantError(t, err, context.DeadlineExceeded)
			}
			<-ctx.Done()
			synctest.Wait()
			_, err := w.Write(randomBytes(9000))
			wantError(t, err, context.DeadlineExceeded)
			wantError(t, w.Close(), context.DeadlineExceeded)
			wantError(t, w.CloseWithError(errUnplugged), context.DeadlineExceeded)
			for _, up := range h.Uploads() {
				if up.Terminated || up.Complete() {
					t.Errorf("%d bytes: upload is deleted or complete", n)
				}
			}
		})
	}
}

func TestWriter_SourceTimeoutLimitsTheWait(t *testing.T) {
	bubble(t, func(t *testing.T, _ *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		w := newClient(&tus.Options{SourceTimeout: time.Minute}).NewWriter(t.Context(), chunked())
		for range 3 {
			if _, err := w.Write(randomBytes(700)); err != nil {
				t.Fatal(err)
			}
			<-time.After(59 * time.Second)
		}
		<-time.After(2 * time.Minute)
		_, err := w.Write(randomBytes(5000))
		wantError(t, err, os.ErrDeadlineExceeded)
		wantError(t, w.Close(), os.ErrDeadlineExceeded)
	})
}

func TestWriter_AbandonedWriterEndsWithContext(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	ctx, cancel := context.WithCancel(testContext(t))
	w := newClient(t, srv.Endpoint(), nil).NewWriter(ctx, chunked())
	if _, err := w.Write(randomBytes(1500)); err != nil {
		t.Fatal(err)
	}
	cancel() // no Close: goleak finds a goroutine that stays
}

// patient returns options whose retries outlast a request that holds the upload.
func patient() *tus.Options {
	return &tus.Options{Retry: tus.RetryPolicy{MaxRetries: 100, Delay: func(int) time.Duration { return 10 * time.Millisecond }}}
}

// uploadsLeft returns the number of uploads that were not deleted.
func uploadsLeft(srv *tustest.Server) (n int) {
	for _, up := range srv.Uploads() {
		if !up.Terminated {
			n++
		}
	}
	return n
}

func TestWriter_CloseWithErrorDeletesUpload(t *testing.T) {
	for _, n := range []int{0, 500, 1500, 5000} {
		srv := tustest.NewServer(t, nil)
		w := newClient(t, srv.Endpoint(), patient()).NewWriter(testContext(t), chunked())
		if _, err := w.Write(randomBytes(n)); err != nil {
			t.Fatal(err)
		}
		if err := w.CloseWithError(errUnplugged); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if left := uploadsLeft(srv); left != 0 {
			t.Errorf("%d bytes: %d uploads are left", n, left)
		}
		_, err := w.Write([]byte("x"))
		for _, err := range []error{err, w.Close()} {
			if err != errUnplugged {
				t.Errorf("%d bytes: error is %v", n, err)
			}
		}
		if err := w.CloseWithError(os.ErrExist); err != nil {
			t.Errorf("%d bytes, again: %v", n, err)
		}
		if w.Result() == nil {
			t.Errorf("%d bytes: no result", n)
		}
	}
}

func TestWriter_CloseWithErrorAfterFailureDeletesUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Times: -1, Action: tustest.Respond(403, "")})
	w := newClient(t, srv.Endpoint(), nil).NewWriter(testContext(t), chunked())
	_, err := w.Write(randomBytes(9000))
	wantError(t, err, tus.ErrUnauthorized)
	if err := w.CloseWithError(err); err != nil || uploadsLeft(srv) != 0 {
		t.Errorf("CloseWithError: %v, %d uploads are left", err, uploadsLeft(srv))
	}
	wantError(t, w.Close(), tus.ErrUnauthorized)
}

func TestWriter_CloseWithErrorReportsFailedDeletion(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "DELETE", Times: -1, Action: tustest.Respond(403, "")})
	w := newClient(t, srv.Endpoint(), nil).NewWriter(testContext(t), chunked())
	if _, err := w.Write(randomBytes(3500)); err != nil {
		t.Fatal(err)
	}
	wantError(t, w.CloseWithError(errUnplugged), tus.ErrUnauthorized)
	if err := w.Close(); err != errUnplugged {
		t.Errorf("Close: %v", err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	w = newClient(t, srv.Endpoint(), nil).NewWriter(ctx, chunked())
	if _, err := w.Write(randomBytes(3500)); err != nil {
		t.Fatal(err)
	}
	cancel()
	wantError(t, w.CloseWithError(errUnplugged), context.Canceled)
}

func TestWriter_CloseIsFinal(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	w := newClient(t, srv.Endpoint(), nil).NewWriter(testContext(t), nil)
	if n, err := w.Write(nil); n != 0 || err != nil || len(srv.Requests()) != 0 {
		t.Errorf("empty Write: %d, %v", n, err)
	}
	if err := w.CloseWithError(nil); err != nil { // completes an empty upload
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, w.Result().URL, nil)
	for range 2 {
		if err := errors.Join(w.Close(), w.CloseWithError(errUnplugged)); err != nil {
			t.Errorf("closed again: %v", err)
		}
	}
	for _, p := range [][]byte{nil, []byte("x")} {
		if _, err := w.Write(p); err != io.ErrClosedPipe {
			t.Errorf("Write after Close: %v", err)
		}
	}
	if n, err := w.ReadFrom(bytes.NewReader([]byte("x"))); n != 0 || err != io.ErrClosedPipe {
		t.Errorf("ReadFrom after Close: %v", err)
	}
	wantStored(t, srv.Handler, w.Result().URL, nil)
}

func TestWriter_CloseEndsBlockedWrite(t *testing.T) {
	for name, end := range map[string]struct {
		close func(*tus.Writer) error
		want  error
		left  int // uploads
	}{
		"Close":          {func(w *tus.Writer) error { return w.Close() }, io.ErrClosedPipe, 1},
		"CloseWithError": {func(w *tus.Writer) error { w.CloseWithError(errUnplugged); return w.Close() }, errUnplugged, 0},
	} {
		for form, write := range map[string]func(*tus.Writer) error{
			"Write":    func(w *tus.Writer) error { _, err := w.Write(randomBytes(50_000)); return err },
			"ReadFrom": func(w *tus.Writer) error { _, err := w.ReadFrom(bytes.NewReader(randomBytes(50_000))); return err },
		} {
			t.Run(name+" "+form, func(t *testing.T) {
				srv := tustest.NewServer(t, nil)
				held := make(chan struct{}, 100)
				srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
					held <- struct{}{}
					<-time.After(30 * time.Millisecond)
					h.Serve(w, r)
				}})
				w := newClient(t, srv.Endpoint(), patient()).NewWriter(testContext(t), chunked())
				wrote := make(chan error)
				go func() { wrote <- write(w) }()
				<-held
				if err := end.close(w); err != end.want {
					t.Errorf("closed: %v", err)
				}
				if err := <-wrote; err != end.want {
					t.Errorf("%s returned %v", form, err)
				}
				if n := uploadsLeft(srv); n != end.left {
					t.Errorf("%d uploads are left", n)
				}
				for _, up := range srv.Uploads() {
					if up.Complete() {
						t.Error("upload is complete")
					}
				}
			})
		}
	}
}

func TestWriter_CloseDoesNotWaitForRead(t *testing.T) {
	for name, end := range map[string]func(*tus.Writer) error{
		"Close":          func(w *tus.Writer) error { return w.Close() },
		"CloseWithError": func(w *tus.Writer) error { w.CloseWithError(io.ErrClosedPipe); return w.Close() },
	} {
		for _, n := range []int{0, 500, 1000, 2500} {
			srv := tustest.NewServer(t, nil)
			w := newClient(t, srv.Endpoint(), patient()).NewWriter(testContext(t), chunked())
			reading, release := make(chan struct{}), make(chan struct{})
			blocked := readerFunc(func(p []byte) (int, error) {
				close(reading)
				<-release
				clear(p)
				return len(p), io.EOF
			})
			wrote := make(chan error)
			go func() {
				_, err := w.ReadFrom(io.MultiReader(bytes.NewReader(randomBytes(n)), blocked))
				wrote <- err
			}()
			<-reading
			if err := end(w); err != io.ErrClosedPipe {
				t.Errorf("%s: %v", name, err)
			}
			close(release)
			if err := <-wrote; err != io.ErrClosedPipe {
				t.Errorf("%s: ReadFrom returned %v", name, err)
			}
			for _, up := range srv.Uploads() {
				if up.Complete() || !bytes.HasPrefix(randomBytes(n), up.Data) {
					t.Errorf("%s: server has %d bytes, complete %v", name, len(up.Data), up.Complete())
				}
			}
		}
	}
}

func TestWriter_ReadFromReturnsErrorOfReader(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(3500)
	w := newClient(t, srv.Endpoint(), nil).NewWriter(testContext(t), chunked())
	for name, test := range map[string]struct {
		reader io.Reader
		want   error
	}{
		"no bytes":          {readerFunc(func([]byte) (int, error) { return 0, nil }), io.ErrNoProgress},
		"error":             {iotest.ErrReader(errUnplugged), errUnplugged},
		"too large a count": {readerFunc(func(p []byte) (int, error) { return len(p) + 1, nil }), nil},
		"a negative count":  {readerFunc(func([]byte) (int, error) { return -1, nil }), nil},
	} {
		n, err := w.ReadFrom(test.reader)
		if n != 0 || err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	for range 300 { // the upload waits through any number of empty reads
		if n, err := w.ReadFrom(bytes.NewReader(nil)); n != 0 || err != nil {
			t.Fatal(err)
		}
	}
	func() {
		defer func() {
			if recover() != "unplugged" {
				t.Error("no panic")
			}
		}()
		w.ReadFrom(readerFunc(func([]byte) (int, error) { panic("unplugged") }))
	}()
	n, err := w.ReadFrom(failingAfter(1500, errUnplugged))
	if n != 1500 || err != errUnplugged {
		t.Fatalf("ReadFrom: %d, %v", n, err)
	}
	if _, err := w.Write(data[1500:]); err != nil { // the Writer is still open
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, w.Result().URL, data)
}

func TestWriter_PanicReachesTheCaller(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	opts := chunked()
	opts.Hooks.OnCreated = func(*tus.Uploader, *tus.Created) { panic("unplugged") }
	w := newClient(t, srv.Endpoint(), nil).NewWriter(testContext(t), opts)
	func() {
		defer func() {
			if value := recover(); value != "unplugged" {
				t.Errorf("panic is %v", value)
			}
		}()
		w.Write(randomBytes(9000))
	}()
	if err := w.Close(); err == nil {
		t.Error("Close returns nil")
	}
}

func TestWriter_FaultsAreRecovered(t *testing.T) {
	data := randomBytes(4500)
	for name, action := range map[string]tustest.Action{
		"response lost": tustest.LoseResponse(), "cut": tustest.CutAfter(500), "some bytes": faults.AcceptOnly(300), "503": tustest.Respond(503, ""),
	} {
		for _, size := range []int64{0, 4500} {
			for skip := range 5 {
				srv := tustest.NewServer(t, nil)
				srv.Inject(tustest.Fault{Method: "PATCH", Skip: skip, Action: action})
				w := newClient(t, srv.Endpoint(), nil).NewWriter(testContext(t), chunked())
				w.Size = size
				err := writeInPieces(w, data, 300)
				if err := errors.Join(err, w.Close()); err != nil {
					t.Fatalf("%s of chunk %d: %v", name, skip, err)
				}
				wantStored(t, srv.Handler, w.Result().URL, data)
			}
		}
	}
}

func TestWriter_ResultBeforeClose(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	w := newClient(t, srv.Endpoint(), nil).NewWriter(testContext(t), chunked())
	if res := w.Result(); res.URL != "" || res.Offset != 0 {
		t.Errorf("result is %+v", res)
	}
	for n := 0; w.Result().Offset == 0; n++ {
		if _, err := w.Write([]byte(strconv.Itoa(n) + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := srv.Upload(w.Result().URL); !ok {
		t.Errorf("result is %+v", w.Result())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

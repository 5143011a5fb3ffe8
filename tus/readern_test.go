package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// withoutDeferral returns a server without deferred lengths.
func withoutDeferral(t testing.TB) *tustest.Server {
	return tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("creation-defer-length")})
}

func TestReaderN_AnyLengthIsStored(t *testing.T) {
	for name, checksums := range map[string][]checksum.Algorithm{"plain": {}, "checksum": checksum.Builtin()} {
		srv := withoutDeferral(t)
		client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksums, Store: &storage.Memory{}})
		for delivery, deliver := range deliveries {
			for _, n := range streamLengths {
				data, before := randomBytes(n), len(srv.Requests())
				var seen recorder
				how := &tus.UploadOptions{ChunkSize: 1000, Hooks: seen.hooks()}
				res, err := client.Upload(testContext(t), tus.ReaderN(deliver(bytes.NewReader(data)), int64(n)), how)
				if err != nil {
					t.Fatalf("%s, %s, %d bytes: %v", name, delivery, n, err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				if s := res.Stats; res.Size != int64(n) || res.Offset != int64(n) || s.Sent != int64(n) || s.Resent != 0 {
					t.Errorf("%s, %s, %d bytes: result is %+v", name, delivery, n, res)
				}
				for _, p := range seen.reports {
					if p.SizeUnknown || p.Size != int64(n) {
						t.Errorf("progress is %+v of %d bytes", p, n)
					}
				}
				wantChunks(t, srv.Requests()[before:], n, name == "checksum")
			}
		}
	}
}

// wantChunks fails unless the requests declare n bytes at the creation, and send them in
// chunks of 1000, or in the creation if they fit one chunk and have no checksum.
func wantChunks(t *testing.T, requests []tustest.Request, n int, checksum bool) {
	t.Helper()
	var chunks int
	for _, r := range requests {
		switch r.Method {
		case "POST":
			if got := r.Header.Get("Upload-Length"); got != strconv.Itoa(n) {
				t.Errorf("Upload-Length is %q, want %d", got, n)
			}
		case "PATCH":
			chunks++
			if r.Body > 1000 {
				t.Errorf("chunk has %d bytes", r.Body)
			}
		}
	}
	want := (n + 999) / 1000
	if want == 1 && !checksum {
		want = 0
	}
	if chunks != want {
		t.Errorf("%d bytes took %d chunks, want %d", n, chunks, want)
	}
}

func TestReaderN_WrongSizeIsNotCompleted(t *testing.T) {
	for _, size := range []int{0, 1, 999, 1000, 1001, 2000, 2500} {
		for _, n := range []int{0, 1, 999, 1000, 1001, 1999, 2000, 2001, 2499, 2501, 5000} {
			if n == size {
				continue
			}
			srv, data := withoutDeferral(t), randomBytes(n)
			client := newClient(t, srv.Endpoint(), nil)
			res, err := client.Upload(testContext(t), tus.ReaderN(bytes.NewReader(data), int64(size)), chunked())
			wantError(t, err, tus.ErrSourceMismatch)
			if short := n < size; errors.Is(err, io.ErrUnexpectedEOF) != short || tus.IsRetryable(err) {
				t.Errorf("%d of %d bytes: error is %v", n, size, err)
			}
			if text := err.Error(); !strings.Contains(text, strconv.Itoa(size)) || n < size && !strings.Contains(text, strconv.Itoa(n)) {
				t.Errorf("%d of %d bytes: error lacks a size: %v", n, size, err)
			}
			for _, up := range srv.Uploads() {
				if up.Complete() || !bytes.HasPrefix(data, up.Data) {
					t.Errorf("%d of %d bytes: server has %d, complete %v", n, size, len(up.Data), up.Complete())
				}
			}
			if min(n, size) > 1000 && res.URL == "" || min(n, size) < 1000 && res.URL != "" {
				t.Errorf("%d of %d bytes: upload URL is %q", n, size, res.URL)
			}
			if res.URL == "" {
				continue
			}
			right := randomBytes(size)
			if _, err := client.Resume(testContext(t), res.URL, tus.ReaderN(bytes.NewReader(right), int64(size)), chunked()); err != nil {
				t.Fatalf("%d of %d bytes, resumed: %v", n, size, err)
			}
			wantStored(t, srv.Handler, res.URL, right)
		}
	}
}

func TestReaderN_ReadErrorLeavesResumableUpload(t *testing.T) {
	data := randomBytes(3500)
	for _, n := range append(streamLengths[1:], 3499, 3500) {
		srv := withoutDeferral(t)
		client := newClient(t, srv.Endpoint(), nil)
		res, err := client.Upload(testContext(t), tus.ReaderN(failingAfter(n, errUnplugged), 3500), chunked())
		wantError(t, err, errUnplugged)
		up, ok := srv.Upload(res.URL)
		sent := n
		if n == 3500 { // the last chunk would complete the upload
			sent = 3000
		}
		if !ok || up.Complete() || up.Length != 3500 || !bytes.Equal(up.Data, data[:sent]) {
			t.Fatalf("%d bytes: server has %d of them: %v", n, len(up.Data), err)
		}
		res, err = client.Resume(testContext(t), res.URL, tus.ReaderN(bytes.NewReader(data), 3500), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if res.Stats.Sent != int64(3500-sent) || srv.Count("POST") != 1 {
			t.Errorf("%d bytes: stats are %+v", n, res.Stats)
		}
	}
}

func TestReaderN_ContractViolation(t *testing.T) {
	for name, test := range map[string]struct {
		then readerFunc
		want error
	}{
		"no bytes and no error": {func([]byte) (int, error) { return 0, nil }, io.ErrNoProgress},
		"too large a count":     {func(p []byte) (int, error) { return len(p) + 1, nil }, nil},
		"a negative count":      {func([]byte) (int, error) { return -1, nil }, nil},
		"a closed file":         {func([]byte) (int, error) { return 0, http.ErrBodyReadAfterClose }, http.ErrBodyReadAfterClose},
	} {
		srv, data := withoutDeferral(t), randomBytes(2500)
		reader := io.MultiReader(bytes.NewReader(data), test.then)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.ReaderN(reader, 2500), chunked())
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: error is %v", name, err)
		}
		if up, _ := srv.Upload(res.URL); up.Complete() || !bytes.Equal(up.Data, data[:len(up.Data)]) {
			t.Errorf("%s: server has %d bytes", name, len(up.Data))
		}
	}
}

func TestReaderN_AsksForNoMoreThanItsSize(t *testing.T) {
	srv, data := withoutDeferral(t), randomBytes(3500)
	reader := bytes.NewReader(data)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.ReaderN(readerFunc(func(p []byte) (int, error) {
		if len(p) > 3500 {
			t.Errorf("Read of %d bytes", len(p))
		}
		return reader.Read(p)
	}), 3500), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestReaderN_InvalidInput(t *testing.T) {
	srv := withoutDeferral(t)
	client := newClient(t, srv.Endpoint(), nil)
	required := &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{Required: true}}
	for name, test := range map[string]struct {
		source tus.Source
		opts   *tus.UploadOptions
	}{
		"nil reader":     {tus.ReaderN(nil, 1), nil},
		"negative size":  {tus.ReaderN(strings.NewReader(""), -1), nil},
		"required parts": {tus.ReaderN(bytes.NewReader(randomBytes(3000)), 3000), required},
	} {
		_, err := client.Upload(testContext(t), test.source, test.opts)
		if !errors.Is(err, tus.ErrInvalidInput) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	wantMethods(t, srv.Handler)
}

func TestReaderN_ModesSendEachByteOnce(t *testing.T) {
	data := randomBytes(3500)
	for name, test := range map[string]struct {
		opts     tus.UploadOptions
		sums     bool
		extended bool // the server supports a deferred length
		methods  []string
	}{
		"one request":     {opts: tus.UploadOptions{}, methods: []string{"OPTIONS", "POST"}},
		"parallel":        {opts: tus.UploadOptions{ChunkSize: 2000, Parallel: 4}, methods: []string{"POST", "PATCH", "PATCH"}},
		"deferred length": {opts: tus.UploadOptions{ChunkSize: 2000, DeferLength: true}, extended: true, methods: []string{"OPTIONS", "POST", "PATCH", "PATCH"}},
		"trailer":         {opts: tus.UploadOptions{ChunkSize: 2000}, sums: true, methods: []string{"OPTIONS", "POST", "PATCH", "PATCH"}},
		"creation limit":  {opts: tus.UploadOptions{ChunkSize: 2000, CreationLimit: 1 << 20}, methods: []string{"POST", "PATCH", "PATCH"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := withoutDeferral(t)
			if test.extended {
				srv = tustest.NewServer(t, nil)
			}
			client := &tus.Options{}
			if test.sums {
				client.Checksums = checksum.Builtin()
			}
			res, err := newClient(t, srv.Endpoint(), client).Upload(testContext(t), tus.ReaderN(bytes.NewReader(data), 3500), &test.opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			wantMethods(t, srv.Handler, test.methods...)
			if res.Stats.Sent != 3500 {
				t.Errorf("stats are %+v", res.Stats)
			}
		})
	}
}

func TestReaderN_PausesAndSteps(t *testing.T) {
	data := randomBytes(3500)
	t.Run("StopAt", func(t *testing.T) {
		srv := withoutDeferral(t)
		opts := chunked()
		opts.StopAt = 1700
		u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.ReaderN(bytes.NewReader(data), 3500), opts)
		if err != nil {
			t.Fatal(err)
		}
		res := resumePaused(t, u)
		wantStored(t, srv.Handler, res.URL, data)
		if res.Stats.Sent != 3500 {
			t.Errorf("stats are %+v", res.Stats)
		}
	})
	t.Run("Step", func(t *testing.T) {
		srv := withoutDeferral(t)
		u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.ReaderN(bytes.NewReader(data), 3500), chunked())
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; !u.State().Final(); n++ {
			if n > 50 {
				t.Fatalf("state is %v", u.State())
			}
			if n%7 == 6 {
				u.Pause() // the next Step resumes
			}
			if err := u.Step(testContext(t)); err != nil {
				t.Fatal(err)
			}
		}
		wantStored(t, srv.Handler, u.URL(), data)
	})
}

func TestReaderN_LostResponsesAreRecovered(t *testing.T) {
	data := randomBytes(3500)
	for name, action := range map[string]tustest.Action{
		"response lost": tustest.LoseResponse(), "cut": tustest.CutAfter(500), "some bytes": faults.AcceptOnly(300), "503": tustest.Respond(503, ""),
	} {
		for skip := range 4 {
			srv := withoutDeferral(t)
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: skip, Action: action})
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.ReaderN(bytes.NewReader(data), 3500), chunked())
			if err != nil {
				t.Fatalf("%s of chunk %d: %v", name, skip, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if res.Stats.Resent > 1000 {
				t.Errorf("%s of chunk %d: %d bytes resent", name, skip, res.Stats.Resent)
			}
		}
	}
}

func TestReaderN_LostBytesAreNotRecoverable(t *testing.T) {
	srv, data := withoutDeferral(t), randomBytes(5500)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: faults.Rewind(0)})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.ReaderN(bytes.NewReader(data), 5500), chunked())
	wantError(t, err, tus.ErrNotRecoverable)
	res, err = newClient(t, srv.Endpoint(), nil).Resume(testContext(t), res.URL, tus.ReaderN(bytes.NewReader(data), 5500), chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestReaderN_ResumeSkipsAcknowledgedBytes(t *testing.T) {
	data := randomBytes(3500)
	for _, held := range []int{0, 1, 1000, 1001, 3499, 3500} {
		srv := withoutDeferral(t)
		client := newClient(t, srv.Endpoint(), nil)
		made, err := client.Create(testContext(t), tus.CreateOptions{Size: 3500})
		if err != nil {
			t.Fatal(err)
		}
		faults.Append(srv.Handler, strings.TrimPrefix(made.URL, srv.HTTP.URL), data[:held])
		res, err := client.Resume(testContext(t), made.URL, tus.ReaderN(bytes.NewReader(data), 3500), chunked())
		if err != nil {
			t.Fatalf("from %d: %v", held, err)
		}
		wantStored(t, srv.Handler, made.URL, data)
		if res.Stats.Sent != int64(3500-held) || res.Stats.ResumedFrom != int64(held) {
			t.Errorf("from %d: stats are %+v", held, res.Stats)
		}
		_, err = client.Resume(testContext(t), made.URL, tus.ReaderN(bytes.NewReader(data), 3499), chunked())
		wantError(t, err, tus.ErrSourceMismatch)
	}
}

func TestReaderN_UploadAllCompletesEachJob(t *testing.T) {
	srv := withoutDeferral(t)
	client := newClient(t, srv.Endpoint(), nil)
	jobs := func(yield func(tus.Job) bool) {
		for _, n := range streamLengths {
			job := tus.Job{Source: tus.ReaderN(iotest.HalfReader(bytes.NewReader(randomBytes(n))), int64(n)), Options: chunked(), Tag: n}
			if !yield(job) {
				return
			}
		}
	}
	for res, err := range client.UploadAll(testContext(t), jobs, 3) {
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, randomBytes(res.Job.Tag.(int)))
	}
}

func TestReaderN_CanceledReadReturnsAtOnce(t *testing.T) {
	srv := withoutDeferral(t)
	reader, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithCancel(testContext(t))
	go func() {
		writer.Write(randomBytes(1500))
		cancel()
	}()
	_, err := newClient(t, srv.Endpoint(), nil).Upload(ctx, tus.ReaderN(reader, 3000), chunked())
	wantError(t, err, context.Canceled)
}

func TestReaderN_PanicReachesTheCaller(t *testing.T) {
	srv := withoutDeferral(t)
	client := newClient(t, srv.Endpoint(), nil)
	for _, n := range []int{0, 500, 1000, 2500} {
		panicked := func() (value any) {
			defer func() { value = recover() }()
			reader := io.MultiReader(bytes.NewReader(randomBytes(n)), readerFunc(func([]byte) (int, error) { panic("unplugged") }))
			_, err := client.Upload(testContext(t), tus.ReaderN(reader, 3000), chunked())
			return fmt.Sprint("no panic: ", err)
		}()
		if panicked != "unplugged" {
			t.Errorf("after %d bytes: %v", n, panicked)
		}
	}
	for _, up := range srv.Uploads() {
		if up.Complete() {
			t.Error("an upload is complete")
		}
	}
}

// TestSource_SinglePassIsOpenedOnce uploads a source of a caller's own type.
func TestSource_SinglePassIsOpenedOnce(t *testing.T) {
	srv, data := withoutDeferral(t), randomBytes(3500)
	opened := 0
	source := &hookedSource{
		Source:     tus.Bytes(data),
		changeInfo: func(info *tus.SourceInfo) { info.SinglePass = true },
		beforeOpen: func(context.Context) error { opened++; return nil },
	}
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: tustest.CutAfter(300)})
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}}).Upload(testContext(t), source, chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if opened != 1 {
		t.Errorf("source was opened %d times", opened)
	}
}

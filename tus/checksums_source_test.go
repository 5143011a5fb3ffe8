package tus_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// countingSource counts the bytes that its readers return.
type countingSource struct {
	tus.Source
	bytes atomic.Int64
}

func (s *countingSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	r, err := s.Source.Open(ctx, offset)
	return &countingReader{r, &s.bytes}, err
}

type countingReader struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.bytes.Add(int64(n))
	return n, err
}

func TestChecksum_TrailerReadsOnceHeaderTwice(t *testing.T) {
	for want, extensions := range map[int64][]string{1: nil, 2: tustest.Without("checksum-trailer")} {
		srv, client := verifying(t, tustest.Options{Extensions: extensions})
		data := randomBytes(1_000_000)
		source := &countingSource{Source: tus.Bytes(data)}
		res, err := client.Upload(testContext(t), source, &tus.UploadOptions{ChunkSize: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if n := source.bytes.Load(); n != want*int64(len(data)) {
			t.Errorf("%d bytes were read of %d, want %d times", n, len(data), want)
		}
	}
}

func TestChecksum_ChangeAfterHashingIsNotStored(t *testing.T) {
	for _, extensions := range [][]string{nil, tustest.Without("checksum-trailer")} {
		srv, client := verifying(t, tustest.Options{Extensions: extensions})
		data := randomBytes(5000)
		// The memory changes while the chunk is refused, and Stat does not show it.
		srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			faults.RespondAfter(460, "")(w, r, h)
			data[2500] ^= 1
		}})
		_, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1000})
		wantError(t, err, tus.ErrSourceChanged)
		for _, up := range srv.Uploads() {
			if up.Complete() {
				t.Error("the server has a complete mix of two versions")
			}
		}
	}
}

func TestChecksum_SequentialSourceIsReadOnce(t *testing.T) {
	srv, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: tustest.CutAfter(50_000)})
	data := randomBytes(1_000_000)
	source := &countingSource{Source: tus.ReadSeeker(bytes.NewReader(data), int64(len(data)))}
	res, err := client.Upload(testContext(t), source, &tus.UploadOptions{ChunkSize: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if n := source.bytes.Load(); n != int64(len(data)) {
		t.Errorf("%d bytes were read of %d", n, len(data))
	}
}

// A response may come while the last bytes of the source are still being read.
func TestTrailer_EarlyResponseIsUsed(t *testing.T) {
	data, responded := randomBytes(900_000), make(chan struct{})
	const last = 900_000 / (32 << 10) * (32 << 10) // offset of the last read of the transport
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
		io.CopyN(io.Discard, r.Body, last)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, "HTTP/1.1 423 Locked\r\nContent-Length: 0\r\n\r\n")
		go func() {
			io.Copy(io.Discard, conn)
			conn.Close()
		}()
	}})
	client := newClient(t, srv.Endpoint(), &tus.Options{
		Checksums: checksum.Builtin(),
		Hooks: tus.Hooks{AfterResponse: func(r *http.Request, resp *tus.Response) {
			if resp.StatusCode == http.StatusLocked {
				close(responded)
			}
		}},
	})
	source := tus.ReaderAt(lateReader{data, last, responded}, int64(len(data)))
	res, err := client.Upload(testContext(t), source, &tus.UploadOptions{CreationLimit: -1})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// lateReader blocks reads at or after an offset until a channel is closed.
type lateReader struct {
	data []byte
	from int64
	wait chan struct{}
}

func (r lateReader) ReadAt(p []byte, offset int64) (int, error) {
	if offset >= r.from {
		<-r.wait
	}
	return bytes.NewReader(r.data).ReadAt(p, offset)
}

// The first reader of a source that is shorter than its size notices it: the hashing or
// the fingerprint.
func TestSource_EarlyEndIsSourceChanged(t *testing.T) {
	data := randomBytes(2500)
	for name, source := range map[string]tus.Source{
		"independent readers": tus.ReaderAt(bytes.NewReader(data), 3000),
		"one reader":          tus.ReadSeeker(bytes.NewReader(data), 3000),
	} {
		for reader, opts := range map[string]*tus.Options{
			"checksum":    {Checksums: checksum.Builtin()},
			"fingerprint": {Store: &storage.Memory{}},
		} {
			t.Run(name+"/"+reader, func(t *testing.T) {
				srv := tustest.NewServer(t, nil)
				_, err := newClient(t, srv.Endpoint(), opts).Upload(testContext(t), source, chunked())
				wantError(t, err, tus.ErrSourceChanged)
				for _, up := range srv.Uploads() {
					if len(up.Data) > 2500 || !bytes.HasPrefix(data, up.Data) {
						t.Errorf("the server has %d bytes that differ from the source", len(up.Data))
					}
				}
				if reader == "fingerprint" && srv.Count("POST") > 0 {
					t.Error("an upload was created after the fingerprint found the source short")
				}
			})
		}
	}
}

// The chunk in memory is hashed with another algorithm.
func TestRefusedAlgorithm_SequentialSourceIsReadOnce(t *testing.T) {
	srv, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer"), ChecksumAlgorithms: []string{"sha1", "md5"}})
	srv.Inject(tustest.Fault{Method: "PATCH", Action: faults.RespondAfter(400, "", "Tus-Resumable", "1.0.0")})
	data := randomBytes(1000)
	opens := 0
	source := &hookedSource{
		Source: tus.Bytes(data), beforeOpen: func(context.Context) error { opens++; return nil },
		changeInfo: func(info *tus.SourceInfo) { info.Sequential = true },
	}
	res, err := client.Upload(testContext(t), source, chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if opens != 1 || srv.Count("PATCH") != 2 {
		t.Errorf("source was opened %d times for %d chunks", opens, srv.Count("PATCH"))
	}
}

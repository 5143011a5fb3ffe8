package tus_test

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

// benchmarkSize makes the cost of a request negligible.
const benchmarkSize = 1 << 30

// discard is a tus server that acknowledges all bytes and stores none.
type discard struct {
	extensions string
	uploads    atomic.Int64
	buffers    sync.Pool
}

func (d *discard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodOptions:
		w.Header().Set("Tus-Extension", d.extensions)
		w.Header().Set("Tus-Checksum-Algorithm", "sha1")
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPost:
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("Upload-Offset", strconv.FormatInt(n, 10))
		w.Header().Set("Location", "/files/"+strconv.FormatInt(d.uploads.Add(1), 10))
		w.WriteHeader(http.StatusCreated)
	case http.MethodPatch:
		buffer, ok := d.buffers.Get().(*[1 << 20]byte)
		if !ok {
			buffer = new([1 << 20]byte)
		}
		defer d.buffers.Put(buffer)
		n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, buffer[:])
		offset, _ := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
		w.Header().Set("Upload-Offset", strconv.FormatInt(offset+n, 10))
		w.WriteHeader(http.StatusNoContent)
	}
}

// discardVariable makes the test binary serve discard with these extensions until its
// input ends. In another process, the server does not count as cost of the client.
const discardVariable = "TUS_TEST_DISCARD"

// overTLS is the prefix of the extensions for a server with TLS.
const overTLS = "TLS "

func serveDiscard(extensions string) {
	srv := httptest.NewUnstartedServer(&discard{extensions: strings.TrimPrefix(extensions, overTLS)})
	if strings.HasPrefix(extensions, overTLS) {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	fmt.Println(srv.URL)
	io.Copy(io.Discard, os.Stdin)
	srv.Close()
}

// startDiscard starts a process that serves discard and returns its URL.
func startDiscard(b *testing.B, extensions string) string {
	b.Helper()
	_, url := childWithOutput(b, discardVariable+"="+extensions)
	return url
}

// benchmarkFile creates a file that is in the page cache.
func benchmarkFile(b *testing.B, size int64) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "file.bin")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, f); err != nil {
		b.Fatal(err)
	}
	return path
}

func benchmarkTransport(t *http.Transport) *http.Transport {
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the certificate is of another process
	withoutPacing(t)
	return t
}

func benchmarkClient(b *testing.B, extensions string) *tus.Client {
	transport := benchmarkTransport(tus.NewTransport())
	client, err := tus.NewClient(startDiscard(b, extensions)+"/files/", &tus.Options{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.CloseIdleConnections)
	return client
}

func benchmarkUpload(b *testing.B, extensions string, source func() tus.Source, size int64, opts *tus.UploadOptions) {
	client := benchmarkClient(b, extensions)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Upload(context.Background(), source(), opts); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUpload compares ways to send a file over loopback. "bare" is the baseline: a
// PATCH of net/http with the file as its body. "reader" is the same file as an
// io.Reader, which net/http copies.
func BenchmarkUpload(b *testing.B) {
	path := benchmarkFile(b, benchmarkSize)
	file := func() tus.Source { return tus.File(path) }
	bare := func(extensions string) func(b *testing.B) {
		return func(b *testing.B) {
			url := startDiscard(b, extensions)
			client := &http.Client{Transport: benchmarkTransport(&http.Transport{DialContext: new(net.Dialer).DialContext})}
			defer client.CloseIdleConnections()
			b.SetBytes(benchmarkSize)
			b.ReportAllocs()
			for b.Loop() {
				f, err := os.Open(path)
				if err != nil {
					b.Fatal(err)
				}
				req, _ := http.NewRequest(http.MethodPatch, url, f)
				req.ContentLength = benchmarkSize
				resp, err := client.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				resp.Body.Close()
			}
		}
	}
	b.Run("bare", bare("creation"))
	b.Run("TLS/bare", bare(overTLS+"creation"))
	for _, chunk := range []int64{0, 8 << 20} {
		b.Run(fmt.Sprintf("TLS/chunk=%dMiB", chunk>>20), func(b *testing.B) {
			benchmarkUpload(b, overTLS+"creation", file, benchmarkSize, &tus.UploadOptions{ChunkSize: chunk})
		})
	}
	for _, chunk := range []int64{0, 64 << 20, 8 << 20, 1 << 20} {
		b.Run(fmt.Sprintf("file/chunk=%dMiB", chunk>>20), func(b *testing.B) {
			benchmarkUpload(b, "creation", file, benchmarkSize, &tus.UploadOptions{ChunkSize: chunk})
		})
	}
	b.Run("parallel=4", func(b *testing.B) {
		benchmarkUpload(b, "creation,concatenation", file, benchmarkSize, &tus.UploadOptions{Parallel: 4})
	})
	b.Run("reader", func(b *testing.B) {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		benchmarkUpload(b, "creation", func() tus.Source { return tus.ReaderAt(f, benchmarkSize) }, benchmarkSize, nil)
	})
}

// BenchmarkChecksum measures sha1 in chunks of 8 MiB: hashed ahead of sending, which
// should take no longer than the slower of "hash" and "off"; in parts; in turn, as for a
// sequential source; and as a trailer. "both" hashes and sends at once, independently.
func BenchmarkChecksum(b *testing.B) {
	path := benchmarkFile(b, benchmarkSize)
	file := func() tus.Source { return tus.File(path) }
	opts := func(choice string) *tus.UploadOptions {
		return &tus.UploadOptions{ChunkSize: 8 << 20, Checksum: choice}
	}
	b.Run("hash", func(b *testing.B) {
		b.SetBytes(benchmarkSize)
		for b.Loop() {
			if err := hashFile(path, sha1.New()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("off", func(b *testing.B) {
		benchmarkUpload(b, "creation,checksum", file, benchmarkSize, opts("off"))
	})
	b.Run("both", func(b *testing.B) {
		var g errgroup.Group
		benchmarkUpload(b, "creation,checksum", func() tus.Source {
			g.Wait() // hashing of the previous upload
			g = errgroup.Group{}
			g.Go(func() error { return hashFile(path, sha1.New()) })
			return file()
		}, benchmarkSize, opts("off"))
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("ahead", func(b *testing.B) {
		benchmarkUpload(b, "creation,checksum", file, benchmarkSize, opts("sha1"))
	})
	b.Run("parallel=4", func(b *testing.B) {
		four := opts("sha1")
		four.Parallel = 4
		benchmarkUpload(b, "creation,concatenation,checksum", file, benchmarkSize, four)
	})
	b.Run("in turn", func(b *testing.B) {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		benchmarkUpload(b, "creation,checksum", func() tus.Source { return tus.ReadSeeker(f, benchmarkSize) }, benchmarkSize, opts("sha1"))
	})
	b.Run("trailer", func(b *testing.B) {
		benchmarkUpload(b, "creation,checksum,checksum-trailer", file, benchmarkSize, opts("sha1"))
	})
	b.Run("stream", func(b *testing.B) {
		benchmarkUpload(b, "creation,creation-defer-length,checksum",
			func() tus.Source { return tus.Reader(io.LimitReader(zeros{}, benchmarkSize)) }, benchmarkSize, opts("sha1"))
	})
}

// BenchmarkChecksumAhead alternates "ahead", "hash" and "off" of BenchmarkChecksum
// within one run, and reports the ratio of "ahead" to the slower of the others, as
// medians.
func BenchmarkChecksumAhead(b *testing.B) {
	path := benchmarkFile(b, benchmarkSize)
	client := benchmarkClient(b, "creation,checksum")
	send := func(choice string) func() error {
		return func() error {
			_, err := client.Upload(context.Background(), tus.File(path), &tus.UploadOptions{ChunkSize: 8 << 20, Checksum: choice})
			return err
		}
	}
	benchmarkInTurn(b, []turn{
		{"hash-s", func() error { return hashFile(path, sha1.New()) }}, {"off-s", send("off")}, {"ahead-s", send("sha1")},
	}, "ahead/max")
}

// turn is something to measure in turn with others.
type turn struct {
	name string // of its metric
	run  func() error
}

// benchmarkInTurn runs the turns one after the other, again and again, and reports the
// median time of each, and as ratio that of the last to the slower of the others.
func benchmarkInTurn(b *testing.B, turns []turn, ratio string) {
	took := make([][]time.Duration, len(turns))
	for b.Loop() {
		for i, t := range turns {
			begin := time.Now()
			if err := t.run(); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], time.Since(begin))
		}
	}
	var medians []float64
	for i, t := range turns {
		slices.Sort(took[i])
		medians = append(medians, took[i][len(took[i])/2].Seconds())
		b.ReportMetric(medians[i], t.name)
	}
	last := len(medians) - 1
	b.ReportMetric(medians[last]/slices.Max(medians[:last]), ratio)
}

// BenchmarkChecksumChunks uploads many chunks. B/op and allocs/op divided by their
// number are the cost of one chunk.
func BenchmarkChecksumChunks(b *testing.B) {
	for _, chunks := range []int64{8, 64, 512} {
		path := benchmarkFile(b, chunks<<16)
		b.Run(strconv.FormatInt(chunks, 10), func(b *testing.B) {
			benchmarkUpload(b, "creation,checksum", func() tus.Source { return tus.File(path) }, chunks<<16,
				&tus.UploadOptions{ChunkSize: 1 << 16, Checksum: "sha1"})
			b.ReportMetric(float64(chunks), "chunks/op")
		})
	}
}

// hashFile hashes a file with a large buffer; smaller ones are no faster.
func hashFile(path string, h hash.Hash) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 512<<10))
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// BenchmarkSmallFiles uploads 2,000 files of 4 KiB, where opening, stat and closing
// dominate.
func BenchmarkSmallFiles(b *testing.B) {
	const files, size = 2000, 4 << 10
	dir := b.TempDir()
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), randomBytes(size), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for name, store := range map[string]storage.Store{"no store": nil, "store": &storage.Memory{}} {
		b.Run(name, func(b *testing.B) {
			srv := httptest.NewServer(&discard{extensions: "creation,creation-with-upload"})
			defer srv.Close()
			client, err := tus.NewClient(srv.URL+"/files/", &tus.Options{Store: store})
			if err != nil {
				b.Fatal(err)
			}
			defer client.CloseIdleConnections()
			b.SetBytes(files * size)
			for b.Loop() {
				for i := range files {
					if _, err := client.UploadFile(context.Background(), filepath.Join(dir, fmt.Sprint(i)), nil); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

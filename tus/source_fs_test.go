package tus_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

const zerosSize = 256 << 20

// countedZeros is a reader of zeros that needs no memory and counts the bytes.
type countedZeros struct {
	at   int64
	read *atomic.Int64
}

func (z *countedZeros) Read(p []byte) (int, error) {
	n := min(int64(len(p)), zerosSize-z.at)
	if n == 0 {
		return 0, io.EOF
	}
	clear(p[:n])
	z.at += n
	z.read.Add(n)
	return int(n), nil
}

// zeroSeeker is countedZeros with Seek.
type zeroSeeker struct{ countedZeros }

func (z *zeroSeeker) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart {
		return 0, errors.New("unexpected")
	}
	z.at = offset
	return offset, nil
}

// compressedFS has a file that can be read forward only, as in a zip. Reads hang while
// hang is set.
type compressedFS struct {
	read    *atomic.Int64
	hangs   *atomic.Bool
	wake    chan struct{}
	reading chan struct{} // closed when a Read hangs
}

func newCompressedFS() compressedFS {
	return compressedFS{new(atomic.Int64), new(atomic.Bool), make(chan struct{}), make(chan struct{}, 1)}
}

type compressedFile struct {
	countedZeros
	fsys compressedFS
}

func (s compressedFS) Open(string) (fs.File, error) {
	return &compressedFile{countedZeros{read: s.read}, s}, nil
}

func (s compressedFS) Stat(string) (fs.FileInfo, error) {
	info, err := fs.Stat(fstest.MapFS{"f": {Mode: 0o600, ModTime: time.Unix(1e9, 0)}}, "f")
	return sizedInfo{info}, err
}

type sizedInfo struct{ fs.FileInfo }

func (sizedInfo) Size() int64 { return zerosSize }

func (f *compressedFile) Stat() (fs.FileInfo, error) { return f.fsys.Stat("f") }
func (f *compressedFile) Close() error               { return nil }

func (f *compressedFile) Read(p []byte) (int, error) {
	if f.fsys.hangs.Load() {
		f.fsys.reading <- struct{}{}
		<-f.fsys.wake
	}
	return f.countedZeros.Read(p)
}

func TestFSFile_SkippingEndsWithContext(t *testing.T) {
	fsys, srv := newCompressedFS(), tustest.NewServer(t, nil)
	u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.FSFile(fsys, "f"),
		&tus.UploadOptions{ChunkSize: 1 << 20, StopAt: 1 << 20, CreationLimit: -1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	fsys.hangs.Store(true)
	ctx, cancel := context.WithCancel(testContext(t))
	go func() {
		<-fsys.reading
		cancel()
	}()
	begin := time.Now()
	_, err = u.Run(ctx)
	wantError(t, err, context.Canceled)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	fsys.hangs.Store(false)
	close(fsys.wake)

	// Skipping ends with the context also if no Read hangs.
	ctx, cancel = context.WithCancel(testContext(t))
	cancel()
	before := fsys.read.Load()
	_, err = tus.FSFile(fsys, "f").Open(ctx, zerosSize-1)
	wantError(t, err, context.Canceled)
	if n := fsys.read.Load() - before; n > 1<<20 {
		t.Errorf("%d MiB were read", n>>20)
	}
}

// readAtFS has a file with ReadAt and without Seek.
type readAtFS struct{ compressedFS }

func (s readAtFS) Open(string) (fs.File, error) {
	return &readAtFile{compressedFile{countedZeros{read: s.read}, s.compressedFS}}, nil
}

type readAtFile struct{ compressedFile }

func (f *readAtFile) ReadAt(p []byte, offset int64) (int, error) {
	return (&countedZeros{at: offset, read: f.read}).Read(p)
}

func TestFSFile_ReaderAtSkipsNothing(t *testing.T) {
	fsys := readAtFS{newCompressedFS()}
	r, err := tus.FSFile(fsys, "f").Open(testContext(t), zerosSize-10)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if data, err := io.ReadAll(r); len(data) != 10 || err != nil || fsys.read.Load() > 10 {
		t.Errorf("%d bytes, of %d that were read: %v", len(data), fsys.read.Load(), err)
	}
}

func TestSample_BytesRead(t *testing.T) {
	var read atomic.Int64
	fsys := newCompressedFS()
	for name, test := range map[string]struct {
		source tus.Source
		read   *atomic.Int64
		most   int64
	}{
		"Seek":         {tus.ReadSeeker(&zeroSeeker{countedZeros{read: &read}}, zerosSize), &read, 2 << 20},
		"forward only": {tus.FSFile(fsys, "f"), fsys.read, zerosSize + 1<<20},
	} {
		client := newClient(t, "http://tus.test/files/", &tus.Options{Store: &storage.Memory{}, Fingerprinter: fingerprint.Sample{}})
		if _, err := client.PreviousUploads(testContext(t), test.source, nil); err != nil {
			t.Fatal(err)
		}
		if n := test.read.Load(); n == 0 || n > test.most {
			t.Errorf("%s: %d MiB were read of %d", name, n>>20, zerosSize>>20)
		}
	}
}

// TestFSFile_CompressedIsSentFromOffset compares the data, also of parts.
func TestFSFile_CompressedIsSentFromOffset(t *testing.T) {
	data := randomBytes(200_000)
	fsys := forwardFS{mapFS("f", data)}
	for name, opts := range map[string]*tus.UploadOptions{
		"chunks": {ChunkSize: 40_000}, "parts": {Parallel: 3, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{50_000, 120_000}}},
	} {
		srv := tustest.NewServer(t, nil)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.FSFile(fsys, "f"), opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if up, _ := srv.Upload(res.URL); sha256.Sum256(up.Data) != sha256.Sum256(data) {
			t.Errorf("%s: the server has different data", name)
		}
	}
}

// forwardFS has files with Read and Stat only.
type forwardFS struct{ fs.FS }

func (s forwardFS) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	return struct{ fs.File }{f}, err
}

// A file is truncated below the offset of the next chunk.
func TestFSFile_TruncatedBelowOffsetIsAnError(t *testing.T) {
	for name, forward := range map[string]bool{"forward": true, "seeks": false} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			data := randomBytes(10_000)
			files := mapFS("f", data)
			source := tus.FSFile(files, "f")
			if forward {
				source = tus.FSFile(forwardFS{files}, "f")
			}
			u, err := newClient(t, srv.Endpoint(), nil).NewUploader(source, &tus.UploadOptions{ChunkSize: 4000, StopAt: 4000})
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)
			files["f"].Data = data[:2000]
			_, err = u.Run(testContext(t))
			wantError(t, err, tus.ErrSourceChanged)
		})
	}
}

func TestFSFile_CorruptArchiveIsNotStored(t *testing.T) {
	data := bytes.Repeat([]byte("all the same "), 1000)
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		for _, opts := range []*tus.UploadOptions{nil, whole(), chunked()} {
			srv := tustest.NewServer(t, nil)
			_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.FSFile(corruptArchive(t, method, data), "a.txt"), opts)
			wantError(t, err, zip.ErrChecksum)
			wantNoMix(t, srv, data)
		}
	}
}

// corruptArchive returns an archive whose file a.txt has a wrong checksum.
func corruptArchive(t testing.TB, method uint16, data []byte) *zip.Reader {
	t.Helper()
	packed := data
	if method == zip.Deflate {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
		w.Close()
		packed = b.Bytes()
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	f, err := w.CreateRaw(&zip.FileHeader{
		Name: "a.txt", Method: method, CRC32: crc32.ChecksumIEEE(data) + 1,
		CompressedSize64: uint64(len(packed)), UncompressedSize64: uint64(len(data)),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Write(packed)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFSFile_WithoutSeek(t *testing.T) {
	data := randomBytes(3000)
	srv := tustest.NewServer(t, nil)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.FSFile(forwardFS{mapFS("f", data)}, "f"), chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

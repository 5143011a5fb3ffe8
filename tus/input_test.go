package tus_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestBadClientOptionsAreRefused(t *testing.T) {
	for name, endpoint := range map[string]string{
		"empty": "", "blank": "  ", "relative": "/files/", "no scheme": "example.org/files/", "other scheme": "ftp://example.org/",
		"no host": "http:///files/", "only a port": "http://:1080/", "opaque": "http:example.org", "bad port": "http://example.org:port/",
		"bad escape": "http://example.org/%zz", "bad host": "http://[::1/", "space in host": "http://exa mple.org/", "control": "http://example.org/\x00",
		"file": "file:///etc/passwd", "script": "javascript:alert(1)",
	} {
		t.Run("endpoint "+name, func(t *testing.T) {
			client, err := tus.NewClient(endpoint, nil)
			wantError(t, err, tus.ErrInvalidInput)
			if client != nil {
				t.Error("NewClient returned a client")
			}
		})
	}
	for name, opts := range map[string]*tus.Options{
		"trusted origin without scheme":  {TrustedOrigins: []string{"example.org"}},
		"trusted origin of other scheme": {TrustedOrigins: []string{"ws://example.org"}},
		"empty trusted origin":           {TrustedOrigins: []string{""}},
		"rate limit without burst":       {RateLimit: burst(0)},
		"negative rate limit":            {RateLimit: burst(-1)},
		"nil rate limit":                 {RateLimit: (*allInterfaces)(nil)},
		"nil store":                      {Store: (*allInterfaces)(nil)},
		"nil fingerprinter":              {Fingerprinter: (*allInterfaces)(nil)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tus.NewClient("http://example.org/", opts)
			wantError(t, err, tus.ErrInvalidInput)
		})
	}
}

func TestNilPointer_IsNamedInError(t *testing.T) {
	newClient := func(opts tus.Options) error {
		_, err := tus.NewClient("http://example.org/", &opts)
		return err
	}
	client, err := tus.NewClient("http://example.org/", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, nilSource := client.NewUploader((*allInterfaces)(nil), nil)
	for want, err := range map[string]error{
		"Options.Store is a nil *tus_test.allInterfaces":         newClient(tus.Options{Store: (*allInterfaces)(nil)}),
		"Options.Fingerprinter is a nil *tus_test.allInterfaces": newClient(tus.Options{Fingerprinter: (*allInterfaces)(nil)}),
		"Options.RateLimit is a nil *tus_test.allInterfaces":     newClient(tus.Options{RateLimit: (*allInterfaces)(nil)}),
		"source is a nil *tus_test.allInterfaces":                nilSource,
	} {
		wantError(t, err, tus.ErrInvalidInput)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error is %q, want one with %q", err, want)
		}
	}
}

// burst is a limiter that never waits.
type burst int

func (b burst) Burst() int                       { return int(b) }
func (b burst) WaitN(context.Context, int) error { return nil }

// allInterfaces implements all interfaces of the options. Its methods panic if it is nil.
type allInterfaces struct {
	tus.Limiter
	storage.Store
	fingerprint.Fingerprinter
	tus.Source
}

func TestEndpoint_SpacesAndFragmentAreDropped(t *testing.T) {
	client, err := tus.NewClient(" http://example.org/files/?a=b#c\n", nil)
	if err != nil || client.Endpoint() != "http://example.org/files/?a=b" {
		t.Errorf("endpoint is %q, %v", client.Endpoint(), err)
	}
}

func TestBadInputSendsNoRequest(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, randomBytes(3000), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := makePipe(pipe); err != nil {
		t.Fatal(err)
	}
	opened, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	data := tus.Bytes(randomBytes(3000))
	with := func(o tus.UploadOptions) *tus.UploadOptions { return &o }

	tests := map[string]struct {
		source tus.Source
		opts   *tus.UploadOptions
		want   error
	}{
		"no source":                     {nil, nil, tus.ErrInvalidInput},
		"nil source":                    {(*allInterfaces)(nil), nil, tus.ErrInvalidInput},
		"missing file":                  {tus.File(filepath.Join(dir, "nothing")), nil, fs.ErrNotExist},
		"no path":                       {tus.File(""), nil, fs.ErrNotExist},
		"path through a file":           {tus.File(filepath.Join(file, "x")), nil, syscall.ENOTDIR},
		"directory":                     {tus.File(dir), nil, tus.ErrInvalidInput},
		"opened directory":              {tus.OpenedFile(opened), nil, tus.ErrInvalidInput},
		"named pipe":                    {tus.File(pipe), nil, tus.ErrInvalidInput},
		"device":                        {tus.File(os.DevNull), nil, tus.ErrInvalidInput},
		"missing file of a file system": {tus.FSFile(os.DirFS(dir), "nothing"), nil, fs.ErrNotExist},
		"directory of a file system":    {tus.FSFile(os.DirFS(dir), "."), nil, tus.ErrInvalidInput},
		"invalid name of a file system": {tus.FSFile(os.DirFS(dir), "../etc/passwd"), nil, fs.ErrInvalid},
		"pipe of a file system":         {tus.FSFile(os.DirFS(dir), "pipe"), nil, tus.ErrInvalidInput},
		"negative size":                 {tus.ReaderAt(bytes.NewReader(nil), -1), nil, tus.ErrInvalidInput},
		"negative size of a seeker":     {tus.ReadSeeker(bytes.NewReader(nil), -1), nil, tus.ErrInvalidInput},
		"source whose Stat fails":       {brokenSource{errUnplugged}, nil, errUnplugged},
		"nil file":                      {tus.OpenedFile(nil), nil, tus.ErrInvalidInput},
		"nil file system":               {tus.FSFile(nil, "x"), nil, tus.ErrInvalidInput},
		"nil io.ReaderAt":               {tus.ReaderAt(nil, 5), nil, tus.ErrInvalidInput},
		"nil io.ReadSeeker":             {tus.ReadSeeker(nil, 5), nil, tus.ErrInvalidInput},
		"file that cannot be opened":    {tus.FSFile(deniedFS{mapFS("f", randomBytes(3000))}, "f"), nil, fs.ErrPermission},
		"negative chunk size":           {data, with(tus.UploadOptions{ChunkSize: -1}), tus.ErrInvalidInput},
		"negative minimum":              {data, with(tus.UploadOptions{MinChunkSize: -1}), tus.ErrInvalidInput},
		"minimum above the chunk size":  {data, with(tus.UploadOptions{ChunkSize: 5, MinChunkSize: 6}), tus.ErrInvalidInput},
		"negative stop":                 {data, with(tus.UploadOptions{StopAt: -1}), tus.ErrInvalidInput},
		"empty metadata key":            {data, with(tus.UploadOptions{Metadata: tus.Metadata{"": "x"}}), tus.ErrInvalidInput},
		"space in a metadata key":       {data, with(tus.UploadOptions{Metadata: tus.Metadata{"a b": "x"}}), tus.ErrInvalidInput},
		"comma in a metadata key":       {data, with(tus.UploadOptions{Metadata: tus.Metadata{"a,b": "x"}}), tus.ErrInvalidInput},
		"umlaut in a metadata key":      {data, with(tus.UploadOptions{Metadata: tus.Metadata{"ä": "x"}}), tus.ErrInvalidInput},
		"line break in a metadata key":  {data, with(tus.UploadOptions{Metadata: tus.Metadata{"a\r\nX": "x"}}), tus.ErrInvalidInput},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), test.source, test.opts)
			wantError(t, err, test.want)
			if strings.ContainsAny(err.Error(), "\r\n") || err.Error() == "" {
				t.Errorf("error is not one line: %q", err)
			}
			if res.URL != "" || res.Stats.Retries != 0 {
				t.Errorf("result is %+v", res)
			}
			wantMethods(t, srv.Handler)
		})
	}

	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	for _, raw := range []string{"", "nonsense", "ftp://example.org/1", "http://", "/files/1", "http://[::1"} {
		_, infoErr := client.Info(testContext(t), raw)
		_, resumeErr := client.Resume(testContext(t), raw, data, nil)
		for _, err := range []error{infoErr, resumeErr, client.Terminate(testContext(t), raw)} {
			wantError(t, err, tus.ErrInvalidInput)
		}
	}
	_, err = client.NewResumer(srv.Endpoint()+"1", data, &tus.UploadOptions{Parallel: 2})
	wantError(t, err, tus.ErrInvalidInput)
	wantMethods(t, srv.Handler)
}

var errUnplugged = errors.New("device was unplugged")

// brokenSource fails each Stat.
type brokenSource struct{ err error }

func (s brokenSource) Stat(context.Context) (tus.SourceInfo, error) { return tus.SourceInfo{}, s.err }
func (s brokenSource) Open(context.Context, int64) (io.ReadCloser, error) {
	return nil, s.err
}

// readerSource is a source of a size whose readers are made by a function.
type readerSource struct {
	size int64
	open func(offset int64) io.Reader
}

func (s readerSource) Stat(context.Context) (tus.SourceInfo, error) {
	return tus.SourceInfo{Size: s.size}, nil
}

func (s readerSource) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(s.open(offset)), nil
}

// readerFunc is a function that implements io.Reader.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReader_ContractViolationEndsUpload(t *testing.T) {
	data := randomBytes(3000)
	// after returns the data up to n, and then the results of a function.
	after := func(n int, then readerFunc) func(int64) io.Reader {
		return func(offset int64) io.Reader {
			return io.MultiReader(bytes.NewReader(data[min(offset, int64(n)):n]), then)
		}
	}
	for name, test := range map[string]struct {
		open func(int64) io.Reader
		want error
	}{
		"an error at once":      {after(0, func([]byte) (int, error) { return 0, errUnplugged }), errUnplugged},
		"a later error":         {after(1700, func([]byte) (int, error) { return 0, errUnplugged }), errUnplugged},
		"an early end":          {after(1700, func([]byte) (int, error) { return 0, io.EOF }), tus.ErrSourceChanged},
		"an end at once":        {after(0, func([]byte) (int, error) { return 0, io.EOF }), tus.ErrSourceChanged},
		"one byte too few":      {after(2999, func([]byte) (int, error) { return 0, io.EOF }), tus.ErrSourceChanged},
		"too large a count":     {after(1700, func(p []byte) (int, error) { return len(p) + 1, nil }), nil},
		"a negative count":      {after(1700, func([]byte) (int, error) { return -1, nil }), nil},
		"no bytes and no error": {after(1700, func([]byte) (int, error) { return 0, nil }), io.ErrNoProgress},
		"ErrSourceChanged":      {after(1700, func([]byte) (int, error) { return 0, fmt.Errorf("%w: by the reader", tus.ErrSourceChanged) }), tus.ErrSourceChanged},
	} {
		for _, opts := range []*tus.UploadOptions{nil, whole(), chunked()} {
			t.Run(name, func(t *testing.T) {
				srv := tustest.NewServer(t, nil)
				res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), readerSource{3000, test.open}, opts)
				if err == nil {
					t.Fatal("upload succeeded")
				}
				if test.want != nil {
					wantError(t, err, test.want)
				}
				if tus.IsRetryable(err) || res.Stats.Retries != 0 {
					t.Errorf("after %d retries: %v", res.Stats.Retries, err)
				}
				wantNoMix(t, srv, data)
			})
		}
	}
}

func TestReader_ErrorWithLastBytesEndsUpload(t *testing.T) {
	data := randomBytes(3000)
	srv := tustest.NewServer(t, nil)
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), readerSource{3000, func(offset int64) io.Reader {
		rest := data[offset:]
		return readerFunc(func(p []byte) (n int, err error) {
			n = copy(p, rest)
			if rest = rest[n:]; len(rest) == 0 {
				err = errUnplugged
			}
			return n, err
		})
	}}, whole())
	wantError(t, err, errUnplugged)
	wantNoMix(t, srv, data)
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

// wantNoMix fails if the server has a complete upload, or bytes that differ from data.
func wantNoMix(t testing.TB, srv *tustest.Server, data []byte) {
	t.Helper()
	for _, up := range srv.Uploads() {
		if up.Complete() {
			t.Errorf("server has a complete upload of %d bytes", len(up.Data))
		}
		if !bytes.HasPrefix(data, up.Data) {
			t.Errorf("the %d bytes on the server are not the start of the source", len(up.Data))
		}
	}
}

func TestReader_ShortReadsAreFine(t *testing.T) {
	data := randomBytes(3000)
	srv := tustest.NewServer(t, nil)
	calls := 0
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), readerSource{3000, func(offset int64) io.Reader {
		rest := bytes.NewReader(data[offset:])
		return readerFunc(func(p []byte) (int, error) {
			if calls++; calls%3 == 0 {
				return 0, nil // discouraged by io.Reader, but allowed
			}
			return rest.Read(p[:min(len(p), 7)])
		})
	}}, chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestReader_EOFWithLastBytesIsFine(t *testing.T) {
	data := randomBytes(3000)
	srv := tustest.NewServer(t, nil)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), readerSource{3000, func(offset int64) io.Reader {
		rest := data[offset:]
		return readerFunc(func(p []byte) (n int, err error) {
			n = copy(p, rest)
			if rest = rest[n:]; len(rest) == 0 {
				err = io.EOF
			}
			return n, err
		})
	}}, chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestFile_WithoutPermissionSendsNoRequest(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can read all files; TestBadInputSendsNoRequest denies it by an fs.FS")
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, randomBytes(3000), 0o200); err != nil {
		t.Fatal(err)
	}
	srv := tustest.NewServer(t, nil)
	_, err := newClient(t, srv.Endpoint(), nil).UploadFile(testContext(t), path, chunked())
	wantError(t, err, fs.ErrPermission)
	wantMethods(t, srv.Handler)
}

// deniedFS has files that cannot be opened. Stat succeeds.
type deniedFS struct{ files fstest.MapFS }

func (f deniedFS) Stat(name string) (fs.FileInfo, error) { return f.files.Stat(name) }
func (f deniedFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
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

func TestReadSeeker_SeekErrorEndsUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.ReadSeeker(stuckSeeker{}, 3000), chunked())
	wantError(t, err, errUnplugged)
	if bytesReceived(srv) != 0 {
		t.Errorf("%d bytes were sent", bytesReceived(srv))
	}
}

type stuckSeeker struct{ io.Reader }

func (stuckSeeker) Seek(int64, int) (int64, error) { return 0, errUnplugged }

// changes returns changes of a file during its upload, by name.
func changes(t *testing.T, path string) map[string]func() {
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	other := bytes.Repeat([]byte("other!"), 50_000) // as long as the original
	return map[string]func(){
		"truncated": func() { must(os.Truncate(path, 1700)) },
		"emptied":   func() { must(os.Truncate(path, 0)) },
		"grown": func() {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			must(err)
			_, err = f.WriteString("more")
			must(err)
			must(f.Close())
		},
		"replaced": func() {
			must(os.WriteFile(path+".new", other, 0o600))
			must(os.Rename(path+".new", path))
		},
		"replaced by one of the same size and time": func() {
			must(os.WriteFile(path+".new", other, 0o600))
			must(os.Chtimes(path+".new", time.Time{}, longAgo))
			must(os.Rename(path+".new", path))
		},
		"overwritten in place": func() { must(os.WriteFile(path, other, 0o600)) },
		"touched":              func() { must(os.Chtimes(path, time.Time{}, longAgo.Add(time.Second))) },
		"removed":              func() { must(os.Remove(path)) },
		"now a directory":      func() { must(os.Remove(path)); must(os.Mkdir(path, 0o700)) },
		"now a pipe":           func() { must(os.Remove(path)); must(makePipe(path)) },
	}
}

var longAgo = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func TestFile_ChangeIsNeverStoredAsComplete(t *testing.T) {
	data := randomBytes(300_000)
	sources := map[string]func(path string, opened *os.File) tus.Source{
		"File":       func(path string, _ *os.File) tus.Source { return tus.File(path) },
		"OpenedFile": func(_ string, opened *os.File) tus.Source { return tus.OpenedFile(opened) },
		"FSFile": func(path string, _ *os.File) tus.Source {
			return tus.FSFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
		},
	}
	ways := map[string]*tus.UploadOptions{
		"in the creation":    nil,
		"in one PATCH":       whole(),
		"in chunks":          {ChunkSize: 100_000},
		"in chunks, resumed": {ChunkSize: 100_000, StopAt: 150_000},
	}
	for kind, source := range sources {
		for way, opts := range ways {
			for change := range changes(t, "") {
				t.Run(kind+"/"+way+"/"+change, func(t *testing.T) {
					path := tempFile(t, data)
					if err := os.Chtimes(path, time.Time{}, longAgo); err != nil {
						t.Fatal(err)
					}
					opened, err := os.Open(path)
					if err != nil {
						t.Fatal(err)
					}
					defer opened.Close()

					// The change happens after the server has read the first bytes of a request.
					method, skip := "PATCH", 0
					switch {
					case opts == nil:
						method = "POST"
					case opts.ChunkSize > 0:
						skip = 1
					}
					var happened atomic.Bool
					srv := tustest.NewServer(t, nil)
					srv.Inject(tustest.Fault{Method: method, Skip: skip, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
						r.Body = &interruptedBody{ReadCloser: r.Body, then: func() { happened.Store(true); changes(t, path)[change]() }}
						h.Serve(w, r)
					}})
					u, err := newClient(t, srv.Endpoint(), nil).NewUploader(source(path, opened), opts)
					if err != nil {
						t.Fatal(err)
					}
					for err = tus.ErrPaused; errors.Is(err, tus.ErrPaused); {
						_, err = u.Run(testContext(t))
					}
					if !happened.Load() {
						t.Fatal("the change did not happen")
					}
					if kind == "OpenedFile" && (strings.HasPrefix(change, "replaced") || change == "removed" || strings.HasPrefix(change, "now ")) {
						// The handle of the caller still reads the original.
						if err != nil {
							t.Fatal(err)
						}
						wantStored(t, srv.Handler, u.URL(), data)
						return
					}
					if change == "touched" && err == nil && (opts == nil || opts.ChunkSize == 0) {
						// Found after every byte is acknowledged; the content is the same.
						wantStored(t, srv.Handler, u.URL(), data)
						return
					}
					// If the kernel took the last bytes before the change, the server may have
					// a complete upload. Then only the error shows the change.
					if err == nil {
						t.Fatal("upload succeeded")
					}
					wantChanged(t, err)
					for _, up := range srv.Uploads() {
						if opts != nil && opts.ChunkSize > 0 && up.Complete() {
							t.Error("server has a complete upload, though another chunk followed the change")
						}
					}
				})
			}
		}
	}
}

// wantChanged accepts all errors of a file that changed.
func wantChanged(t testing.TB, err error) {
	t.Helper()
	for _, want := range []error{tus.ErrSourceChanged, fs.ErrNotExist, tus.ErrInvalidInput} {
		if errors.Is(err, want) {
			return
		}
	}
	t.Errorf("error is %v", err)
}

// interruptedBody calls a function after its first read.
type interruptedBody struct {
	io.ReadCloser
	then func()
}

func (b *interruptedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), 1000)])
	if b.then != nil {
		b.then()
		b.then = nil
	}
	return n, err
}

func TestFile_ChangeBetweenRunsIsAnError(t *testing.T) {
	data := randomBytes(300_000)
	for change := range changes(t, "") {
		t.Run(change, func(t *testing.T) {
			path := tempFile(t, data)
			if err := os.Chtimes(path, time.Time{}, longAgo); err != nil {
				t.Fatal(err)
			}
			srv := tustest.NewServer(t, nil)
			u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.File(path), &tus.UploadOptions{StopAt: 100_000})
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)
			changes(t, path)[change]()
			_, err = u.Run(testContext(t))
			if err == nil {
				t.Fatal("upload succeeded")
			}
			wantChanged(t, err)
			if tus.IsRetryable(err) {
				t.Errorf("error is retryable: %v", err)
			}
			wantNoMix(t, srv, data)
		})
	}
}

func TestSource_ChangedVersionIsAnError(t *testing.T) {
	data := randomBytes(3000)
	srv := tustest.NewServer(t, nil)
	var version atomic.Int32
	source := &hookedSource{Source: tus.Bytes(data), changeInfo: func(info *tus.SourceInfo) { info.Version = fmt.Sprint(version.Load()) }}
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		version.Add(1)
		h.Serve(w, r)
	}})
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, chunked())
	wantError(t, err, tus.ErrSourceChanged)
	wantNoMix(t, srv, data)
}

func TestMetadata_ReachesServer(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	want := tus.Metadata{"filename": "ä \x00\xff,=.txt", "empty": "", "!#$%&'*+-.^_`|~": "odd key", "big": strings.Repeat("x", 5000)}
	res, err := client.Upload(testContext(t), tus.Bytes(nil), &tus.UploadOptions{Metadata: want})
	if err != nil {
		t.Fatal(err)
	}
	info, err := client.Info(testContext(t), res.URL)
	if err != nil || fmt.Sprint(info.Metadata) != fmt.Sprint(want) {
		t.Errorf("metadata is %q, %v", info.Metadata, err)
	}
}

func TestInfo_ParsesMetadataLeniently(t *testing.T) {
	for header, want := range map[string]tus.Metadata{
		"":                                   nil,
		"a YQ==":                             {"a": "a"},
		"a YQ":                               {"a": "a"}, // without padding
		" a YQ== , b Yg== ":                  {"a": "a", "b": "b"},
		"flag":                               {"flag": ""},
		"flag ,":                             {"flag": ""},
		",,,":                                nil,
		"bad !!!,a YQ==":                     {"a": "a"},
		strings.Repeat(",", 1000) + "a YQ==": {"a": "a"},
	} {
		srv := tustest.NewServer(t, nil)
		target := uploadOn(t, srv, randomBytes(10))
		srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Metadata", header)})
		info, err := newClient(t, srv.Endpoint(), nil).Info(testContext(t), target)
		if err != nil || fmt.Sprint(info.Metadata) != fmt.Sprint(want) {
			t.Errorf("%q is read as %v, %v; want %v", header, info.Metadata, err, want)
		}
	}
}

func TestInfo_ConcatenationAndExpiry(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "partial": "partial", "final;/files/1 /files/2": "final", "final;http://a/1  http://b/2": "final", "final": "", "nonsense": "",
	} {
		srv := tustest.NewServer(t, nil)
		target := uploadOn(t, srv, randomBytes(10))
		srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Concat", header, "Upload-Expires", "Wed, 25 Jun 2031 16:00:00 GMT")})
		info, err := newClient(t, srv.Endpoint(), nil).Info(testContext(t), target)
		if err != nil || info.Concat != want {
			t.Errorf("%q is read as %q, %v", header, info.Concat, err)
		}
		if !info.Expires.Equal(time.Date(2031, 6, 25, 16, 0, 0, 0, time.UTC)) {
			t.Errorf("expires %v", info.Expires)
		}
	}
}

func TestInfo_FinalUploadMayLackOffset(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	target := uploadOn(t, srv, randomBytes(10))
	srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Concat", "final;/files/1", "Upload-Offset", "")})
	info, err := newClient(t, srv.Endpoint(), nil).Info(testContext(t), target)
	if err != nil || info.Offset != 0 || info.Length != 10 || info.Complete() {
		t.Errorf("info is %+v, %v", info, err)
	}
	srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Length", "")})
	info, err = newClient(t, srv.Endpoint(), nil).Info(testContext(t), target)
	if err != nil || !info.LengthDeferred || info.Complete() {
		t.Errorf("info is %+v, %v", info, err)
	}
	srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Length", "ten")})
	_, err = newClient(t, srv.Endpoint(), nil).Info(testContext(t), target)
	wantError(t, err, tus.ErrProtocol)
}

func TestOptions_CapabilitiesAreCopied(t *testing.T) {
	caps := &tus.Capabilities{Extensions: []string{"concatenation"}}
	client := newClient(t, tustest.NewServer(t, nil).Endpoint(), &tus.Options{Capabilities: caps})
	caps.Extensions[0] = "other"
	got, err := client.Capabilities(testContext(t))
	if err != nil || !got.Supports("concatenation") {
		t.Fatalf("capabilities are %+v, %v", got, err)
	}
}

func TestUploadOptions_AreCopied(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	data := randomBytes(4000)
	opts := &tus.UploadOptions{
		Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1000}, PartMetadata: tus.Metadata{"name": "part"}},
		Metadata: tus.Metadata{"name": "one"},
	}
	u, err := client.NewUploader(tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	opts.Metadata["not a key"], opts.ParallelOptions.PartMetadata["not a key"] = "two", "two"
	opts.ParallelOptions.PartBoundaries[0] = -1
	res, err := u.Run(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	for _, upload := range srv.Uploads() {
		if upload.Metadata != "name b25l" && upload.Metadata != "name cGFydA==" { // one, part
			t.Errorf("metadata is %q", upload.Metadata)
		}
	}
}

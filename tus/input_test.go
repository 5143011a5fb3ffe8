package tus_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

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

func TestOptions_CapabilitiesAreCopied(t *testing.T) {
	caps := &tus.Capabilities{Extensions: []string{"concatenation"}}
	client := newClient(t, tustest.NewServer(t, nil).Endpoint(), &tus.Options{Capabilities: caps})
	caps.Extensions[0] = "other"
	got, err := client.Capabilities(testContext(t))
	if err != nil || !slices.Contains(got.Extensions, "concatenation") {
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

package tus_test

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// tokenOf uploads source until the request, at which the context is canceled, and returns the
// token of the upload.
func tokenOf(t *testing.T, srv *tustest.Server, client *tus.Options, source tus.Source, opts *tus.UploadOptions, request tustest.Fault) string {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	request.Action = func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		cancel()
		tustest.Stall()(w, r, h)
	}
	srv.Inject(request)
	u, err := newClient(t, srv.Endpoint(), client).NewUploader(source, opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	token, err := u.Token(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func byTokenOf(token string, opts *tus.UploadOptions) *tus.UploadOptions {
	with := tus.UploadOptions{}
	if opts != nil {
		with = *opts
	}
	with.Token = token
	return &with
}

func TestToken_ResumesOnAnotherMachine(t *testing.T) {
	data := randomBytes(unequalSize)
	file := func(t *testing.T) tus.Source {
		path := filepath.Join(t.TempDir(), "a file")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return tus.File(path)
	}
	memory := func(*testing.T) tus.Source { return tus.Bytes(data) }
	tests := map[string]struct {
		from, to func(*testing.T) tus.Source
		opts     tus.UploadOptions
	}{
		"file to file":      {file, file, *chunked()},
		"file to memory":    {file, memory, *chunked()},
		"checksum":          {file, file, tus.UploadOptions{ChunkSize: 1000, Checksum: "sha1"}},
		"digest":            {file, file, tus.UploadOptions{ChunkSize: 1000, Digest: "sha256"}},
		"deferred length":   {file, file, tus.UploadOptions{ChunkSize: 1000, DeferLength: true}},
		"parts":             {file, file, *unequal()},
		"parts with digest": {file, file, func() tus.UploadOptions { o := *unequal(); o.Digest = "sha256"; return o }()},
		"seeker to file":    {func(*testing.T) tus.Source { return tus.ReadSeeker(bytes.NewReader(data), int64(len(data))) }, file, *chunked()},
		"file to seeker":    {file, func(*testing.T) tus.Source { return tus.ReadSeeker(bytes.NewReader(data), int64(len(data))) }, *chunked()},
		"stream to stream": {func(*testing.T) tus.Source { return tus.Reader(bytes.NewReader(data)) },
			func(*testing.T) tus.Source { return tus.Reader(bytes.NewReader(data)) }, *chunked()},
		"sized stream to file": {func(*testing.T) tus.Source { return tus.ReaderN(bytes.NewReader(data), unequalSize) }, file, *chunked()},
		"stream to file":       {func(*testing.T) tus.Source { return tus.Reader(bytes.NewReader(data)) }, file, *chunked()},
	}
	for name, test := range tests {
		for _, stores := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				srv := finalLast(t)
				a, b := tus.Options{Checksums: checksum.Builtin()}, tus.Options{Checksums: checksum.Builtin(), Retry: retryOften()}
				if stores {
					a.Store, b.Store = &storage.Memory{}, &storage.Memory{}
				}
				token := tokenOf(t, srv, &a, test.from(t), &test.opts, tustest.Fault{Method: "PATCH", Skip: 2})
				before := bytesReceived(srv)
				creations := srv.Count("POST")
				var resumed []tus.Resumed
				opts := test.opts
				opts.Hooks.OnResumed = func(_ *tus.Uploader, r tus.Resumed) { resumed = append(resumed, r) }
				res, err := newClient(t, srv.Endpoint(), &b).Upload(testContext(t), test.to(t), byTokenOf(token, &opts))
				if err != nil {
					t.Fatal(err)
				}
				if opts.Parallel > 1 {
					wantFinals(t, srv, res, data, false)
					creations++ // the final upload
				} else {
					wantStored(t, srv.Handler, res.URL, data)
				}
				if srv.Count("POST") != creations || res.Stats.ResumedFrom == 0 || len(resumed) == 0 || res.Size != unequalSize {
					t.Errorf("%d creations, resumed %+v, result %+v", srv.Count("POST")-creations, resumed, res)
				}
				if res.Stats.Sent > unequalSize-before+2*1000 {
					t.Errorf("%d bytes sent, %d of %d were received before", res.Stats.Sent, before, unequalSize)
				}
				if opts.Digest != "" && res.Digest != sha256Of(data) {
					t.Errorf("digest %q", res.Digest)
				}
				if stores {
					if n := len(records(t, b.Store)); n != 0 {
						t.Errorf("%d records are left", n)
					}
				}
			})
		}
	}
}

func TestToken_HasMetadataAndKeptHeader(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(5000)
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("X-Media-Id", "m-1")})
	opts := unequal()
	opts.Metadata = tus.Metadata{"filename": "name", "binary": "\xff\x00"}
	token := tokenOf(t, srv, nil, tus.Bytes(data), opts, tustest.Fault{Method: "PATCH", Skip: 2})
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), byTokenOf(token, &tus.UploadOptions{ChunkSize: 1000, Parallel: 2}))
	if err != nil {
		t.Fatal(err)
	}
	if up, _ := srv.Upload(res.URL); !maps.Equal(tus.ParseMetadata(up.Metadata), opts.Metadata) {
		t.Errorf("metadata of the final upload are %q", up.Metadata)
	}

	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("X-Media-Id", "m-1")})
	token = tokenOf(t, srv, &tus.Options{KeepHeaders: []string{"X-Media-Id"}}, tus.Bytes(data), chunked(), tustest.Fault{Method: "PATCH", Skip: 2})
	res, err = newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), byTokenOf(token, chunked()))
	if err != nil || res.Creation.Header.Get("X-Media-Id") != "m-1" {
		t.Errorf("header of the creation is %q, %v", res.Creation.Header, err)
	}
}

func TestToken_OtherSourceIsFound(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(5000)
	token := tokenOf(t, srv, nil, tus.Bytes(data), chunked(), tustest.Fault{Method: "PATCH", Skip: 2})
	digested := tokenOf(t, srv, nil, tus.ReadSeeker(bytes.NewReader(data), int64(len(data))), &tus.UploadOptions{ChunkSize: 1000, Digest: "sha256"}, tustest.Fault{Method: "PATCH", Skip: 2})
	changed := bytes.Clone(data)
	changed[1500]++
	requests := len(srv.Requests())
	for name, test := range map[string]struct {
		token  string
		source tus.Source
		opts   tus.UploadOptions
		want   error
	}{
		"shorter":        {token, tus.Bytes(data[1:]), tus.UploadOptions{}, tus.ErrSourceMismatch},
		"sized stream":   {token, tus.ReaderN(bytes.NewReader(data[1:]), 4999), tus.UploadOptions{}, tus.ErrSourceMismatch},
		"changed":        {token, tus.Bytes(changed), tus.UploadOptions{}, tus.ErrSourceChanged},
		"changed seeker": {token, tus.ReadSeeker(bytes.NewReader(changed), int64(len(changed))), tus.UploadOptions{}, tus.ErrSourceChanged},
		"digest":         {digested, tus.Bytes(changed), tus.UploadOptions{ChunkSize: 1000, Digest: "sha256"}, tus.ErrSourceChanged},
	} {
		t.Run(name, func(t *testing.T) {
			store := &storage.Memory{}
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(testContext(t), test.source, byTokenOf(test.token, &test.opts))
			wantError(t, err, test.want)
			if n := len(records(t, store)); n != 0 {
				t.Errorf("%d records are left", n)
			}
		})
	}
	if n := srv.Count("PATCH") + srv.Count("POST"); n != 8 || len(srv.Requests()) > requests+2 {
		t.Errorf("%d PATCH and POST, %d requests more", n, len(srv.Requests())-requests)
	}
}

func TestToken_NeverStartsOver(t *testing.T) {
	data := randomBytes(unequalSize)
	for name, test := range map[string]struct {
		opts *tus.UploadOptions
		gone func(srv *tustest.Server)
	}{
		"gone": {chunked(), func(srv *tustest.Server) { srv.Forget(srv.Uploads()[0].ID) }},
		"gone in mid-upload": {chunked(), func(srv *tustest.Server) {
			srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: vanishWith(404)})
		}},
		"all parts gone": {unequal(), func(srv *tustest.Server) {
			for _, up := range srv.Uploads() {
				srv.Forget(up.ID)
			}
		}},
	} {
		for _, stores := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				srv := finalLast(t)
				token := tokenOf(t, srv, nil, tus.Bytes(data), test.opts, tustest.Fault{Method: "PATCH", Skip: 2})
				creations := srv.Count("POST")
				test.gone(srv)
				opts := tus.Options{Retry: retryOften()}
				if stores {
					opts.Store = &storage.Memory{}
				}
				res, err := newClient(t, srv.Endpoint(), &opts).Upload(testContext(t), tus.Bytes(data), byTokenOf(token, test.opts))
				wantError(t, err, tus.ErrUploadGone)
				if srv.Count("POST") != creations || res.Stats.Sent > 1000 {
					t.Errorf("%d creations, result %+v", srv.Count("POST")-creations, res)
				}
			})
		}
	}
}

func TestToken_GonePartIsSentAgain(t *testing.T) {
	srv, data := finalLast(t), randomBytes(unequalSize)
	token := tokenOf(t, srv, nil, tus.Bytes(data), unequal(), tustest.Fault{Method: "PATCH", Skip: 9})
	srv.Forget(partials(srv.Handler)[1].ID)
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), byTokenOf(token, unequal()))
	if err != nil {
		t.Fatal(err)
	}
	wantFinals(t, srv, res, data, false)
	if n := len(partials(srv.Handler)); n != 5 || res.Stats.Restarts != 1 {
		t.Errorf("%d partial uploads, %d restarts", n, res.Stats.Restarts)
	}
}

// A response to the last PATCH that was lost must not make the next machine send again.
func TestToken_OfLostLastResponseSendsNothing(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(5000)
	ctx, cancel := context.WithCancel(testContext(t))
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 4, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Serve(w, r)
		cancel()
		tustest.Stall()(w, r, h)
	}})
	u := created(t, newClient(t, srv.Endpoint(), nil), tus.Bytes(data), chunked())
	_, err := u.Run(ctx)
	wantError(t, err, context.Canceled)
	token, err := u.Token(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), byTokenOf(token, chunked()))
	if err != nil || res.Stats.Sent != 0 || srv.Count("PATCH") != 5 {
		t.Fatalf("result %+v, %v", res, err)
	}
	srv.Forget(res.URL) // as servers do that move complete uploads away
	_, err = newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), byTokenOf(token, chunked()))
	wantError(t, err, tus.ErrUnconfirmed)
}

func TestToken_SharedStoreHasOneRecord(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(5000)
	opts := chunked()
	opts.StopAt = 2000
	u := created(t, newClient(t, srv.Endpoint(), &tus.Options{Store: store}), tus.Bytes(data), opts)
	token, err := u.Token(testContext(t)) // while it holds the lease
	if err != nil {
		t.Fatal(err)
	}
	b := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()})
	for _, policy := range []tus.HeldPolicy{tus.HeldFail, tus.HeldBegin} {
		_, err = b.Upload(testContext(t), tus.Bytes(data), byTokenOf(token, &tus.UploadOptions{Held: policy}))
		var held *tus.HeldError
		if !errors.As(err, &held) || len(records(t, store)) != 1 || srv.Count("PATCH") != 0 {
			t.Fatalf("policy %v: %v, %d records", policy, err, len(records(t, store)))
		}
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	res, err := b.Upload(testContext(t), tus.Bytes(data), byTokenOf(token, chunked()))
	if err != nil || res.URL != u.URL() || res.Stats.ResumedFrom != 2000 || srv.Count("POST") != 1 || len(records(t, store)) != 0 {
		t.Errorf("result %+v, %v, %d records", res, err, len(records(t, store)))
	}
}

// The record of a token is found by an upload of the same source after an interruption.
func TestToken_IsStoredForLaterUpload(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(5000)
	token := tokenOf(t, srv, nil, tus.Bytes(data), chunked(), tustest.Fault{Method: "PATCH", Skip: 1})
	b := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()})
	opts := chunked()
	opts.StopAt = 3000
	_, err := b.Upload(testContext(t), tus.Bytes(data), byTokenOf(token, opts))
	wantError(t, err, tus.ErrPaused)
	res, err := b.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.Stats.ResumedFrom != 3000 || srv.Count("POST") != 1 {
		t.Errorf("result %+v, %v", res, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestToken_StoreThatFails(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(5000)
	token := tokenOf(t, srv, nil, tus.Bytes(data), chunked(), tustest.Fault{Method: "PATCH", Skip: 1})
	broken := &scripted{Store: &storage.Memory{}, find: func(func() ([]storage.Record, error)) ([]storage.Record, error) { return nil, storage.ErrClosed }}
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: broken, RequireStore: true}).Upload(testContext(t), tus.Bytes(data), byTokenOf(token, chunked()))
	wantError(t, err, tus.ErrStore)
	failures := 0
	opts := chunked()
	opts.Hooks.OnStoreError = func(*tus.Uploader, error) { failures++ }
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: broken, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), byTokenOf(token, opts))
	if err != nil || failures == 0 || res.Stats.ResumedFrom != 1000 {
		t.Errorf("result %+v, %v, %d failures reported", res, err, failures)
	}
}

func TestToken_SignatureIsRequiredByKey(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(5000)
	key := []byte("of this service")
	signed := tokenOf(t, srv, &tus.Options{TokenKey: key}, tus.Bytes(data), chunked(), tustest.Fault{Method: "PATCH", Skip: 1})
	unsigned := tokenOf(t, srv, nil, tus.Bytes(data), chunked(), tustest.Fault{Method: "PATCH", Skip: 1})
	other := tokenOf(t, srv, &tus.Options{TokenKey: []byte("another")}, tus.Bytes(data), chunked(), tustest.Fault{Method: "PATCH", Skip: 1})
	fields := strings.Split(signed, ".")
	requests := len(srv.Requests())
	for name, test := range map[string]struct {
		token string
		key   []byte
		want  string
	}{
		"not signed":         {unsigned, key, "not signed"},
		"signed, no key":     {signed, nil, "TokenKey is not set"},
		"other key":          {other, key, "signature"},
		"other payload":      {fields[0] + "." + strings.Split(unsigned, ".")[1] + "." + fields[2], key, "signature"},
		"other version":      {"tus2." + fields[1] + "." + fields[2], key, "version tus1"},
		"a URL":              {srv.Endpoint() + "1", nil, "version tus1"},
		"cut":                {unsigned[:len(unsigned)-9], nil, "damaged"},
		"not base64":         {unsigned + "!", nil, "damaged"},
		"too long":           {"tus1." + strings.Repeat("A", 5<<20), nil, "more than"},
		"expands endlessly":  {"tus1." + deflated(make([]byte, 16<<20+1)), nil, "damaged"},
		"no record":          {"tus1." + deflated([]byte("{}")), nil, "damaged"},
		"without upload URL": {"tus1." + deflated(encoded(t, storage.Record{})), nil, "no upload"},
		"parts with a gap":   {"tus1." + deflated(encoded(t, storage.Record{Size: 9, Parts: []storage.Part{{Offset: 1, Size: 8, UploadURL: "http://h/1"}}})), nil, "no upload"},
		"parts without URLs": {"tus1." + deflated(encoded(t, storage.Record{Size: 9, Parts: []storage.Part{{Size: 9}}})), nil, "no upload"},
		"complete":           {"tus1." + deflated(encoded(t, storage.Record{Size: 5000, UploadURL: srv.Endpoint() + "1", Completed: time.Now()})), nil, "no upload"},
		"not an http URL":    {"tus1." + deflated(encoded(t, storage.Record{Size: 5000, UploadURL: "file:///etc/passwd"})), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newClient(t, srv.Endpoint(), &tus.Options{TokenKey: test.key}).Upload(testContext(t), tus.Bytes(data), byTokenOf(test.token, nil))
			wantError(t, err, tus.ErrInvalidInput)
			if !strings.Contains(err.Error(), test.want) || len(err.Error()) > 200 {
				t.Errorf("error is %.300s, want %q", err, test.want)
			}
		})
	}
	if n := len(srv.Requests()) - requests; n != 0 {
		t.Errorf("%d requests", n)
	}
	res, err := newClient(t, srv.Endpoint(), &tus.Options{TokenKey: key, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), byTokenOf(" "+signed+"\n", chunked()))
	if err != nil || res.Stats.ResumedFrom != 1000 {
		t.Errorf("signed token: %+v, %v", res, err)
	}
}

func deflated(data []byte) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	w.Write(data)
	w.Close()
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

func encoded(t *testing.T, rec storage.Record) []byte {
	rec.ID, rec.Revision, rec.Fingerprint = "token", 1, "none"
	data, err := storage.Encode(rec)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestToken_HasNoSecrets(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(5000)
	endpoint := strings.Replace(srv.Endpoint(), "http://", "http://user:password@", 1)
	client := newClient(t, endpoint, &tus.Options{Header: http.Header{"Authorization": {"Bearer of-client"}}, Store: &storage.Memory{}})
	path := filepath.Join(t.TempDir(), "private-directory")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	u := created(t, client, tus.File(path), &tus.UploadOptions{Header: http.Header{"X-Key": {"of-upload"}}, Metadata: tus.Metadata{}, Digest: "sha256"})
	external, err := client.NewResumer(strings.Replace(u.URL(), "http://", "http://name:secret@", 1), tus.Bytes(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []*tus.Uploader{u, external} {
		token, err := u.Token(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(flate.NewReader(bytes.NewReader(payload)))
		if err != nil || !bytes.Contains(text, []byte("/files/")) {
			t.Fatalf("token has %s, %v", text, err)
		}
		for _, secret := range []string{"password", "of-client", "of-upload", "private", "secret", "user", "lease", "process"} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("token has %q: %s", secret, text)
			}
		}
	}
}

func TestToken_OnlyOfUnfinishedUpload(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(5000)
	client := newClient(t, srv.Endpoint(), nil)
	u, err := client.NewUploader(tus.Bytes(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Token(testContext(t))
	wantError(t, err, tus.ErrInvalidInput)
	if _, err := u.Run(testContext(t)); err != nil {
		t.Fatal(err)
	}
	_, err = u.Token(testContext(t))
	wantError(t, err, tus.ErrInvalidInput)
	aborted := created(t, client, tus.Bytes(data), chunked())
	if err := aborted.Abort(testContext(t)); err != nil {
		t.Fatal(err)
	}
	_, err = aborted.Token(testContext(t))
	wantError(t, err, tus.ErrInvalidInput)
	token, err := created(t, client, tus.Bytes(data), chunked()).Token(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.NewResumer(u.URL(), tus.Bytes(data), byTokenOf(token, nil)); !errors.Is(err, tus.ErrInvalidInput) {
		t.Errorf("token and upload URL: %v", err)
	}
	for name, opts := range map[string]*tus.UploadOptions{"Previous": {Previous: &tus.Previous{}}, "Again": {Again: true}, "ChunkSize": {ChunkSize: -1}} {
		if _, err := client.Upload(testContext(t), tus.Bytes(data), byTokenOf(token, opts)); !errors.Is(err, tus.ErrInvalidInput) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A program can print the token as soon as there is an upload, and at any time.
func TestToken_InHooksAndWhileSending(t *testing.T) {
	for name, opts := range map[string]*tus.UploadOptions{"chunks": chunked(), "parts": unequal()} {
		t.Run(name, func(t *testing.T) {
			srv, data := tustest.NewServer(t, nil), randomBytes(unequalSize)
			opts.Digest = "sha256"
			var u *tus.Uploader
			var last string
			tokens := 0
			token := func(u *tus.Uploader) {
				got, err := u.Token(testContext(t))
				if err == nil {
					last = got
					tokens++
				} else if !errors.Is(err, tus.ErrInvalidInput) {
					t.Error(err)
				}
			}
			opts.Hooks.OnCreated = func(u *tus.Uploader, _ *tus.Created) { token(u) }
			opts.Hooks.OnProgress = func(u *tus.Uploader, _ tus.Progress) { token(u) }
			opts.Hooks.OnStateChange = func(u *tus.Uploader, _, _ tus.State, _ error) { token(u) }
			u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for !u.State().Final() {
					u.Token(testContext(t))
					time.Sleep(time.Microsecond)
				}
			}()
			if _, err := u.Run(testContext(t)); err != nil {
				t.Fatal(err)
			}
			<-done
			if tokens < 5 || last == "" {
				t.Errorf("%d tokens", tokens)
			}
		})
	}
}

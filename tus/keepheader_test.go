package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// numbered adds X-Media-Id: n to the response to the nth creation, except of parts.
func numbered(srv *tustest.Server) {
	var n atomic.Int64
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if r.Header.Get("Upload-Concat") != "partial" {
			w.Header().Set("X-Media-Id", fmt.Sprint(n.Add(1)))
		}
		h.Serve(w, r)
	}})
}

// wantNoNil fails if a header of the result is nil.
func wantNoNil(t *testing.T, res *tus.Result) {
	t.Helper()
	if res == nil || res.Creation == nil || res.LastPatch == nil || res.Creation.Header == nil || res.LastPatch.Header == nil {
		t.Errorf("result is %+v", res)
	}
}

func TestResult_HasNoNilResponse(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client, data := newClient(t, srv.Endpoint(), nil), randomBytes(3000)
	invalid := &tus.UploadOptions{ChunkSize: -1}
	given, err := client.Create(testContext(t), tus.CreateOptions{DeferLength: true})
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]func(ctx context.Context) (*tus.Result, error){
		"one request": func(ctx context.Context) (*tus.Result, error) { return client.Upload(ctx, tus.Bytes(data), nil) },
		"chunks":      func(ctx context.Context) (*tus.Result, error) { return client.Upload(ctx, tus.Bytes(data), chunked()) },
		"parts":       func(ctx context.Context) (*tus.Result, error) { return client.Upload(ctx, tus.Bytes(data), inParts(2)) },
		"empty":       func(ctx context.Context) (*tus.Result, error) { return client.Upload(ctx, tus.Bytes(nil), nil) },
		"external URL": func(ctx context.Context) (*tus.Result, error) {
			return client.Resume(ctx, given.URL, tus.Bytes(data), nil)
		},
		"invalid options": func(ctx context.Context) (*tus.Result, error) { return client.Upload(ctx, tus.Bytes(data), invalid) },
		"no URL":          func(ctx context.Context) (*tus.Result, error) { return client.Resume(ctx, "", tus.Bytes(data), nil) },
		"no reader":       func(ctx context.Context) (*tus.Result, error) { return client.Upload(ctx, tus.Reader(nil), nil) },
		"no file":         func(ctx context.Context) (*tus.Result, error) { return client.UploadFile(ctx, "/does/not/exist", nil) },
		"stream": func(ctx context.Context) (*tus.Result, error) {
			return client.Upload(ctx, tus.Reader(bytes.NewReader(data)), chunked())
		},
		"batch": func(ctx context.Context) (*tus.Result, error) {
			for r, err := range client.UploadAll(ctx, slices.Values([]tus.Job{{Source: tus.Bytes(data), Options: invalid}}), 0) {
				return r, err
			}
			return nil, nil
		},
		"no batch": func(ctx context.Context) (*tus.Result, error) {
			for r, err := range client.UploadAll(ctx, iter.Seq[tus.Job](nil), 0) {
				return r, err
			}
			return nil, nil
		},
		"paused": func(ctx context.Context) (*tus.Result, error) {
			u := created(t, client, tus.Bytes(data), nil)
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			u.Pause()
			return u.Run(ctx)
		},
		"aborted": func(ctx context.Context) (*tus.Result, error) {
			u := created(t, client, tus.Bytes(data), nil)
			if err := u.Abort(ctx); err != nil {
				t.Fatal(err)
			}
			return u.Run(ctx)
		},
		"gone": func(ctx context.Context) (*tus.Result, error) {
			return client.Resume(ctx, srv.Endpoint()+"gone", tus.Bytes(data), nil)
		},
		"ended context": func(ctx context.Context) (*tus.Result, error) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return client.Upload(ctx, tus.Bytes(data), nil)
		},
	}
	for name, upload := range results {
		res, err := upload(testContext(t))
		t.Run(fmt.Sprint(name, ", error ", err), func(t *testing.T) {
			wantNoNil(t, res)
			if t.Failed() {
				return
			}
			if res.Creation.StatusCode == 0 && len(res.Creation.Header) != 0 || res.LastPatch.StatusCode == 0 && len(res.LastPatch.Header) != 0 {
				t.Errorf("responses are %+v and %+v", res.Creation, res.LastPatch)
			}
		})
	}
}

func TestKeepHeaders_AreReturnedByEverySession(t *testing.T) {
	for name, how := range map[string]*tus.UploadOptions{
		"one PATCH": {CreationLimit: -1}, "chunks": chunked(), "parts": inParts(3),
	} {
		t.Run(name, func(t *testing.T) {
			srv, store, data := finalLast(t), &storage.Memory{}, randomBytes(3000)
			numbered(srv)
			session := func(stop func(*tus.Created) bool) *tus.Result {
				t.Helper()
				ctx, cancel := context.WithCancel(testContext(t))
				defer cancel()
				opts := *how
				opts.Hooks.OnCreated = func(_ *tus.Uploader, c *tus.Created) {
					if stop(c) {
						cancel()
					}
				}
				client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, KeepHeaders: []string{"x-media-ID", "X-Absent", "X-Media-Id"}})
				res, err := client.Upload(ctx, tus.Bytes(data), &opts)
				if ctx.Err() == nil && err != nil {
					t.Fatal(err)
				}
				wantNoNil(t, res)
				return res
			}
			first := session(func(c *tus.Created) bool { return c.Concat != "partial" })
			if first.Offset == 0 && name == "parts" || first.Creation.StatusCode != 201 || first.Creation.Header.Get("X-Media-Id") != "1" {
				t.Errorf("creation of the first session is %+v at offset %d", first.Creation, first.Offset)
			}
			second := session(func(*tus.Created) bool { return false })
			if got := second.Creation.Header; len(got) != 1 || got.Get("X-Media-Id") != "1" || second.Creation.StatusCode != 0 || second.URL != first.URL {
				t.Errorf("second session has the creation %+v and the URL %s", second.Creation, second.URL)
			}
			wantStored(t, srv.Handler, second.URL, data)
		})
	}
}

func TestKeepHeaders_AreThoseOfTheLastCreation(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(3000)
	numbered(srv)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: vanishWith(404)})
	store := &storage.Memory{}
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, KeepHeaders: []string{"X-Media-Id"}})
	opts := chunked()
	opts.StopAt = 2000
	res, err := client.Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrPaused)
	for rec, err := range store.All(context.Background()) {
		if err != nil || rec.CreationHeader["X-Media-Id"][0] != "2" {
			t.Errorf("record is %+v, %v", rec, err)
		}
	}
	if got := res.Creation.Header.Get("X-Media-Id"); got != "2" || res.Stats.Restarts != 1 {
		t.Errorf("the header is %q after %d restarts", got, res.Stats.Restarts)
	}
}

func TestKeepHeaders_UnusableValuesAreLeftOut(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	transport := roundTripper(func(r *http.Request) (*http.Response, error) { // net/http refuses some of the values
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil && r.Method == http.MethodPost {
			resp.Header["X-Id"] = []string{"\xff", "fine", "a\x01b", "c\r\nX-More: d", "also fine"}
			resp.Header["X-Large"] = []string{strings.Repeat("x", 9<<10)}
		}
		return resp, err
	})
	client := newClient(t, srv.Endpoint(), &tus.Options{
		HTTPClient: &http.Client{Transport: transport}, Store: &storage.Memory{}, RequireStore: true, KeepHeaders: []string{"X-Id", "X-Large"},
	})
	data, opts := randomBytes(3000), chunked()
	opts.StopAt = 1000
	_, err := client.Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrPaused)
	res, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"fine", "also fine"}; len(res.Creation.Header) != 1 || !slices.Equal(res.Creation.Header["X-Id"], want) {
		t.Errorf("creation header is %q", res.Creation.Header)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestKeepHeaders_CredentialsAreNotKept(t *testing.T) {
	for _, name := range []string{
		"Set-Cookie", "set-cookie", "Authorization", "Proxy-Authorization", "WWW-Authenticate", "Authentication-Info", "", "X Id", "X-Ü", "X:", "X\r\nY",
	} {
		_, err := tus.NewClient("https://example.org/files/", &tus.Options{KeepHeaders: []string{"X-Id", name}})
		if !errors.Is(err, tus.ErrInvalidInput) || !strings.Contains(fmt.Sprint(err), "Options.KeepHeaders") {
			t.Errorf("%q: error is %v", name, err)
		}
	}
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("X-Id", "you are "+planted)})
	client := newClient(t, srv.Endpoint(), &tus.Options{
		Store: store, Header: http.Header{"Authorization": {"Bearer " + planted}}, KeepHeaders: []string{"X-Id"},
	})
	opts := chunked()
	opts.StopAt = 1000
	data := randomBytes(3000)
	_, err := client.Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrPaused)
	opts.StopAt = 2000
	resumed, err := client.Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrPaused)
	for rec, err := range store.All(context.Background()) {
		if text := fmt.Sprint(rec.CreationHeader, resumed.Creation.Header); err != nil || strings.Contains(text, planted) || !strings.Contains(text, "you are") {
			t.Errorf("stored headers are %s, %v", text, err)
		}
	}
}

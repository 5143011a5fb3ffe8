package tus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// signers are hooks that put a secret into a part of a request, by that part.
var signers = map[string]func(*http.Request) error{
	"header": func(r *http.Request) error { r.Header.Set("X-Signature", planted); return nil },
	"query": func(r *http.Request) error {
		r.URL.RawQuery = url.Values{"signature": {planted}}.Encode()
		return nil
	},
	"path":     func(r *http.Request) error { r.URL.Path = "/" + planted + r.URL.Path; return nil },
	"userinfo": func(r *http.Request) error { r.URL.User = url.UserPassword("someone", planted); return nil },
	"host":     func(r *http.Request) error { r.Host = planted + ".test"; return nil },
	"trailer":  func(r *http.Request) error { r.Trailer = http.Header{"X-Secret": {planted}}; return nil },
	"body": func(r *http.Request) error {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(planted)), int64(len(planted))
		return nil
	},
	"whole request": func(r *http.Request) error {
		r2 := r.Clone(r.Context())
		r2.URL.RawQuery, r2.Method = planted, "PUT"
		*r = *r2
		return nil
	},
}

// spy records requests and passes them to h.
type spy struct {
	h    http.Handler
	mu   sync.Mutex
	seen []string
}

func (s *spy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(data)))
	s.mu.Lock()
	s.seen = append(s.seen, fmt.Sprintf("%s %s %s %v %v %q", r.Method, r.Host, r.RequestURI, r.Header, r.Trailer, data))
	s.mu.Unlock()
	s.h.ServeHTTP(w, r)
}

func (s *spy) wantNothing(t *testing.T, secrets ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) == 0 {
		t.Error("foreign server saw nothing")
	}
	for _, text := range s.seen {
		for _, secret := range append(secrets, planted, "Authorization") {
			if strings.Contains(text, secret) {
				t.Errorf("foreign server saw %s", text)
			}
		}
	}
}

func TestHook_ForeignRequestIsUnchanged(t *testing.T) {
	data := randomBytes(3000)
	for name, sign := range signers {
		for mode, opts := range map[string]*tus.UploadOptions{
			"chunks":   chunked(),
			"whole":    whole(),
			"parallel": {Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}},
		} {
			t.Run(name+" "+mode, func(t *testing.T) {
				h := tustest.NewHandler(&tustest.Options{AbsoluteLocation: true})
				foreign := &spy{h: h}
				away := httptest.NewServer(foreign)
				defer away.Close()
				home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Location", away.URL+"/files/")
					w.WriteHeader(http.StatusTemporaryRedirect)
				}))
				defer home.Close()
				client := newClient(t, home.URL, &tus.Options{Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
					if "http://"+r.URL.Host != away.URL {
						return nil // the home server has one path
					}
					return sign(r)
				}}})
				res, err := client.Upload(testContext(t), tus.Bytes(data), opts)
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, h, res.URL, data)
				if _, err := client.Info(testContext(t), res.URL); err != nil {
					t.Error(err)
				}
				if err := client.Terminate(testContext(t), res.URL); err != nil {
					t.Error(err)
				}
				foreign.wantNothing(t)
			})
		}
	}
}

func TestHook_ErrorOnForeignRequestEndsIt(t *testing.T) {
	foreign := tustest.NewServer(t, nil)
	refused := errors.New("refused")
	client := newClient(t, "http://home.test/", &tus.Options{Hooks: tus.Hooks{BeforeRequest: func(*http.Request) error { return refused }}})
	_, err := client.Info(testContext(t), foreign.Endpoint()+"1")
	wantError(t, err, refused)
	wantMethods(t, foreign.Handler)
}

// redirectHome starts a foreign server that redirects every request to /admin on home.
func redirectHome(t *testing.T, home *tustest.Server) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", home.HTTP.URL+"/admin"+r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestRedirect_ForeignServerGetsNoCredentialsBack(t *testing.T) {
	data := randomBytes(3000)
	for name, send := range map[string]func(ctx context.Context, c *tus.Client, away string) error{
		"Abort": func(ctx context.Context, c *tus.Client, _ string) error {
			u, err := c.NewUploader(tus.Bytes(data), chunked())
			if err != nil {
				return err
			}
			for u.State() != tus.StateReady {
				if err := u.Step(ctx); err != nil {
					return err
				}
			}
			return u.Abort(ctx)
		},
		"Upload": func(ctx context.Context, c *tus.Client, _ string) error {
			_, err := c.Upload(ctx, tus.Bytes(data), whole())
			return err
		},
		"Parallel": func(ctx context.Context, c *tus.Client, _ string) error {
			_, err := c.Upload(ctx, tus.Bytes(data), &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}})
			return err
		},
		"Resume": func(ctx context.Context, c *tus.Client, away string) error {
			_, err := c.Resume(ctx, away+"/users/1", tus.Bytes(data), whole())
			return err
		},
		"Info": func(ctx context.Context, c *tus.Client, away string) error {
			_, err := c.Info(ctx, away+"/users/1")
			return err
		},
		"Terminate": func(ctx context.Context, c *tus.Client, away string) error {
			return c.Terminate(ctx, away+"/users/1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := tustest.NewServer(t, nil)
			away := redirectHome(t, home)
			var created atomic.Int32
			home.Inject(
				tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
					tustest.SetHeader("Location", fmt.Sprint(away, "/users/", created.Add(1)))(w, r, h)
				}},
				tustest.Fault{Times: -1, Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
					if strings.HasPrefix(r.URL.Path, "/admin/") {
						w.WriteHeader(http.StatusForbidden)
						return
					}
					h.Serve(w, r)
				}},
			)
			opts := secretOptions()
			opts.Retry.MaxRetries = -1
			err := send(testContext(t), newClient(t, home.Endpoint(), opts), away)
			steered := 0
			for _, r := range home.Requests() {
				if strings.HasPrefix(r.Path, "/admin/") {
					steered++
					wantNoSecrets(t, r)
				}
			}
			if steered == 0 {
				t.Errorf("no request was redirected: %v", err)
			}
		})
	}
}

func TestCreation_LocationNamedByForeignServerIsRefused(t *testing.T) {
	data := randomBytes(3000)
	for name, opts := range map[string]*tus.UploadOptions{
		"chunks":   chunked(),
		"whole":    {},
		"parallel": {Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}},
		"stream":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			home := tustest.NewServer(t, nil)
			away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Tus-Resumable", "1.0.0")
				w.Header().Set("Location", home.HTTP.URL+"/admin/users/1")
				w.WriteHeader(http.StatusCreated)
			}))
			defer away.Close()
			home.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.Respond(307, "", "Location", away.URL+"/files/")})
			options := secretOptions()
			options.Store = &storage.Memory{}
			client := newClient(t, home.Endpoint(), options)
			source := func() tus.Source {
				if name == "stream" {
					return tus.Reader(strings.NewReader(string(data)))
				}
				return tus.Bytes(data)
			}
			_, err := client.Upload(testContext(t), source(), opts)
			wantError(t, err, tus.ErrProtocol)
			for _, want := range []string{away.URL, "Options.TrustedOrigins"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error does not name %s: %v", want, err)
				}
			}
			for rec := range options.Store.All(testContext(t)) {
				if strings.Contains(rec.UploadURL+fmt.Sprint(rec.Parts), "/admin/") {
					t.Errorf("stored: %+v", rec)
				}
			}
			for _, r := range home.Requests() {
				if r.Method != "POST" && r.Method != "OPTIONS" {
					t.Errorf("%s %s was sent", r.Method, r.Path)
				}
			}
			// A trusted origin may send any Location.
			options.TrustedOrigins = []string{away.URL}
			_, err = newClient(t, home.Endpoint(), options).Upload(testContext(t), source(), opts)
			if err == nil || strings.Contains(err.Error(), "Options.TrustedOrigins") {
				t.Errorf("with the origin trusted: %v", err)
			}
		})
	}
}

func TestUnauthorized_WithheldCredentialsAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		opts *tus.Options
		want bool
	}{
		"header": {&tus.Options{Header: http.Header{"Authorization": {"Bearer token"}}}, true},
		"hook":   {&tus.Options{Hooks: tus.Hooks{BeforeRequest: func(*http.Request) error { return nil }}}, true},
		"none":   {nil, false},
	} {
		for _, status := range []int{401, 403} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				home, away := tustest.NewServer(t, nil), tustest.NewServer(t, nil)
				away.Inject(tustest.Fault{Times: -1, Action: tustest.Respond(status, "")})
				home.Inject(
					tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", away.Endpoint()+"1")},
					tustest.Fault{Method: "HEAD", Times: -1, Action: tustest.Respond(307, "", "Location", away.Endpoint()+"1")},
					tustest.Fault{Method: "DELETE", Times: -1, Action: tustest.Respond(status, "")},
				)
				client := newClient(t, home.Endpoint(), test.opts)
				_, upload := client.Upload(testContext(t), tus.Bytes([]byte("hello")), whole())
				_, redirected := client.Info(testContext(t), home.Endpoint()+"1")
				_, resumed := client.Resume(testContext(t), away.Endpoint()+"1", tus.Bytes([]byte("hello")), nil)
				for _, err := range []error{upload, redirected, resumed} {
					wantError(t, err, tus.ErrUnauthorized)
					if got := strings.Contains(err.Error(), away.HTTP.URL+" is not one of Options.TrustedOrigins"); got != test.want {
						t.Errorf("error is %v", err)
					}
				}
				if err := client.Terminate(testContext(t), home.Endpoint()+"1"); err == nil || strings.Contains(err.Error(), "TrustedOrigins") {
					t.Errorf("error of a trusted origin is %v", err)
				}
			})
		}
	}
}

package tus_test

import (
	"encoding/base64"
	"fmt"
	"log/slog"
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

// texts collects the output of a client: errors, events and logs.
type texts struct {
	mu     sync.Mutex
	buffer strings.Builder
}

func (s *texts) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.Write(text)
}

func (s *texts) add(what any) { fmt.Fprintf(s, "%v\n%+v\n", what, what) }

func (s *texts) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.String()
}

func (s *texts) opts() *tus.Options {
	return &tus.Options{
		Logger: slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Hooks: tus.Hooks{
			OnRetry:       func(_ *tus.Uploader, r tus.Retry) { s.add(r.Err) },
			OnStateChange: func(_ *tus.Uploader, _, _ tus.State, err error) { s.add(err) },
		},
	}
}

// echoes are encodings of a token in a URL.
var echoes = map[string]func(token string) string{
	"plain":          func(token string) string { return token },
	"escaped":        url.PathEscape,
	"query escaped":  url.QueryEscape,
	"letter escaped": func(token string) string { return "%" + fmt.Sprintf("%02x", token[0]) + token[1:] },
	"escaped twice":  func(token string) string { return url.PathEscape(url.PathEscape(token)) },
}

func TestEcho_TokenInUploadURLIsRedacted(t *testing.T) {
	const token = "PLANTED/token+of=0123456789"
	data := randomBytes(3000)
	for form, escape := range echoes {
		for name, status := range map[string]int{"redirect": 307, "Location": 201} {
			for _, opts := range []*tus.UploadOptions{whole(), chunked(), {Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}}} {
				t.Run(fmt.Sprint(form, " ", name, " ", opts.Parallel), func(t *testing.T) {
					echoed := escape(token)
					var requests atomic.Int32
					srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Tus-Resumable", "1.0.0")
						w.Header().Set("Tus-Extension", "creation,concatenation")
						switch {
						case r.Method == "OPTIONS":
						case strings.Contains(r.RequestURI, echoed):
							requests.Add(1)
							w.WriteHeader(http.StatusInternalServerError)
							fmt.Fprintf(w, "cannot %s %s", r.Method, r.RequestURI)
						default:
							w.Header().Set("Location", "/files/"+echoed+"/1")
							w.WriteHeader(status)
						}
					}))
					defer srv.Close()
					var shown texts
					options := shown.opts()
					options.Header = http.Header{"Authorization": {"Bearer " + token}}
					options.Store = &storage.Memory{}
					for range 2 { // the second resumes from the store
						_, err := newClient(t, srv.URL+"/files/", options).Upload(testContext(t), tus.Bytes(data), opts)
						if err == nil {
							t.Fatal("no error")
						}
						shown.add(err)
					}
					for rec := range options.Store.All(testContext(t)) {
						if !strings.HasSuffix(rec.UploadURL, "/files/"+echoed+"/1") && len(rec.Parts) == 0 {
							t.Errorf("stored URL is %q", rec.UploadURL)
						}
					}
					if n := requests.Load(); n < 2 {
						t.Errorf("%d requests for the upload URL", n)
					}
					if text := shown.String(); strings.Contains(text, "token") || !strings.Contains(text, "[redacted]/1") {
						t.Errorf("shown: %s", text)
					}
				})
			}
		}
	}
}

// The hook uses a new token by the time the URL with the old one fails.
func TestEcho_OldTokenOfHookIsRedacted(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(
		tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			tustest.SetHeader("Location", "/files/"+r.Header.Get("X-Token"))(w, r, h)
		}},
		tustest.Fault{Times: -1, Skip: 1, Action: tustest.Respond(500, "")},
	)
	var shown texts
	options := shown.opts()
	requests := 0
	options.Hooks.BeforeRequest = func(r *http.Request) error {
		requests++
		r.Header.Set("X-Token", fmt.Sprintf("%d-PLANTED-of-hook", requests))
		return nil
	}
	u, err := newClient(t, srv.Endpoint(), options).NewUploader(tus.Bytes(randomBytes(10)), whole())
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if err := u.Step(testContext(t)); err != nil {
			shown.add(err)
		}
	}
	if text := shown.String(); requests < 2 || strings.Contains(text, planted) || !strings.Contains(text, "/files/[redacted]") {
		t.Errorf("%d requests, shown: %s", requests, text)
	}
}

// The redirecting server puts the token into the URL of the foreign server.
func TestEcho_TokenInForeignURLIsRedacted(t *testing.T) {
	away := tustest.NewServer(t, nil)
	away.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		tustest.Respond(403, "no access to "+r.URL.Path)(w, r, h)
	}})
	home := tustest.NewServer(t, nil)
	home.Inject(tustest.Fault{Times: -1, Action: tustest.Respond(307, "", "Location", away.Endpoint()+"PLANTED-bearer-token")})
	var shown texts
	options := shown.opts()
	options.Header = http.Header{"Authorization": {"Bearer PLANTED-bearer-token"}}
	client := newClient(t, home.Endpoint(), options)
	_, err := client.Info(testContext(t), home.Endpoint()+"1")
	shown.add(err)
	_, err = client.Resume(testContext(t), home.Endpoint()+"1", tus.Bytes(nil), nil)
	shown.add(err)
	shown.add(client.Terminate(testContext(t), home.Endpoint()+"1"))
	if text := shown.String(); strings.Contains(text, planted) || !strings.Contains(text, "Options.TrustedOrigins") {
		t.Errorf("shown: %s", text)
	}
}

// The query of the endpoint may repeat its path, as a tenant name.
func TestEcho_OwnPathIsNotRedacted(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", "/tenant-seven/1")})
	client := newClient(t, srv.HTTP.URL+"/tenant-seven/?tenant=tenant-seven", &tus.Options{Header: http.Header{"X-Token": {"PLANTED"}}})
	_, err := client.Upload(testContext(t), tus.Bytes([]byte("hello")), whole())
	if err == nil || !strings.Contains(err.Error(), "/tenant-seven/") {
		t.Errorf("error is %v", err)
	}
}

func TestEcho_ProxyLoginIsRedacted(t *testing.T) {
	const password = "PLANTED-proxy-password"
	login := base64.StdEncoding.EncodeToString([]byte("alice:" + password))
	for name, endpoint := range map[string]string{"http": "http://tus.test/files/", "https": "https://tus.test/files/"} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				got := r.Header.Get("Proxy-Authorization")
				if r.Method != http.MethodConnect {
					w.WriteHeader(http.StatusForbidden)
					fmt.Fprintf(w, "no access with %s of %s, %s", got, password, r.Header.Get("X-Proxy-Token"))
					return
				}
				conn, _, err := http.NewResponseController(w).Hijack() // errors show only the status line of a proxy
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Fprintf(conn, "HTTP/1.1 403 no access with %s, %s\r\n\r\n", got, r.Header.Get("X-Proxy-Token"))
				conn.Close()
			}))
			defer proxy.Close()
			at, _ := url.Parse(proxy.URL)
			at.User = url.UserPassword("alice", password)
			transport := tus.NewTransport()
			transport.Proxy = http.ProxyURL(at)
			transport.ProxyConnectHeader = http.Header{"X-Proxy-Token": {"PLANTED-connect"}}
			var shown texts
			options := shown.opts()
			options.HTTPClient = &http.Client{Transport: transport}
			options.Retry.MaxRetries = -1
			client := newClient(t, endpoint, options)
			_, err := client.Upload(testContext(t), tus.Bytes(nil), nil)
			shown.add(err)
			_, err = client.Info(testContext(t), endpoint+"1")
			shown.add(err)
			if text := shown.String(); requests.Load() == 0 || strings.Contains(text, planted) || strings.Contains(text, login) || !strings.Contains(text, "no access with [redacted]") {
				t.Errorf("%d requests, shown: %s", requests.Load(), text)
			}
		})
	}
}

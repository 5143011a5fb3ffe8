package tus_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// An upload of another program may have a deferred length.
func TestResume_HeadWithoutLengthSendsLength(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(3000)
	client := newClient(t, srv.Endpoint(), nil)
	created, err := client.Create(testContext(t), tus.CreateOptions{DeferLength: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Inject(tustest.Fault{Method: "HEAD", Times: always, Action: tustest.SetHeader("Upload-Defer-Length", "")})
	if _, err := client.Resume(testContext(t), created.URL, tus.Bytes(data), chunked()); err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, created.URL, data)
}

func TestChecksumTrailer_501FallsBackToHeader(t *testing.T) {
	for name, opts := range map[string]*tus.UploadOptions{
		"whole": whole(), "chunks": chunked(), "parts": inParts(2),
	} {
		h, data := tustest.NewHandler(nil), randomBytes(4000)
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.TransferEncoding) > 0 {
				http.Error(w, "no chunked bodies", http.StatusNotImplemented)
				return
			}
			h.ServeHTTP(w, r)
		}))
		res, err := newClient(t, srv.URL+"/files/", &tus.Options{Checksums: checksum.Builtin()}).Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, h, res.URL, data)
		srv.Close()
	}
}

// rustus responds with 417 to a checksum mismatch.
func TestChecksum_417IsResent(t *testing.T) {
	for _, extensions := range [][]string{nil, tustest.Without("checksum-trailer")} {
		srv, data := tustest.NewServer(t, &tustest.Options{Extensions: extensions}), randomBytes(3000)
		srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Action: faults.RespondAfter(417, "")})
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()}).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
	}
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: always, Action: faults.RespondAfter(417, "")})
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
	if err == nil || errors.Is(err, tus.ErrChecksumMismatch) || srv.Count("PATCH") > 1 {
		t.Errorf("without a checksum: %v after %d", err, srv.Count("PATCH"))
	}
}

func TestRedirect_ErrorNamesLocation(t *testing.T) {
	for _, status := range []int{301, 302, 303} {
		for method, opts := range map[string]*tus.UploadOptions{"POST": {}, "PATCH": whole()} {
			if method == "PATCH" && status != 303 {
				continue
			}
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: method, Times: always, Action: faults.RespondAfter(status, "", "Location", "https://u:p@uploads.example.org/files/?key=secret")})
			_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(10)), opts)
			wantError(t, err, tus.ErrProtocol)
			if text := err.Error(); !strings.Contains(text, "https://uploads.example.org/files/") || strings.Contains(text, "secret") || strings.Contains(text, "u:p") {
				t.Errorf("error is %v", err)
			}
		}
	}
}

func TestRetryAfter_DateUsesClockOfServer(t *testing.T) {
	for _, ahead := range []time.Duration{0, -time.Hour, time.Hour} {
		for _, method := range []string{"POST", "HEAD"} {
			srv := tustest.NewServer(t, nil)
			now := time.Now().Add(ahead).UTC()
			srv.Inject(tustest.Fault{Method: method, Action: faults.RespondAfter(503, "", "Date", now.Format(http.TimeFormat),
				"Retry-After", now.Add(20*time.Second).Format(http.TimeFormat))})
			var e *tus.Error
			var err error
			client := newClient(t, srv.Endpoint(), &tus.Options{Retry: tus.RetryPolicy{MaxRetries: -1}})
			if method == "POST" {
				_, err = client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
			} else {
				_, err = client.Info(testContext(t), srv.Endpoint()+"1")
			}
			if !errors.As(err, &e) || e.RetryAfter != 20*time.Second {
				t.Errorf("clock of the server %v ahead: %+v", ahead, e)
			}
		}
	}
}

func TestExpires_UnixSeconds(t *testing.T) {
	at := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	for value, want := range map[string]time.Time{strconv.FormatInt(at.Unix(), 10): at, "0": {}, "-1": {}, "99999999999999": {}} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("Upload-Expires", value)}, tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Expires", value)})
		client := newClient(t, srv.Endpoint(), nil)
		created, err := client.Create(testContext(t), tus.CreateOptions{Size: 10, Partial: true})
		if err != nil || !created.Expires.Equal(want) {
			t.Errorf("%s: creation: %v, %v", value, created, err)
		}
		if info, err := client.Info(testContext(t), created.URL); err != nil || !info.Expires.Equal(want) {
			t.Errorf("%s: HEAD: %v, %v", value, info.Expires, err)
		}
	}
}

// A full disk, and a failed DELETE, are tried twice.
func TestRetry_PersistentErrorIsTriedTwice(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "DELETE", Times: always, Action: tustest.Respond(500, "no such file")},
		tustest.Fault{Method: "PATCH", Times: always, Action: faults.RespondAfter(507, "")})
	client := newClient(t, srv.Endpoint(), nil)
	res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
	var e *tus.Error
	if !errors.As(err, &e) || e.StatusCode != 507 || srv.Count("PATCH") != 2 {
		t.Errorf("%v after %d PATCH", err, srv.Count("PATCH"))
	}
	if err := client.Terminate(testContext(t), res.URL); !errors.As(err, &e) || srv.Count("DELETE") != 2 {
		t.Errorf("%v after %d DELETE", err, srv.Count("DELETE"))
	}
}

func TestError_PageOfAFirewallNamesItsSender(t *testing.T) {
	for _, method := range []string{"POST", "PATCH"} {
		for _, header := range [][]string{{"Server", "cloudflare"}, {"Via", "1.1 waf" + strings.Repeat("x", 500)}, {"Tus-Resumable", "1.0.0", "Server", "tusd"}} {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: method, Times: always, Action: faults.RespondAfter(403, htmlPage, header...)})
			_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
			wantError(t, err, tus.ErrUnauthorized)
			ours := header[0] == "Tus-Resumable"
			if text := err.Error(); strings.Contains(text, "firewall") == ours || strings.Contains(text, header[0]) == ours || len(text) > 600 {
				t.Errorf("%v: error is %v", header, err)
			}
		}
	}
}

// If a proxy refuses CONNECT, nothing was sent.
func TestProxy_RefusedConnectIsNotUnconfirmed(t *testing.T) {
	for status, retried := range map[int]bool{403: true, 502: true, 407: false} {
		for _, ours := range []bool{true, false} {
			connects := 0
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				connects++
				w.WriteHeader(status)
			}))
			at, _ := url.Parse(proxy.URL)
			transport := tus.NewTransport()
			if !ours {
				transport = &http.Transport{}
			}
			transport.Proxy = http.ProxyURL(at)
			client := newClient(t, "https://tus.test/files/", &tus.Options{HTTPClient: &http.Client{Transport: transport}})
			_, err := client.Concatenate(testContext(t), []string{"https://tus.test/files/1"}, nil)
			if err == nil || errors.Is(err, tus.ErrUnconfirmed) || (connects > 1) != retried || !strings.Contains(err.Error(), http.StatusText(status)) {
				t.Errorf("%d, default transport %v: %v after %d requests", status, ours, err, connects)
			}
			proxy.Close()
		}
	}
}

// The same if the connection fails.
func TestConnect_FailedHandshakeIsNotUnconfirmed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	client := newClient(t, fmt.Sprintf("https://%s/files/", listener.Addr()), nil)
	_, err = client.Concatenate(testContext(t), []string{"https://tus.test/files/1"}, nil)
	if err == nil || errors.Is(err, tus.ErrUnconfirmed) || !tus.IsRetryable(err) {
		t.Errorf("error is %v", err)
	}
}

package httpsource_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
)

// routed is a client that dials the address in hosts for a host, and fallback for
// any other.
func routed(t *testing.T, hosts map[string]string, fallback string) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		to, ok := hosts[address]
		if !ok {
			to = fallback
		}
		return new(net.Dialer).DialContext(ctx, network, strings.TrimSuffix(strings.TrimPrefix(to, "http://"), "/data.bin"))
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestRedirect_OtherHostGetsNoHeader(t *testing.T) {
	for home, other := range map[string]string{"files.example": "fİles.example", "strasse.example": "straße.example", "h.example": "h.example."} {
		data := randomBytes(10_000)
		foreign := newSite(data)
		front := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Location"] = []string{"http://" + other + "/x"}
			w.WriteHeader(http.StatusFound)
		})
		source := newSource(t, "http://"+home+"/movie", &httpsource.Options{
			HTTPClient: routed(t, map[string]string{home + ":80": front}, foreign.start(t)),
			Header:     http.Header{"X-Token": {"secret"}},
		})
		stat(t, source)
		wantRead(t, source, 5000, data[5000:])
		for _, r := range foreign.requests() {
			if got := r.Header.Get("X-Token"); got != "" {
				t.Errorf("%s got X-Token %q", other, got)
			}
		}
	}
}

func TestRedirect_FormsOfOneHostGetTheHeader(t *testing.T) {
	for home, other := range map[string]string{
		"bücher.example": "xn--bcher-kva.example", "FILES.example": "files.example:80", "[0:0::1]": "[::1]", "[fe80::1%25eth0]": "[fe80::1]",
	} {
		data := randomBytes(10_000)
		served := newSite(data)
		served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if r.URL.Path != "/movie" {
				return false
			}
			w.Header().Set("Location", "http://"+other+"/x")
			w.WriteHeader(http.StatusFound)
			return true
		}
		source := newSource(t, "http://"+home+"/movie", &httpsource.Options{
			HTTPClient: routed(t, nil, served.start(t)), Header: http.Header{"X-Token": {"secret"}},
		})
		stat(t, source)
		wantRead(t, source, 5000, data[5000:])
		for _, r := range served.requests() {
			if got := r.Header.Get("X-Token"); got != "secret" {
				t.Errorf("%s %s got X-Token %q", r.Host, r.URL.Path, got)
			}
		}
	}
}

func TestRedirect_OtherHostGetsNoHeaderBack(t *testing.T) {
	var home, away string
	var got []string
	home = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/movie" {
			http.Redirect(w, r, away, http.StatusFound)
			return
		}
		got = append(got, r.URL.Path+" "+r.Header.Get("X-Token"))
		w.WriteHeader(http.StatusUnauthorized)
	})
	away = serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, home+"/admin", http.StatusFound)
	})
	source := newSource(t, home+"/movie", &httpsource.Options{Header: http.Header{"X-Token": {"secret"}}})
	_, err := source.Stat(testContext(t))
	if fmt.Sprint(got) != "[/admin ]" {
		t.Errorf("steered requests were %q", got)
	}
	if err == nil || !strings.Contains(err.Error(), "Options.Header was not sent, because a redirect led to "+away) {
		t.Errorf("error is %v", err)
	}
	if _, err := newSource(t, home+"/movie", nil).Stat(testContext(t)); err == nil || strings.Contains(err.Error(), "Options.Header") {
		t.Errorf("without header: %v", err)
	}
}

func TestErrors_EchoedSecretsAreRedacted(t *testing.T) {
	const token = "token/of+the=caller"
	for name, location := range map[string]string{
		"path": "/files/" + token, "escaped path": "/files/" + url.PathEscape(token), "scheme": "ftp://h/" + token, "other host": "http://127.0.0.1:1/" + token,
	} {
		at := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/movie" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusFound)
		})
		source := newSource(t, at+"/movie", &httpsource.Options{
			Header: http.Header{"Authorization": {"Bearer " + token}}, Retry: tus.RetryPolicy{MaxRetries: -1},
		})
		_, err := source.Stat(testContext(t))
		if err == nil || strings.Contains(err.Error(), "caller") || !strings.Contains(err.Error(), "/[redacted]") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	// In a header that an error quotes, and by a proxy in the status.
	served := newSite(randomBytes(100))
	served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		w.Header().Set("Content-Encoding", r.Header.Get("X-Token"))
		return false
	}
	_, err := newSource(t, served.start(t), &httpsource.Options{Header: http.Header{"X-Token": {token}}}).Stat(testContext(t))
	if err == nil || strings.Contains(err.Error(), "caller") {
		t.Errorf("error is %v", err)
	}
	proxy, _ := url.Parse(serve(t, func(w http.ResponseWriter, r *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			fmt.Fprintf(conn, "HTTP/1.1 403 no access with %s\r\n\r\n", r.Header.Get("Proxy-Authorization"))
			conn.Close()
		}
	}))
	proxy.User = url.UserPassword("alice", token)
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	_, err = newSource(t, "https://source.test/movie", &httpsource.Options{HTTPClient: client, Retry: tus.RetryPolicy{MaxRetries: -1}}).Stat(testContext(t))
	if err == nil || !strings.HasSuffix(err.Error(), "no access with [redacted]") {
		t.Errorf("error is %v", err)
	}
}

func TestNew_HostWithoutASCIIFormIsRefused(t *testing.T) {
	_, err := httpsource.New("http://a／b.example/x", nil)
	wantError(t, err, tus.ErrInvalidInput)
}

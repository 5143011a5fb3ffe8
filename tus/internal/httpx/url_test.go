package httpx_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// dialed returns the address that net/http dials for u, in lower case and with an
// IP address in its shortest form.
func dialed(t *testing.T, u *url.URL) string {
	t.Helper()
	var address string
	transport := &http.Transport{DialContext: func(_ context.Context, _, dialed string) (net.Conn, error) {
		address = dialed
		return nil, errors.New("no network")
	}}
	transport.DialTLSContext = transport.DialContext
	_, err := transport.RoundTrip(&http.Request{Method: "GET", URL: u, Host: u.Host, Header: http.Header{}})
	if err == nil || address == "" {
		t.Fatalf("nothing was dialed for %q: %v", u, err)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatalf("%q was dialed for %q", address, u)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return net.JoinHostPort(ip.String(), port)
	}
	return net.JoinHostPort(strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, host), port)
}

// address is an origin in the form of dialed.
func address(o httpx.Origin) string {
	u := o.URL()
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + " " + net.JoinHostPort(u.Hostname(), port)
}

// FuzzOriginIsDialed compares what OriginOf says of a URL, and of a Location, with
// the address that http.Transport dials, for the URL as it was given and as it was
// parsed, and with the Host header.
func FuzzOriginIsDialed(f *testing.F) {
	for _, seed := range []string{
		"http://files.example/", "http://fİles.example:8080/x", "https://BÜCHER.example", "http://straße.example", "http://STRAẞE.example",
		"http://\u212Aelvin.example", "http://ｆｉｌｅｓ。example", "http://xn--bcher-kva.example", "http://XN--BCHER-KVA.example",
		"http://[::1]:80/", "http://[0:0:0:0:0:0:0:1]", "http://[fe80::1%25eth0]:1080", "http://[fe80::1%25é]", "http://[::FFFF:1.2.3.4]",
		"http://127.0.0.1", "http://１２７.0.0.1", "http://127.1", "http://h:080", "http://h:", "http://h.", "http://%E2%98%83.example", "http://a%2541.example",
		"http://\u00ad", "http://a／b", "http://a：80", "http://\xff", "http://u:p@h", "http://ö_1.example", "//other.example/1", "/1", "HTTP://H",
	} {
		f.Add(seed)
	}
	base, err := httpx.ParseURL("base", "http://uploads.example:8080/files/")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		given, err := url.Parse(strings.TrimSpace(raw))
		if err != nil {
			return
		}
		if u, err := httpx.ParseURL("URL", raw); err == nil {
			compare(t, given, u)
		}
		if u, err := httpx.Resolve(base, raw); err == nil {
			compare(t, base.ResolveReference(given), u)
		}
	})
}

func compare(t *testing.T, given, parsed *url.URL) {
	t.Helper()
	ours := address(httpx.OriginOf(parsed))
	for _, u := range []*url.URL{given, parsed} {
		if theirs := u.Scheme + " " + dialed(t, u); theirs != ours {
			t.Errorf("%q has the origin %q, and %q is dialed", u, ours, theirs)
		}
	}
	again, err := url.Parse(parsed.String())
	if err != nil || httpx.OriginOf(again) != httpx.OriginOf(parsed) {
		t.Errorf("%q parses as %q: %v", parsed, again, err)
	}
	if strings.ContainsFunc(parsed.Host, func(r rune) bool { return r >= 0x80 }) {
		t.Errorf("host is %q", parsed.Host)
	}
	var sent bytes.Buffer
	if err := (&http.Request{Method: "GET", URL: parsed, Header: http.Header{}}).Write(&sent); err != nil {
		return
	}
	if got, err := http.ReadRequest(bufio.NewReader(&sent)); err == nil && got.Host != "" && got.Host != withoutZone(parsed.Host) {
		t.Errorf("Host is %q for %q", got.Host, parsed)
	}
}

func withoutZone(host string) string {
	end := strings.LastIndex(host, "]")
	if zone := strings.LastIndex(host[:max(end, 0)], "%"); zone >= 0 {
		return host[:zone] + host[end:]
	}
	return host
}

func TestOriginOf_ZeroIsNoOrigin(t *testing.T) {
	u, err := httpx.ParseURL("URL", "http://h")
	if err != nil || httpx.OriginOf(u) == (httpx.Origin{}) {
		t.Errorf("origin of %v is %v, %v", u, httpx.OriginOf(u), err)
	}
}

func TestOrigin_StringHasNoDefaultPort(t *testing.T) {
	for raw, want := range map[string]string{
		"http://Example.org/x?y":            "http://example.org",
		"https://example.org:443/":          "https://example.org",
		"http://example.org:443/":           "http://example.org:443",
		"http://u:p@[0:0::1]:1080":          "http://[::1]:1080",
		"http://[fe80::1%25eth0]/":          "http://[fe80::1%25eth0]",
		"https://Bücher.example:8443/files": "https://xn--bcher-kva.example:8443",
	} {
		u, err := httpx.ParseURL("URL", raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := httpx.OriginOf(u).String(); got != want {
			t.Errorf("%s has the origin %s, want %s", raw, got, want)
		}
	}
}

func TestParseURL_ErrorsKeepSecrets(t *testing.T) {
	for _, raw := range []string{"", "http://u:SECRET@/x?SECRET", "http://u:SECRET@h:port/", "ftp://u:SECRET@h/?SECRET", "mailto:SECRET@h", "http://u:SECRET@a／b/?SECRET"} {
		if _, err := httpx.ParseURL("endpoint", raw); err == nil || !strings.Contains(err.Error(), "endpoint") || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("error for %q is %v", raw, err)
		}
	}
}

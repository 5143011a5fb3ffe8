package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"testing"
)

// After DNS rebinding, the browser regards a page of another site as same-origin.
func TestHost_OfOtherSiteIsRefused(t *testing.T) {
	form := newForm(t, "a", noise(10))
	for name, c := range map[string]struct {
		host, origin string
		code         int
	}{
		"gateway":                   {"gateway.test", "http://gateway.test", http.StatusAccepted},
		"another port":              {"GATEWAY.test:8443", "https://gateway.test:8443", http.StatusAccepted},
		"rebound":                   {"evil.test", "http://evil.test", http.StatusMisdirectedRequest},
		"name with the same prefix": {"gateway.test.evil.test", "http://gateway.test.evil.test", http.StatusMisdirectedRequest},
		"an address":                {"127.0.0.1", "http://127.0.0.1", http.StatusMisdirectedRequest},
		"another origin":            {"gateway.test", "http://evil.test", http.StatusForbidden},
		"origin without a name":     {"gateway.test", "null", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			served(t, nil, func(w *whole) {
				b := w.connect()
				_, err := fmt.Fprintf(b, "POST /uploads/%s HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nSec-Fetch-Site: same-origin\r\n"+
					"Content-Type: %s\r\nContent-Length: %d\r\n\r\n%s", id, c.host, c.origin, form.contentType, len(form.content), form.content)
				check(t, err)
				if code, body := b.response(); code != c.code {
					t.Errorf("response is %d %s, want %d", code, body, c.code)
				}
			})
		})
	}
	// Such a page cannot read statuses either.
	served(t, nil, func(w *whole) {
		b := w.connect()
		_, err := fmt.Fprintf(b, "GET /uploads/%s HTTP/1.1\r\nHost: evil.test\r\n\r\n", id)
		check(t, err)
		if code, body := b.response(); code != http.StatusMisdirectedRequest {
			t.Errorf("response is %d %s", code, body)
		}
	})
}

func TestHosts_DefaultIsTheListenAddress(t *testing.T) {
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 8080} }
	for _, c := range []struct {
		list, addr string
		listening  net.Addr
		allowed    []string
		refused    []string
	}{
		{"", "127.0.0.1:8080", tcp("127.0.0.1"), []string{"127.0.0.1:8080", "localhost:8080", "[::1]:8080", "localhost"}, []string{"evil.test:8080", "10.0.0.1:8080", ""}},
		{"", "gateway.lan:8080", tcp("10.0.0.1"), []string{"gateway.lan:8080", "Gateway.LAN.", "10.0.0.1:8080"}, []string{"localhost:8080", "10.0.0.2"}},
		{"", ":8080", tcp("::"), []string{"10.0.0.2:8080", "[fe80::1]:8080", "localhost"}, []string{"evil.test", "10.0.0.2.evil.test"}},
		{"a.test, b.test:8443", ":8080", tcp("::"), []string{"a.test", "a.test:1", "b.test:8443"}, []string{"b.test", "localhost", "10.0.0.1", ""}},
		{" , ", ":8080", tcp("::"), nil, []string{"", "localhost"}},
	} {
		h := newHosts(c.list, c.addr, c.listening)
		for _, host := range c.allowed {
			if !h.allow(host) {
				t.Errorf("%q, %q: %q is refused", c.list, c.addr, host)
			}
		}
		for _, host := range c.refused {
			if h.allow(host) {
				t.Errorf("%q, %q: %q is allowed", c.list, c.addr, host)
			}
		}
	}
}

func TestMaxPerClient_LeavesUploadsForOthers(t *testing.T) {
	s := newSite(t, setup{options: options{maxActive: 4, maxPerClient: 2, clientHeader: "X-Real-IP"}})
	form := newForm(t, "a", noise(10))
	send := func(client string) int {
		req, err := http.NewRequest(http.MethodPost, s.url+"/uploads", bytes.NewReader(form.content))
		check(t, err)
		req.Header.Set("Content-Type", form.contentType)
		if client != "" {
			req.Header.Set("X-Real-IP", client)
		}
		got, err := s.do(req)
		check(t, err)
		return got.code
	}
	first, second := s.stream("/uploads/"+id+"-1"), s.stream("/uploads/"+id+"-2")
	s.until(id+"-1", http.StatusAccepted)
	s.until(id+"-2", http.StatusAccepted)
	if code := send(""); code != http.StatusTooManyRequests {
		t.Errorf("the third upload of one client got %d", code)
	}
	if code := send("192.0.2.1"); code != http.StatusAccepted {
		t.Errorf("another client got %d", code)
	}
	if code := send("192.0.2.1, 127.0.0.1"); code != http.StatusTooManyRequests {
		t.Errorf("a client with a forged address got %d", code)
	}
	first.finish(t)
	s.until(id+"-1", http.StatusOK)
	if code := send(""); code != http.StatusAccepted {
		t.Errorf("after an upload has ended, the response is %d", code)
	}
	second.finish(t)
}

func TestClientOf_IPv6IsNetwork(t *testing.T) {
	client := func(addr string) string { return clientOf(&http.Request{RemoteAddr: addr}, "") }
	if a, b := client("[2001:db8::1]:1"), client("[2001:db8::ffff:2]:2"); a != b {
		t.Errorf("%s and %s differ for one network", a, b)
	}
	if a, b := client("[2001:db8::1]:1"), client("[2001:db8:0:1::1]:1"); a == b {
		t.Errorf("two networks are both %s", a)
	}
	if a, b := client("[::ffff:192.0.2.1]:1"), client("192.0.2.1:2"); a != b {
		t.Errorf("%s and %s differ for one address", a, b)
	}
}

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// newPages starts a server with the pages.
func newPages(t *testing.T, p pages) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	check(t, p.register(mux))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func fetch(t *testing.T, server *httptest.Server, path string) (*http.Response, string) {
	t.Helper()
	resp, err := server.Client().Get(server.URL + path)
	check(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	return resp, string(body)
}

func TestPages_ReferencesAreServedByGateway(t *testing.T) {
	script := filepath.Join(t.TempDir(), "tus.min.js")
	check(t, os.WriteFile(script, []byte("/* tus-js-client */"), 0o600))
	server := newPages(t, pages{endpoint: "https://tus.example.org/files/?a=1&b=2", tusJS: script})
	reference := regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	for _, path := range []string{"/", "/direct"} {
		resp, page := fetch(t, server, path)
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			t.Fatalf("GET %s: %s, %s", path, resp.Status, resp.Header.Get("Content-Type"))
		}
		policy := resp.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "script-src 'self'") || !strings.HasSuffix(policy, "connect-src 'self' https://tus.example.org") {
			t.Errorf("policy is %q", policy)
		}
		if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("GET %s: X-Content-Type-Options is %q", path, got)
		}
		found := reference.FindAllStringSubmatch(page, -1)
		if len(found) < 3 {
			t.Errorf("GET %s: only %d references", path, len(found))
		}
		for _, m := range found {
			if strings.Contains(m[1], ":") {
				t.Errorf("GET %s: loads %s from another server", path, m[1])
			}
			if resp, _ := fetch(t, server, "/"+strings.TrimPrefix(m[1], ".")); resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", m[1], resp.Status)
			}
		}
	}
	if _, page := fetch(t, server, "/direct"); !strings.Contains(page, `data-endpoint="https://tus.example.org/files/?a=1&amp;b=2"`) {
		t.Error("the page has no endpoint")
	}
}

func TestDirectPage_ShowsHowToInstallScript(t *testing.T) {
	server := newPages(t, pages{endpoint: "https://tus.example.org/files/"})
	_, page := fetch(t, server, "/direct")
	if strings.Contains(page, "<script") || !strings.Contains(page, "npm install tus-js-client") {
		t.Error("the page does not show how to install its script")
	}
	if resp, _ := fetch(t, server, "/tus.min.js"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the missing script got %s", resp.Status)
	}
}

func TestPages_OtherFilesAreNotServed(t *testing.T) {
	server := newPages(t, pages{endpoint: "https://tus.example.org/files/"})
	for _, path := range []string{"/direct.html", "/web/", "/..%2fmain.go", "/nowhere"} {
		if resp, _ := fetch(t, server, path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s", path, resp.Status)
		}
	}
}

func TestPages_InvalidOptionsAreErrors(t *testing.T) {
	const endpoint = "https://tus.example.org/files/"
	for name, p := range map[string]pages{
		"no script":      {endpoint: endpoint, tusJS: filepath.Join(t.TempDir(), "nowhere.js")},
		"directory":      {endpoint: endpoint, tusJS: t.TempDir()},
		"no scheme":      {endpoint: "tus.example.org/files/"},
		"no host":        {endpoint: "http:///files/"},
		"other scheme":   {endpoint: "ftp://tus.example.org/"},
		"with a secret":  {endpoint: "https://user:secret@tus.example.org/files/"},
		"not a URL":      {endpoint: "https://tus.example.org/%zz"},
		"more than host": {endpoint: "https://tus.example.org; script-src */"},
	} {
		t.Run(name, func(t *testing.T) {
			err := p.register(http.NewServeMux())
			if err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestPublic_RemovesQuery(t *testing.T) {
	if got := public("https://tus.example.org/files/?token=secret"); got != "https://tus.example.org/files/" {
		t.Errorf("public endpoint is %s", got)
	}
}

package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"os"
)

//go:embed web
var web embed.FS

// pages serves the HTML pages.
type pages struct {
	endpoint string // of the tus server, for browsers
	tusJS    string // path of tus.min.js; empty for none
}

func (p *pages) register(mux *http.ServeMux) error {
	files, err := fs.Sub(web, "web")
	if err != nil {
		return err
	}
	origin, err := originOf(p.endpoint)
	if err != nil {
		return err
	}
	direct, err := p.direct(files)
	if err != nil {
		return err
	}
	policy := "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; " +
		"frame-ancestors 'none'; connect-src 'self' " + origin
	handle := func(path string, serve http.HandlerFunc) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", policy)
			w.Header().Set("X-Content-Type-Options", "nosniff")
			serve(w, r)
		})
	}
	for path, name := range map[string]string{
		"/{$}": "index.html", "/form.js": "form.js", "/direct.js": "direct.js", "/style.css": "style.css",
	} {
		handle(path, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, name) })
	}
	handle("/direct", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(direct) // the browser may have disconnected
	})
	if p.tusJS == "" {
		return nil
	}
	switch info, err := os.Stat(p.tusJS); {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", p.tusJS)
	}
	handle("/tus.min.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, p.tusJS) })
	return nil
}

// direct returns the page with a tus client.
func (p *pages) direct(files fs.FS) ([]byte, error) {
	page, err := template.ParseFS(files, "direct.html")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Execute(&b, map[string]any{"Endpoint": p.endpoint, "Script": p.tusJS != ""})
	return b.Bytes(), err
}

// originOf returns the origin of an endpoint, for the content security policy.
func originOf(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", fmt.Errorf("public endpoint: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", fmt.Errorf("public endpoint %s is not a URL of the form http://host/path", u.Redacted())
	}
	return u.Scheme + "://" + u.Host, nil
}

// public returns an endpoint without its query, which may be secret.
func public(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	u.RawQuery = ""
	return u.String()
}

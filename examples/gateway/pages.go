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

// pages are what people see.
type pages struct {
	endpoint string // of the tus server, as browsers reach it
	tusJS    string // path of tus.min.js; empty for none
}

func (p *pages) register(mux *http.ServeMux) error {
	files, err := fs.Sub(web, "web")
	if err != nil {
		return err
	}
	endpoint, err := url.Parse(p.endpoint)
	if err != nil {
		return fmt.Errorf("public endpoint: %w", err)
	}
	if p.tusJS != "" {
		if _, err := os.Stat(p.tusJS); err != nil {
			return err
		}
		mux.HandleFunc("GET /tus.min.js", func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, p.tusJS)
		})
	}
	page, err := template.ParseFS(files, "direct.html")
	if err != nil {
		return err
	}
	var direct bytes.Buffer
	if err := page.Execute(&direct, map[string]any{"Endpoint": p.endpoint, "Script": p.tusJS != ""}); err != nil {
		return err
	}
	policy := "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; " +
		"frame-ancestors 'none'; connect-src 'self' " + endpoint.Scheme + "://" + endpoint.Host
	mux.HandleFunc("GET /direct", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(direct.Bytes()) // the browser may be gone
	})
	static := http.FileServerFS(files)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		static.ServeHTTP(w, r)
	})
	return nil
}

//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"time"
)

// launcher starts the process of a server on an address. It is called again after a kill.
type launcher func(addr string) *exec.Cmd

// start starts a server on a free port and waits until it answers. content is that of the
// result, and basePath the path of its endpoint. end, if non-nil, is called by Close.
func (l launcher) start(ctx context.Context, basePath string, content func(context.Context, string) (io.ReadCloser, error), end func()) (*Running, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	var p *Process
	r := &Running{Endpoint: "http://" + addr + basePath, Content: content}
	r.Restart = func(ctx context.Context) error {
		if p, err = StartProcess(l(addr)); err != nil {
			return err
		}
		if err := p.WaitReady(ctx, addr); err != nil {
			return err
		}
		return waitAnswer(ctx, p, r.Endpoint)
	}
	r.Kill = func() error { return p.Kill() }
	r.Close = func() {
		_ = p.Kill() // it has ended already
		if end != nil {
			end()
		}
	}
	if err := r.Restart(ctx); err != nil {
		if p != nil {
			r.Close()
		}
		return nil, err
	}
	return r, nil
}

// waitAnswer waits until a server that accepts connections answers requests: some do so before
// their storage is ready.
func waitAnswer(ctx context.Context, p *Process, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodOptions, endpoint, nil)
		if err != nil {
			return err
		}
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close() // the body does not matter
			if resp.StatusCode < http.StatusInternalServerError {
				return nil
			}
			err = errors.New(resp.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w: %s", p.name, err, p.Log())
		case <-retry.C:
		}
	}
}

// files returns a function that opens the file of an upload in dir. name returns its name for
// the last path element of the upload URL.
func files(dir string, name func(id string) string) func(context.Context, string) (io.ReadCloser, error) {
	return func(_ context.Context, uploadURL string) (io.ReadCloser, error) {
		if uploadURL == "" {
			return newest(dir)
		}
		u, err := url.Parse(uploadURL)
		if err != nil {
			return nil, err
		}
		return os.Open(filepath.Join(dir, name(path.Base(u.Path))))
	}
}

// newest opens the newest upload in dir.
func newest(dir string) (io.ReadCloser, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found string
	var latest time.Time
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".json", ".info", ".lock": // about an upload
			continue
		}
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && info.ModTime().After(latest) {
			found, latest = filepath.Join(dir, e.Name()), info.ModTime()
		}
	}
	return os.Open(found)
}

// same is the name of a file that is called like its upload.
func same(id string) string { return id }

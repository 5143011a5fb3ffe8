package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus"
)

// newClient makes a client for endpoint with what all commands have in common.
func (c *common) newClient(p *program, endpoint string, opts tus.Options) (*tus.Client, error) {
	var err error
	opts.TrustedOrigins = c.TrustedOrigin
	opts.Retry.MaxRetries = c.Retries
	if c.Retries == 0 {
		opts.Retry.MaxRetries = -1
	}
	opts.StallTimeout = c.StallTimeout
	if c.StallTimeout == 0 {
		opts.StallTimeout = -1
	}
	opts.ResponseTimeout, opts.SourceTimeout = c.ResponseTimeout, c.SourceTimeout
	if c.ResponseTimeout == 0 {
		opts.ResponseTimeout = -1
	}
	if opts.HTTPClient, err = c.httpClient(p); err != nil {
		return nil, err
	}
	if c.Verbose {
		tellFailures(p, &opts.Hooks)
	}
	client, err := c.withCredentials(endpoint, opts)
	if errors.Is(err, tus.ErrInvalidInput) {
		err = usageError{err}
	}
	return client, err
}

// withCredentials makes a client whose header has those credentials that are meant
// for endpoint. The client itself decides which other URLs get them.
func (c *common) withCredentials(endpoint string, opts tus.Options) (*tus.Client, error) {
	header, err := c.headers()
	if err != nil {
		return nil, err
	}
	ofFlags, ofEnvironment := c.meantFor(endpoint)
	if ofFlags {
		opts.Header = header
	}
	if !ofEnvironment {
		return tus.NewClient(endpoint, &opts)
	}
	defer os.Setenv("TUS_ENDPOINT", os.Getenv("TUS_ENDPOINT"))
	if err := os.Setenv("TUS_ENDPOINT", endpoint); err != nil {
		return nil, err
	}
	return tus.NewClientFromEnv(&opts)
}

// meantFor reports whether --header, and TUS_TOKEN and TUS_HEADERS, may be sent to a
// URL. Those of the environment are for TUS_ENDPOINT, where that is set.
func (c *common) meantFor(rawURL string) (ofFlags, ofEnvironment bool) {
	for _, trusted := range c.TrustedOrigin {
		if sameOrigin(trusted, rawURL) {
			return true, true
		}
	}
	if !sameOrigin(c.endpoint(), rawURL) {
		return false, false
	}
	from := os.Getenv("TUS_ENDPOINT")
	return true, from == "" || sameOrigin(from, rawURL)
}

// secrets returns the parts of the credentials that a server might put into a URL.
func (c *common) secrets() []string {
	given := strings.Join(slices.Concat(c.Header, []string{os.Getenv("TUS_TOKEN"), os.Getenv("TUS_HEADERS")}), "\n")
	parts := strings.FieldsFunc(given, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;=\"", r) })
	return slices.DeleteFunc(parts, func(part string) bool { return len(part) < 6 || strings.HasSuffix(part, ":") })
}

// explainRefusal adds to a 401 or 403 that a server, which got no credentials, sent
// how to send them, and to the refusal of a stored upload how to forget it.
func (c *common) explainRefusal(err error) error {
	var stored *tus.StoredError
	if errors.As(err, &stored) {
		err = fmt.Errorf("%w; to forget it: tusup forget %s", err, stored.ID)
	}
	var e *tus.Error
	if !errors.Is(err, tus.ErrUnauthorized) || !errors.As(err, &e) {
		return err
	}
	ofFlags, ofEnvironment := c.meantFor(e.URL)
	var kept []string
	if !ofFlags && len(c.Header) > 0 {
		kept = append(kept, "--header")
	}
	for _, name := range []string{"TUS_TOKEN", "TUS_HEADERS"} {
		if !ofEnvironment && os.Getenv(name) != "" {
			kept = append(kept, name)
		}
	}
	u, notURL := url.Parse(e.URL)
	if len(kept) == 0 || notURL != nil {
		return err
	}
	return fmt.Errorf("%w; to send it %s, use --trusted-origin %s://%s", err, strings.Join(kept, ", "), u.Scheme, u.Host)
}

// sameOrigin reports whether two URLs have the same scheme, host and port.
func sameOrigin(a, b string) bool {
	one := originOf(a)
	return one != "" && one == originOf(b)
}

// originOf returns scheme, host and port of a URL, empty if that is none. The host is
// in ASCII, as the library requests it: which other letters are the same is not simple.
func originOf(rawURL string) string {
	client, err := tus.NewClient(rawURL, nil)
	if err != nil {
		return ""
	}
	u, err := url.Parse(client.Endpoint())
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// httpClient is nil, for the library's own, unless TLS is to be changed or
// requests are to be told.
func (c *common) httpClient(p *program) (*http.Client, error) {
	if c.CACert == "" && !c.Insecure && !c.Verbose {
		return nil, nil
	}
	config := &tls.Config{InsecureSkipVerify: c.Insecure}
	if c.CACert != "" {
		pem, err := os.ReadFile(c.CACert)
		if err != nil {
			return nil, usageError{err}
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usagef("--ca-cert %s: no certificate in it", c.CACert)
		}
	}
	transport := tus.NewTransport()
	transport.TLSClientConfig = config
	if c.Verbose {
		return &http.Client{Transport: requestLog{transport, p, c.secrets()}}, nil
	}
	return &http.Client{Transport: transport}, nil
}

// fingerprinters are the choices of --fingerprint.
func fingerprinter(name string) fingerprint.Fingerprinter {
	switch name {
	case "content":
		return fingerprint.Content{}
	case "stat":
		return fingerprint.Stat{}
	}
	return fingerprint.Sample{}
}

// openState opens the resume database; nil if there is to be none. One that
// cannot be opened is fatal only if the user named it.
func (c *common) openState(p *program) (*boltstore.Store, error) {
	if c.NoState {
		return nil, nil
	}
	path := c.State
	if path == "" {
		var err error
		if path, err = defaultState(); err != nil {
			p.logf("going on without resume: %v", err)
			return nil, nil
		}
	}
	store, err := openStore(p, path)
	switch {
	case err == nil:
		return store, nil
	case c.State == "" && errors.Is(err, storage.ErrLocked):
		p.logf("going on without resume, as another tusup is at work: uploads begin anew, and cannot be resumed; a --state of its own avoids that")
		return nil, nil
	case c.State == "":
		p.logf("going on without resume: %v", err)
		return nil, nil
	case errors.Is(err, storage.ErrCorrupt):
		return nil, fmt.Errorf("%w; move the file aside to begin with a new one", err)
	}
	return nil, err
}

// openStore opens a database, and logs what is wrong with its permissions.
func openStore(p *program, path string) (*boltstore.Store, error) {
	return boltstore.Open(path, &boltstore.Options{OnWarning: func(err error) { p.logf("warning: %v", err) }})
}

// mustOpenState is openState for commands that are about the database. Where there
// is none by default, nothing was ever interrupted: the store is nil.
func (c *common) mustOpenState(p *program) (*boltstore.Store, error) {
	path := c.State
	if path == "" {
		var err error
		if path, err = defaultState(); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(path); err != nil {
		if c.State == "" && errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	return openStore(p, path)
}

// defaultState is in the user's state directory.
func defaultState() (string, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		var err error
		switch runtime.GOOS {
		case "windows":
			dir, err = os.UserCacheDir()
		case "darwin":
			dir, err = os.UserConfigDir()
		default:
			dir, err = os.UserHomeDir()
			dir = filepath.Join(dir, ".local", "state")
		}
		if err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "tusup", "uploads.db"), nil
}

// stored makes a nil *boltstore.Store a nil storage.Store.
func stored(s *boltstore.Store) storage.Store {
	if s == nil {
		return nil
	}
	return s
}

// urlClient is a client for commands that take an upload URL.
func (c *common) urlClient(p *program, uploadURL string) (*tus.Client, error) {
	endpoint := c.endpoint()
	if endpoint == "" {
		endpoint = uploadURL
	}
	return c.newClient(p, endpoint, tus.Options{})
}

// ended tells the end of ctx from other errors.
func ended(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, tus.ErrPaused))
}

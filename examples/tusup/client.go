package main

import (
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
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus"
)

// newClient returns a client for endpoint with the flags of all commands.
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
	if onRetry := opts.Hooks.OnRetry; c.Verbose {
		opts.Hooks.OnRetry = func(u *tus.Uploader, r tus.Retry) {
			if onRetry != nil {
				onRetry(u, r)
			}
			p.logf("%s: attempt %d failed, retrying in %v: %v", orDash(u.Name()), r.Attempt, r.Delay.Round(time.Millisecond), r.Err)
		}
	}
	client, err := c.withCredentials(endpoint, opts)
	if errors.Is(err, tus.ErrInvalidInput) {
		if hint := withoutScheme(endpoint); hint != "" {
			err = fmt.Errorf("%w; %s", err, hint)
		}
		err = usageError{err}
	}
	return client, err
}

// withCredentials returns a client with the credentials for endpoint. The client decides
// which other URLs they are sent to.
func (c *common) withCredentials(endpoint string, opts tus.Options) (*tus.Client, error) {
	header, err := c.headers()
	if err != nil {
		return nil, err
	}
	fromFlags, fromEnvironment := c.credentialsFor(endpoint)
	if fromFlags {
		opts.Header = header
	}
	if !fromEnvironment {
		return tus.NewClient(endpoint, &opts)
	}
	defer os.Setenv("TUS_ENDPOINT", os.Getenv("TUS_ENDPOINT"))
	if err := os.Setenv("TUS_ENDPOINT", endpoint); err != nil {
		return nil, err
	}
	return tus.NewClientFromEnv(&opts)
}

// credentialsFor reports whether --header, and TUS_TOKEN and TUS_HEADERS, may be sent to
// a URL. If TUS_ENDPOINT is set, the latter are for its origin.
func (c *common) credentialsFor(rawURL string) (fromFlags, fromEnvironment bool) {
	for _, trusted := range c.TrustedOrigin {
		if sameOrigin(trusted, rawURL) {
			return true, true
		}
	}
	if !sameOrigin(c.endpoint(), rawURL) {
		return false, false
	}
	endpoint := os.Getenv("TUS_ENDPOINT")
	return true, endpoint == "" || sameOrigin(endpoint, rawURL)
}

// secrets returns the parts of the credentials that a server might put into a URL.
func (c *common) secrets() []string {
	credentials := strings.Join(slices.Concat(c.Header, []string{os.Getenv("TUS_TOKEN"), os.Getenv("TUS_HEADERS")}), "\n")
	parts := strings.FieldsFunc(credentials, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;=\"", r) })
	return slices.DeleteFunc(parts, func(part string) bool { return len(part) < 6 || strings.HasSuffix(part, ":") })
}

// withAdvice adds to a 401 or 403 which flag sends the credentials that were withheld
// from the server, and to the refusal of a stored upload how to forget it.
func (c *common) withAdvice(err error) error {
	err = c.withHint(err)
	var stored *tus.StoredError
	if errors.As(err, &stored) {
		err = fmt.Errorf("%w; to forget it: tusup forget %s", err, stored.ID)
	}
	var e *tus.Error
	if !errors.Is(err, tus.ErrUnauthorized) || !errors.As(err, &e) {
		return err
	}
	fromFlags, fromEnvironment := c.credentialsFor(e.URL)
	var withheld []string
	if !fromFlags && len(c.Header) > 0 {
		withheld = append(withheld, "--header")
	}
	for _, name := range []string{"TUS_TOKEN", "TUS_HEADERS"} {
		if !fromEnvironment && os.Getenv(name) != "" {
			withheld = append(withheld, name)
		}
	}
	u, parseErr := url.Parse(e.URL)
	if len(withheld) == 0 || parseErr != nil {
		return err
	}
	return fmt.Errorf("%w; %s was not sent to this origin: to send it, use --trusted-origin %s://%s", err, strings.Join(withheld, ", "), u.Scheme, u.Host)
}

// sameOrigin reports whether two URLs have the same scheme, host and port.
func sameOrigin(a, b string) bool {
	origin := originOf(a)
	return origin != "" && origin == originOf(b)
}

// originOf returns scheme, host and port of a URL, "" if it is invalid. The client
// converts the host to ASCII, so that equal names compare equal.
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

// httpClient returns the client for TLS flags and --verbose, nil if none is set.
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
			return nil, usagef("--ca-cert %s: no certificate in the file", c.CACert)
		}
	}
	transport := tus.NewTransport()
	transport.TLSClientConfig = config
	if c.Verbose {
		return &http.Client{Transport: requestLog{transport, p, c.secrets()}}, nil
	}
	return &http.Client{Transport: transport}, nil
}

// fingerprinter returns the value of --fingerprint.
func fingerprinter(name string) fingerprint.Fingerprinter {
	switch name {
	case "content":
		return fingerprint.Content{}
	case "stat":
		return fingerprint.Stat{}
	}
	return fingerprint.Sample{}
}

// openState opens the resume database. It returns nil with --no-state, and if the
// default database cannot be opened: that is an error only with --state.
func (c *common) openState(p *program) (*boltstore.Store, error) {
	if c.NoState {
		return nil, nil
	}
	path := c.State
	if path == "" {
		var err error
		if path, err = defaultState(); err != nil {
			p.logf("continuing without resume database: %v", err)
			return nil, nil
		}
	}
	store, err := openStore(p, path)
	switch {
	case err == nil:
		return store, nil
	case c.State == "" && errors.Is(err, storage.ErrLocked):
		p.logf("continuing without resume database, which another tusup has open: no upload is resumed or can be resumed later; to avoid this, use another --state")
		return nil, nil
	case c.State == "":
		p.logf("continuing without resume database: %v", err)
		return nil, nil
	case errors.Is(err, storage.ErrCorrupt):
		return nil, fmt.Errorf("%w; move the file away to start with a new one", err)
	}
	return nil, err
}

// openStore opens a database, and logs its warnings.
func openStore(p *program, path string) (*boltstore.Store, error) {
	return boltstore.Open(path, &boltstore.Options{OnWarning: func(err error) { p.logf("warning: %v", err) }})
}

// openExistingState opens the resume database for list and forget. It returns nil if the
// default database does not exist: no upload was ever interrupted.
func (c *common) openExistingState(p *program) (*boltstore.Store, error) {
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

// defaultState returns the path of the database in the user's state directory.
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

// urlClient returns a client for commands with an upload URL.
func (c *common) urlClient(p *program, uploadURL string) (*tus.Client, error) {
	endpoint := c.endpoint()
	if endpoint == "" {
		endpoint = uploadURL
	}
	return c.newClient(p, endpoint, tus.Options{})
}

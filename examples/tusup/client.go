package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus"
)

// newClient returns a client for endpoint with the flags of all commands.
func (c *common) newClient(p *program, endpoint string, opts tus.Options) (*tus.Client, error) {
	var err error
	opts.TrustedOrigins = c.trustedOrigins()
	opts.OverridePatchMethod, opts.Capabilities = c.MethodOverride, c.Capabilities.Capabilities
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
	if opts.HTTPClient, err = c.httpClient(p, endpoint); err != nil {
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
	if opts.Header, err = c.headerFor(endpoint); err != nil {
		return nil, err
	}
	client, err := tus.NewClient(endpoint, &opts)
	if errors.Is(err, tus.ErrInvalidInput) {
		if hint := withoutScheme(endpoint); hint != "" {
			err = fmt.Errorf("%w; %s", err, hint)
		}
		err = usageError{c.withVariable(endpoint, err)}
	}
	return client, err
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

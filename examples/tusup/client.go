package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/tus"
)

// newClient returns a client for endpoint with the flags of all commands.
func (c *common) newClient(p *program, endpoint string, opts tus.Options) (*tus.Client, error) {
	opts, err := c.clientOptions(p, endpoint, opts)
	if err != nil {
		return nil, err
	}
	return c.clientWith(endpoint, opts)
}

// clientOptions adds the flags of all commands to opts. It reads the files of these flags.
func (c *common) clientOptions(p *program, endpoint string, opts tus.Options) (tus.Options, error) {
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
		return opts, err
	}
	if onRetry := opts.Hooks.OnRetry; c.Verbose {
		opts.Hooks.OnRetry = func(u *tus.Uploader, r tus.Retry) {
			if onRetry != nil {
				onRetry(u, r)
			}
			p.logf("%s: attempt %d failed, retrying in %v: %v", orDash(u.Name()), r.Attempt, r.Delay.Round(time.Millisecond), r.Err)
		}
	}
	if c.Remote != "" {
		// Two remotes may be two accounts of one server: the upload of one is not that of the other.
		opts.ResumeScope = "remote " + c.Remote + " " + endpoint
	}
	opts.Header, err = c.headerFor(endpoint)
	return opts, err
}

// clientWith returns a client with the options of clientOptions.
func (c *common) clientWith(endpoint string, opts tus.Options) (*tus.Client, error) {
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

// urlClient returns a client for commands with an upload URL.
func (c *common) urlClient(p *program, uploadURL string) (*tus.Client, error) {
	endpoint := c.endpoint()
	if endpoint == "" {
		endpoint = uploadURL
	}
	return c.newClient(p, endpoint, tus.Options{})
}

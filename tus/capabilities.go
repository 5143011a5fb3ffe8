package tus

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// Extension is the name of a protocol extension as servers advertise it in
// Tus-Extension.
type Extension string

// The extensions of tus 1.0.0.
const (
	ExtensionCreation                Extension = "creation"
	ExtensionCreationWithUpload      Extension = "creation-with-upload"
	ExtensionCreationDeferLength     Extension = "creation-defer-length"
	ExtensionExpiration              Extension = "expiration"
	ExtensionChecksum                Extension = "checksum"
	ExtensionChecksumTrailer         Extension = "checksum-trailer"
	ExtensionTermination             Extension = "termination"
	ExtensionConcatenation           Extension = "concatenation"
	ExtensionConcatenationUnfinished Extension = "concatenation-unfinished"
)

// Capabilities is what a server says of itself in answer to OPTIONS (protocol
// section OPTIONS). The zero value is a server with the core protocol only.
type Capabilities struct {
	// Versions are the protocol versions, the server's favourite first.
	Versions []string
	// Extensions are the advertised extensions.
	Extensions []Extension
	// MaxSize is the largest upload in bytes; 0 if the server states no limit, or one
	// that is not an integer from 0 to 2^63-1.
	MaxSize int64
	// ChecksumAlgorithms are the names that Upload-Checksum may use.
	ChecksumAlgorithms []string
}

// Supports reports whether the server advertises the extension.
func (c Capabilities) Supports(e Extension) bool { return slices.Contains(c.Extensions, e) }

func (c Capabilities) clone() Capabilities {
	c.Versions = slices.Clone(c.Versions)
	c.Extensions = slices.Clone(c.Extensions)
	c.ChecksumAlgorithms = slices.Clone(c.ChecksumAlgorithms)
	return c
}

// Capabilities asks the server what it supports. The answer is kept: later
// calls, and the uploads of this client, do not ask again. With
// [Options.Capabilities] the server is never asked. A request that fails is not
// retried: the error is an [*Error] or that of ctx. An answer without a header of the
// protocol, which may be of a proxy or a captive portal, is one that matches
// [ErrProtocol] and [ErrUnsupported].
func (c *Client) Capabilities(ctx context.Context) (Capabilities, error) {
	return c.required(ctx, nil, nil)
}

// RefreshCapabilities asks the server again, whatever is known. The errors are
// those of Capabilities; after one, what was known stays.
func (c *Client) RefreshCapabilities(ctx context.Context) (Capabilities, error) {
	if err := c.probe.acquire(ctx); err != nil {
		return Capabilities{}, err
	}
	defer c.probe.release()
	return c.probe.run(ctx, c, nil, nil)
}

const (
	// probeRest is how long a probe that failed is not repeated for what is only
	// nice to have: a server may never answer OPTIONS, and each time may cost a
	// stall timeout. Every further failure doubles it, up to maxProbeRest.
	probeRest    = time.Minute
	maxProbeRest = time.Hour
)

// advertised returns what is known or can be found out for a feature that is only
// nice to have: where the probe failed, it rests for a while, and uploads go on
// without the feature. Only the end of ctx is an error.
func (c *Client) advertised(ctx context.Context, hooks hookSet, m *meter) (Capabilities, error) {
	if err := c.probe.acquire(ctx); err != nil {
		return Capabilities{}, err
	}
	defer c.probe.release()
	if found, known := c.probe.state(); known || c.probe.rests() {
		return found, nil
	}
	found, err := c.probe.run(ctx, c, hooks, m)
	if unauthorized(err) && hooks.canRenew() {
		found, err = c.probe.run(ctx, c, hooks, m)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Capabilities{}, async.ContextError(ctx)
	default:
		c.log.LogAttrs(ctx, slog.LevelWarn, "tus server did not say what it supports: no checksums, and one part", slog.Any("error", err))
	}
	return found, nil
}

// required is for a feature that the upload cannot do without: a probe that
// failed is repeated.
func (c *Client) required(ctx context.Context, hooks hookSet, m *meter) (Capabilities, error) {
	if err := c.probe.acquire(ctx); err != nil {
		return Capabilities{}, err
	}
	defer c.probe.release()
	if found, known := c.probe.state(); known {
		return found, nil
	}
	return c.probe.run(ctx, c, hooks, m)
}

// capabilityProbe keeps the answer to OPTIONS, so that many uploads starting
// at once ask once.
type capabilityProbe struct {
	turn chan struct{} // holds a token while nobody asks

	mu    sync.Mutex
	known bool
	found Capabilities
	rest  time.Duration // after the last failure; 0 if there was none
	until time.Time     // when it ends
}

func newCapabilityProbe(given *Capabilities) *capabilityProbe {
	p := &capabilityProbe{turn: make(chan struct{}, 1)}
	if given != nil {
		p.known, p.found = true, given.clone()
	}
	p.release()
	return p
}

func (p *capabilityProbe) acquire(ctx context.Context) error {
	if ctx.Err() != nil {
		return async.ContextError(ctx)
	}
	select {
	case <-p.turn:
		return nil
	case <-ctx.Done():
		return async.ContextError(ctx)
	}
}

func (p *capabilityProbe) release() { p.turn <- struct{}{} }

// state returns what is known now, without waiting for a probe under way.
func (p *capabilityProbe) state() (found Capabilities, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found.clone(), p.known
}

// rests reports whether a probe failed a short time ago.
func (p *capabilityProbe) rests() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.resting()
}

// resting needs the lock.
func (p *capabilityProbe) resting() bool { return p.rest > 0 && time.Now().Before(p.until) }

func (p *capabilityProbe) run(ctx context.Context, c *Client, hooks hookSet, m *meter) (Capabilities, error) {
	found, err := c.options(ctx, hooks, m)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.known, p.found, p.rest = true, found, 0
	case ctx.Err() == nil && !p.resting(): // else it is repeated for what cannot do without
		p.rest = min(max(2*p.rest, probeRest), maxProbeRest)
		p.until = time.Now().Add(p.rest)
	}
	return found.clone(), err
}

// options sends the OPTIONS request.
func (c *Client) options(ctx context.Context, hooks hookSet, m *meter) (Capabilities, error) {
	r := &request{method: http.MethodOptions, url: c.endpoint, hooks: hooks, meter: m}
	resp, err := c.do(ctx, r)
	if err != nil {
		return Capabilities{}, err
	}
	if err := r.check(resp); err != nil {
		return Capabilities{}, err
	}
	if !ofTus(resp) && resp.Header.Get(headerTusExtension) == "" && resp.Header.Get(headerTusMaxSize) == "" {
		// A captive portal, or something that answers OPTIONS for all origins (CORS).
		return Capabilities{}, r.fail(resp, fmt.Errorf("%w: no %s: %w", ErrProtocol, headerTusVersion, ErrUnsupported))
	}
	found := Capabilities{
		Versions:           parseList(resp.Header, headerTusVersion),
		MaxSize:            parseMaxSize(resp.Header),
		ChecksumAlgorithms: checksum.ParseAlgorithms(resp.Header.Values(headerChecksumAlgorithm)),
	}
	for _, name := range parseList(resp.Header, headerTusExtension) {
		found.Extensions = append(found.Extensions, Extension(strings.ToLower(name)))
	}
	return found, nil
}

// ofTus reports whether an answer is that of a tus server (protocol sections
// Tus-Resumable and Tus-Version).
func ofTus(resp *Response) bool {
	return resp.Header.Get(headerTusResumable) != "" || resp.Header.Get(headerTusVersion) != ""
}

package tus

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// The extensions of tus 1.0.0 that this package uses, as servers advertise them.
const (
	extensionCreation            = "creation"
	extensionCreationWithUpload  = "creation-with-upload"
	extensionCreationDeferLength = "creation-defer-length"
	extensionChecksum            = "checksum"
	extensionChecksumTrailer     = "checksum-trailer"
	extensionTermination         = "termination"
	extensionConcatenation       = "concatenation"
)

// Capabilities are the features that a server advertises in its response to OPTIONS
// (protocol section OPTIONS). The zero value is the core protocol only.
type Capabilities struct {
	// Versions are the protocol versions, the server's preferred one first.
	Versions []string
	// Extensions are the advertised extensions, such as "concatenation".
	Extensions []string
	// MaxSize is the largest upload in bytes; 0 if the server advertises no limit, or one
	// that is not an integer from 0 to 2^63-1.
	MaxSize int64
	// ChecksumAlgorithms are the names that Upload-Checksum may use.
	ChecksumAlgorithms []string
}

func (c Capabilities) supports(extension string) bool {
	return slices.Contains(c.Extensions, extension)
}

func (c Capabilities) clone() Capabilities {
	c.Versions = slices.Clone(c.Versions)
	c.Extensions = slices.Clone(c.Extensions)
	c.ChecksumAlgorithms = slices.Clone(c.ChecksumAlgorithms)
	return c
}

// Capabilities returns the features that the server advertises. The response is cached:
// later calls, and the uploads of this client, send no request. With [Options.Capabilities]
// no request is sent at all. A failed request is not retried: the error is an [*Error] or
// that of ctx. It matches [ErrProtocol] and [ErrUnsupported] if the response has no header
// field of the protocol, for example because a proxy or a captive portal sent it.
func (c *Client) Capabilities(ctx context.Context) (Capabilities, error) {
	found, err := c.requester().required(ctx)
	return found.clone(), err
}

const (
	// probeBackoff is how long a failed probe is not repeated for an optional feature: a
	// server may never respond to OPTIONS, and each attempt may take a stall timeout.
	// Every further failure doubles it, up to maxProbeBackoff.
	probeBackoff    = time.Minute
	maxProbeBackoff = time.Hour
)

// advertised returns the capabilities for an optional feature. After a failed probe it
// returns none for a while. The only error is that of ctx.
func (q requester) advertised(ctx context.Context) (Capabilities, error) {
	probe := q.client.probe
	if found, known := probe.state(); known {
		return found, nil
	}
	if err := probe.acquire(ctx); err != nil {
		return Capabilities{}, err
	}
	defer probe.probing.Release(1)
	if found, known := probe.state(); known || probe.backingOff() {
		return found, nil
	}
	found, err := probe.run(ctx, q)
	if unauthorized(err) && q.hooks.canRenew() {
		found, err = probe.run(ctx, q)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Capabilities{}, async.ContextError(ctx)
	default:
		q.client.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "tus capabilities unknown: no checksums, and one part", slog.Any("error", err))
	}
	return found, nil
}

// required returns the capabilities for a feature that the upload requires. It repeats a
// failed probe.
func (q requester) required(ctx context.Context) (Capabilities, error) {
	probe := q.client.probe
	if found, known := probe.state(); known {
		return found, nil
	}
	if err := probe.acquire(ctx); err != nil {
		return Capabilities{}, err
	}
	defer probe.probing.Release(1)
	if found, known := probe.state(); known {
		return found, nil
	}
	return probe.run(ctx, q)
}

// capabilityProbe keeps the response to OPTIONS. Uploads that start at the same time send
// one request.
type capabilityProbe struct {
	probing *semaphore.Weighted // of one; held while a probe is in flight

	// For the holder of probing only.
	backoff time.Duration // after the last failure; 0 if there was none
	until   time.Time     // the end of backoff

	found atomic.Pointer[Capabilities] // nil while they are unknown
}

func newCapabilityProbe(configured *Capabilities) *capabilityProbe {
	p := &capabilityProbe{probing: semaphore.NewWeighted(1)}
	if configured != nil {
		found := configured.clone()
		p.found.Store(&found)
	}
	return p
}

func (p *capabilityProbe) acquire(ctx context.Context) error {
	if p.probing.Acquire(ctx, 1) != nil {
		return async.ContextError(ctx)
	}
	return nil
}

// state returns the known capabilities without waiting for a probe in flight. Their slices
// must not be modified.
func (p *capabilityProbe) state() (found Capabilities, known bool) {
	if c := p.found.Load(); c != nil {
		return *c, true
	}
	return Capabilities{}, false
}

// backingOff reports whether a probe failed a short time ago.
func (p *capabilityProbe) backingOff() bool { return time.Now().Before(p.until) }

// run sends a probe. The caller must hold probing.
func (p *capabilityProbe) run(ctx context.Context, q requester) (Capabilities, error) {
	found, err := q.options(ctx)
	switch {
	case err == nil:
		p.found.Store(&found)
	case ctx.Err() == nil && !p.backingOff(): // otherwise it was repeated for a required feature
		p.backoff = min(max(2*p.backoff, probeBackoff), maxProbeBackoff)
		p.until = time.Now().Add(p.backoff)
	}
	return found, err
}

// options sends the OPTIONS request.
func (q requester) options(ctx context.Context) (Capabilities, error) {
	got, err := q.do(ctx, q.client.endpoint, q.client.protocol.options())
	if err != nil {
		return Capabilities{}, err
	}
	return q.client.protocol.capabilities(got)
}

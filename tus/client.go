package tus

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/checksums"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

const (
	userAgent           = "tus-go"
	defaultStallTimeout = 30 * time.Second
	// defaultResponseTimeout is the maximum of many proxies and scanners.
	defaultResponseTimeout = 5 * time.Minute
)

// Options controls how a [Client] uses its server. The zero value works.
type Options struct {
	// HTTPClient sends the requests. nil means a client with [NewTransport] and no total
	// timeout. It is used unchanged, except that this package follows the redirects. Its
	// Timeout includes the time to send a request body. Its Jar sends cookies by its own
	// rules, regardless of TrustedOrigins.
	HTTPClient *http.Client

	// Header is added to requests to the origin (scheme, host and port) of the endpoint
	// and to TrustedOrigins, and to no others. Authorization and Cookie belong here. A
	// header field of the protocol, or one that frames the request, is an error matching
	// [ErrInvalidInput].
	Header http.Header

	// TrustedOrigins are further origins, such as "https://uploads.example.org", that may
	// receive Header if they occur in a Location or a redirect. Path and query
	// are ignored. An http origin in this list also permits a redirect from https to it.
	// After a redirect to an origin that is not trusted, the rest of the request is sent
	// without Header, also to a trusted origin.
	TrustedOrigins []string

	// Retry controls how temporary failures are retried.
	Retry RetryPolicy

	// StallTimeout is the maximum time in which no byte moves while a request connects, sends
	// its body or receives the body of its response. For requests without bytes of an upload
	// (OPTIONS, HEAD, DELETE, and a creation without bytes) it is also how long the response
	// may take, so that a dead connection is detected soon. The time that the source, a hook
	// or a rate limit takes does not count. 0 means 30 seconds, a negative value no timeout.
	// There is no total timeout. The error matches [ErrStalled], and the request is retried.
	StallTimeout time.Duration

	// ResponseTimeout is how long the response may take after all bytes of a PATCH or of a
	// creation with bytes have been sent; it is at least ten minutes for a final upload.
	// A scanner, a storage backend or a proxy that buffers the request may need minutes; a
	// request that is cut earlier has to be resent. 0 means 5 minutes, or StallTimeout if
	// that is longer or negative; a negative value means no timeout. Set it above the time
	// that the server takes for the largest request. A connection that breaks silently during
	// this wait is detected only at its end. The error matches [ErrStalled], and the request
	// is retried.
	ResponseTimeout time.Duration

	// SourceTimeout is how long one call of a [Source] (Open, Read, Stat) may take. 0 means
	// no timeout: a file on tape or in cold storage may take minutes. The error matches
	// [os.ErrDeadlineExceeded] and is not retried; the upload can be resumed. With a
	// SourceTimeout, files are copied through memory instead of being sent by the kernel,
	// which costs processor time.
	SourceTimeout time.Duration

	// Capabilities, if not nil, replaces the response to OPTIONS, which is then not sent,
	// for servers where it is missing or wrong.
	Capabilities *Capabilities

	// OverridePatchMethod sends PATCH as POST with X-HTTP-Method-Override, for networks
	// that block PATCH.
	OverridePatchMethod bool

	// RateLimit, if not nil, limits the bytes per second of all uploads of this client
	// together. The rate of a [RateLimit] can be changed at run time.
	RateLimit Limiter

	// MaxConnections, if above 0, is the maximum number of requests of this client in
	// flight, over all its uploads and their parts. Without an HTTPClient it also limits
	// the open connections.
	MaxConnections int

	// Store keeps the upload URLs, so that a later session or another process can resume
	// the uploads. The record of an upload is stored before its first byte is sent. When the
	// server has acknowledged the last, it is deleted, unless RememberCompleted is set. nil
	// means that only the [Uploader] itself can resume.
	Store storage.Store

	// Lease is how long an upload is left to its Uploader after the last renewal of its lease
	// in the Store, so that another one on another machine waits that long after a crash. 0
	// means a minute, which is the maximum; the minimum is 5 seconds. If the store is a
	// [storage.Clock], leases are compared by its time, and an upload continues while the
	// store is away for four fifths of Lease, or three fifths if that is below 15 seconds.
	// Otherwise they are compared by the clocks of the machines, which must differ by less than
	// a sixth of Lease, and the store may be away for half of it.
	Lease time.Duration

	// RequireStore ends an upload with an error matching [ErrStore] if the store fails, and
	// does not renew the lease of the upload until shortly before its end. Set it if several
	// machines share a store. Otherwise the upload continues and Hooks.OnStoreError is called;
	// when its lease ends, another process may resume the upload as well, until the store or the
	// server reports the conflict and this upload ends with [ErrLeaseLost].
	RequireStore bool

	// RememberCompleted is how long the Store keeps the record of a completed upload, so
	// that the same source is not uploaded again: an upload with the same resume key
	// (fingerprint, endpoint or ResumeScope, metadata or ResumeKey) ends at once in
	// [StateComplete], without a request, with the URL of the completed upload and
	// [Result.AlreadyComplete]. 0 deletes the record and ignores those that other clients
	// keep; a negative value is an error matching [ErrInvalidInput]. It has no effect
	// without a Store, for a stream, which has no fingerprint, and for an upload of
	// [Client.Resume]. The header is not part of the key: for several accounts at one
	// endpoint, set ResumeScope, or one account finds the uploads of another complete.
	//
	// An upload is stored before its creation, so that another one of the same source waits
	// for it (see [UploadOptions.Held]), and when it is complete. A source that is sent in the
	// request that creates its upload is uploaded again if the process ends in between. All
	// others are stored as well before the last byte is sent, and if the process ends, the next
	// upload finds by HEAD that nothing is left. If the completed upload cannot be stored,
	// Hooks.OnStoreError is called and the upload succeeds, also with RequireStore.
	// [UploadOptions.Again] uploads once more. [storage.DeleteExpired] deletes the records
	// after this time.
	RememberCompleted time.Duration

	// VerifyCompleted requests a remembered upload from the server (HEAD) before the result
	// says that it is complete. If the server no longer has it (404 or 410) or has another
	// length, the source is uploaded again; if bytes are missing, the upload is resumed. Any
	// other failure is retried and then ends the upload with an error. An upload without a
	// URL is not verified.
	VerifyCompleted bool

	// Fingerprinter computes the part of the resume key that identifies a source. nil means
	// that of the source ([SourceInfo.Fingerprinter]), if it has one, otherwise
	// [fingerprint.Sample] for a source with a modification time or a version, which reads
	// at most 1 MiB of it, and [fingerprint.Content] otherwise ([Bytes], [ReaderAt],
	// [ReadSeeker], and an [FSFile] that is not of the operating system), which reads all of
	// it once before the first request. Without a Store nothing is read. A Fingerprinter
	// that is set here is used for all sources; for a source without a time, Sample does not
	// detect a difference outside the bytes that it reads.
	Fingerprinter fingerprint.Fingerprinter

	// ResumeScope replaces the endpoint in the resume key; "" means the endpoint with its
	// query, which may identify a tenant. Set it to a constant name for services with an
	// endpoint for each upload, or a token in its query: otherwise uploads start over when
	// the endpoint changes.
	ResumeScope string

	// Checksums are the checksum algorithms of uploads in order of preference, each with a
	// unique name. nil means [checksum.Builtin], an empty slice no checksums.
	Checksums []checksum.Algorithm

	// KeepHeaders lists header fields of the response to a creation, in any case, that are
	// stored in the record of the upload, so that [Result.Creation] has them in a later
	// session, too, such as the ID of the upload in a service. Fields that carry
	// credentials, such as Set-Cookie, are an error matching [ErrInvalidInput]. Values that
	// are not UTF-8 are omitted, and so are those beyond 8 KiB in total. Credentials of
	// this client in a value are replaced.
	KeepHeaders []string

	// RequestIDHeader is the header field in which each request, including every retry,
	// has an ID of its own, such as "X-Request-ID", to find it in the logs of the server. It
	// is sent to every origin. Errors ([Error.RequestID]) and the log have the ID, and that
	// of the response in the same field, if it is another; hooks find both in the headers.
	// "" means none. A field with another purpose is an error matching [ErrInvalidInput].
	RequestIDHeader string

	// FenceHeader is the header field in which the requests of an upload have the revision of
	// its record, such as "Upload-Fence": a number that is higher after another Uploader has
	// acquired the upload, on whatever machine. A server that refuses requests with a lower
	// number than it has seen for the URL, and ends one in flight when a higher one arrives,
	// excludes an Uploader that was stopped for longer than its lease and continues. A server
	// that locks uploads needs it less. "" means none. Without a Store, or with the name of a
	// field that has another purpose, it is an error matching [ErrInvalidInput].
	FenceHeader string

	// TokenKey signs the tokens of [Uploader.Token] (HMAC with SHA-256), and
	// [UploadOptions.Token] must then be signed with it. Without a key, it must be a token
	// without a signature, which anyone can make.
	TokenKey []byte

	// Hooks are called for all uploads of this client.
	Hooks Hooks

	// Logger logs requests and transitions at Debug, uploads that were created, resumed,
	// paused or completed at Info, retries and stored uploads that are held or not resumed at
	// Warn, and failures at Error, without credentials and without the queries of URLs. nil
	// disables logging.
	Logger *slog.Logger
}

// Client creates and resumes uploads on one tus server. Create it with [NewClient]. It is
// safe for concurrent use.
type Client struct {
	opts      Options // with defaults; Header and TrustedOrigins are in the fields below
	endpoint  *url.URL
	protocol  protocol
	probe     *capabilityProbe
	checksums checksums.Set
	hooks     []*Hooks
	clock     *storeClock
	process   string // this one, for leases

	header   http.Header // of the caller
	trusted  map[httpx.Origin]bool
	redactor httpx.Redactor

	http      *http.Client
	slots     chan struct{} // one per request in flight; nil for no limit
	inFlight  atomic.Int32  // requests, which have file descriptors
	connected *atomic.Int32 // see send.StallTimer; nil where no request has to wait
	broken    atomic.Bool   // a request got no response: idle connections may be dead, too
	rate      sendRate
	limit     requestLimit
	partURLs  atomic.Bool // the server takes parts by URL and not by path
}

// NewClient returns a client that creates uploads at endpoint, the upload creation URL of
// an http or https server. User and password in it are sent as basic authentication. opts
// may be nil. No request is sent. If endpoint or an option is invalid, the error matches
// [ErrInvalidInput].
func NewClient(endpoint string, opts *Options) (*Client, error) {
	u, err := parseURL("endpoint", endpoint)
	if err != nil {
		return nil, err
	}
	c := &Client{endpoint: u, protocol: protocolTus{}}
	if opts != nil {
		c.opts = *opts
	}
	if err := c.opts.validate(); err != nil {
		return nil, err
	}
	if err := c.setCredentials(); err != nil {
		return nil, err
	}
	c.hooks = []*Hooks{&c.opts.Hooks}
	if c.opts.Logger != nil {
		c.hooks = append(c.hooks, logHooks(c.opts.Logger, &c.redactor))
	}
	c.opts.TokenKey = bytes.Clone(c.opts.TokenKey)
	c.opts.setDefaults()
	if c.checksums, err = checksums.NewSet(c.opts.Checksums); err != nil {
		return nil, fmt.Errorf("%w: Options.Checksums: %w", ErrInvalidInput, err)
	}
	if c.opts.KeepHeaders, err = headersToKeep(c.opts.KeepHeaders); err != nil {
		return nil, err
	}
	if c.opts.RequestIDHeader, err = ownHeader("RequestIDHeader", c.opts.RequestIDHeader); err != nil {
		return nil, err
	}
	if c.opts.FenceHeader, err = ownHeader("FenceHeader", c.opts.FenceHeader); err != nil {
		return nil, err
	}
	c.probe, c.clock = newCapabilityProbe(c.opts.Capabilities), newStoreClock(c.opts.Store)
	if c.opts.Store != nil {
		c.process = thisProcess()
	}
	c.connect()
	return c, nil
}

// setCredentials sets the header, the secrets to redact and the origins that may receive
// them.
func (c *Client) setCredentials() (err error) {
	c.trusted = map[httpx.Origin]bool{httpx.OriginOf(c.endpoint): true}
	for _, raw := range c.opts.TrustedOrigins {
		u, err := parseURL("trusted origin", raw)
		if err != nil {
			return err
		}
		c.trusted[httpx.OriginOf(u)] = true
	}
	if c.header, err = httpx.CallerHeader(c.opts.Header, c.endpoint.User, reservedHeader); err != nil {
		return fmt.Errorf("%w: Options.Header: %w", ErrInvalidInput, err)
	}
	c.redactor.AddLogin(c.endpoint.User)
	c.redactor.AddHeader(c.header)
	c.endpoint.User = nil
	return nil
}

// connect sets the client that sends the requests.
func (c *Client) connect() {
	if n := c.opts.MaxConnections; n > 0 {
		c.slots = make(chan struct{}, n)
	}
	client := http.Client{}
	if c.opts.HTTPClient != nil {
		client = *c.opts.HTTPClient
	} else {
		transport := NewTransport()
		transport.MaxConnsPerHost = c.opts.MaxConnections
		client.Transport = transport
	}
	if transport, ok := client.Transport.(*http.Transport); ok && transport.MaxConnsPerHost > 0 {
		c.connected = new(atomic.Int32)
	}
	c.http = httpx.WithoutRedirects(client)
}

// setDefaults replaces zero values by defaults.
func (o *Options) setDefaults() {
	if o.StallTimeout == 0 {
		o.StallTimeout = defaultStallTimeout
	}
	switch {
	case o.ResponseTimeout != 0:
	case o.StallTimeout < 0:
		o.ResponseTimeout = -1
	default:
		o.ResponseTimeout = max(defaultResponseTimeout, o.StallTimeout)
	}
	if o.Lease == 0 {
		o.Lease = maxLease
	}
	if o.Checksums == nil {
		o.Checksums = checksum.Builtin()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// validate returns an error matching ErrInvalidInput if a field cannot be used by
// itself. Fields that have to be parsed are checked where they are parsed.
func (o *Options) validate() error {
	switch {
	case nilPointer(o.Store):
		return fmt.Errorf("%w: Options.Store is a nil %T", ErrInvalidInput, o.Store)
	case nilPointer(o.Fingerprinter):
		return fmt.Errorf("%w: Options.Fingerprinter is a nil %T", ErrInvalidInput, o.Fingerprinter)
	case o.RequireStore && o.Store == nil:
		return fmt.Errorf("%w: Options.RequireStore without Options.Store", ErrInvalidInput)
	case o.FenceHeader != "" && o.Store == nil:
		return fmt.Errorf("%w: Options.FenceHeader without Options.Store", ErrInvalidInput)
	case o.FenceHeader != "" && strings.EqualFold(o.FenceHeader, o.RequestIDHeader):
		return fmt.Errorf("%w: Options.FenceHeader and RequestIDHeader are both %s", ErrInvalidInput, o.FenceHeader)
	case o.MaxConnections < 0:
		return fmt.Errorf("%w: negative Options.MaxConnections: %d", ErrInvalidInput, o.MaxConnections)
	case o.RememberCompleted < 0:
		return fmt.Errorf("%w: negative Options.RememberCompleted: %v", ErrInvalidInput, o.RememberCompleted)
	case o.Lease != 0 && (o.Lease < minLease || o.Lease > maxLease):
		return fmt.Errorf("%w: Options.Lease is %v, not 0 and not from %v to %v", ErrInvalidInput, o.Lease, minLease, maxLease)
	case o.SourceTimeout < 0:
		return fmt.Errorf("%w: negative Options.SourceTimeout: %v", ErrInvalidInput, o.SourceTimeout)
	}
	return validLimiter("Options", o.RateLimit)
}

// validLimiter returns an error matching ErrInvalidInput if l is a nil pointer or has
// no burst. options names the struct with the field RateLimit.
func validLimiter(options string, l Limiter) error {
	switch {
	case l == nil:
	case nilPointer(l):
		return fmt.Errorf("%w: %s.RateLimit is a nil %T", ErrInvalidInput, options, l)
	case l.Burst() < 1:
		return fmt.Errorf("%w: %s.RateLimit has a burst of %d bytes", ErrInvalidInput, options, l.Burst())
	}
	return nil
}

// nilPointer reports whether v is a typed nil pointer, on which a method call would
// panic.
func nilPointer(v any) bool {
	p := reflect.ValueOf(v)
	return p.Kind() == reflect.Pointer && p.IsNil()
}

// reservedHeader reports whether a header field decides what a request means.
func reservedHeader(name string) bool {
	switch name {
	case "Content-Length", "Transfer-Encoding", "Trailer", "Te", "Connection", "Expect", headerContentType, headerMethodOverride:
		return true
	}
	return httpx.IsProtocolHeader(name)
}

// NewClientFromEnv is [NewClient] with the endpoint from the environment variable
// TUS_ENDPOINT and the header of [HeaderFromEnv]. Only TUS_ENDPOINT is required. Header
// fields in opts, which may be nil, replace those of the environment.
func NewClientFromEnv(opts *Options) (*Client, error) {
	endpoint := os.Getenv("TUS_ENDPOINT")
	if endpoint == "" {
		return nil, fmt.Errorf("%w: environment variable TUS_ENDPOINT is not set", ErrInvalidInput)
	}
	header, err := HeaderFromEnv()
	if err != nil {
		return nil, err
	}
	merged := Options{}
	if opts != nil {
		merged = *opts
		for name, values := range opts.Header {
			header[textproto.CanonicalMIMEHeaderKey(name)] = values
		}
	}
	merged.Header = header
	return NewClient(endpoint, &merged)
}

// HeaderFromEnv returns a header with the bearer token of the environment variable
// TUS_TOKEN and the fields of TUS_HEADERS, one "Name: value" per line. It is empty if
// neither is set. If TUS_HEADERS is invalid, the error matches [ErrInvalidInput].
func HeaderFromEnv() (http.Header, error) {
	header := http.Header{}
	for line := range strings.Lines(os.Getenv("TUS_HEADERS")) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || strings.ContainsAny(name, " \t") {
			// Without its colon, the line is all value, which may be secret.
			return nil, fmt.Errorf("%w: a line of TUS_HEADERS is not of the form \"Name: value\"", ErrInvalidInput)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	if token := os.Getenv("TUS_TOKEN"); token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return header, nil
}

// Endpoint returns the upload creation URL without credentials.
func (c *Client) Endpoint() string { return c.endpoint.String() }

// CloseIdleConnections closes idle connections. A client requires no other cleanup.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// trusts reports whether the caller's header may be sent to u.
func (c *Client) trusts(u *url.URL) bool { return c.trusted[httpx.OriginOf(u)] }

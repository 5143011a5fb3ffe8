package httpsource

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// defaultStallTimeout is half of that of the tus client, so that a request that hangs is
// retried before the upload's request is cut.
const defaultStallTimeout = 15 * time.Second

// Options configures a [Source]. The zero value is ready to use.
type Options struct {
	// HTTPClient sends the requests. nil means a client of the source with
	// [tus.NewTransport]. Sources on the same server should have the same HTTPClient, to
	// share connections. Redirects are followed by this package instead of the client.
	// Its Timeout, if any, includes reading a whole body.
	HTTPClient *http.Client

	// Header is added to the requests to the origin (scheme, host and port) of the URL
	// and to no others, also not to the origin after a redirect by way of another one.
	// It is the place for Authorization and Cookie.
	Header http.Header

	// Identity distinguishes the source from others in the fingerprint, in addition to
	// size, ModTime and ETag, for all fingerprints except fingerprint.Content. "" means
	// the URL with its query, without user and password; see URL for one that is renewed.
	// Set it to a key of your own if the URL of the same data changes in another process,
	// such as a signed URL, or if one URL returns different data, by Header or user. Two
	// sources with the same Identity are the same source if the rest is equal.
	Identity string

	// URL, if not nil, returns the URL of the data, in place of the URL of [New], which must
	// then be "". It is called before the first request, and again when a request is refused
	// with 401 or 403, which is then repeated once; readers that are refused at the same time
	// share a call. It is for signed URLs that expire: the query may change, the data must
	// not. A URL whose data has another validator or length is an error matching
	// [tus.ErrSourceChanged]. The default Identity is the first URL without its query, so set
	// Identity if the query selects the data or the path changes. An error ends the upload,
	// unless [tus.RetryPolicy.ShouldRetry] returns true for it; it must not contain secrets.
	// No timeout of this package limits the call.
	URL func(ctx context.Context) (string, error)

	// StallTimeout cuts a request when no response, or no byte of it, was received for that
	// long. 0 means 15 seconds, a negative value no limit. The duration of a body is not
	// limited.
	StallTimeout time.Duration

	// Retry controls the retries of a reader. Each byte that arrives resets its count of
	// failures.
	Retry tus.RetryPolicy

	// OnRetry, if non-nil, is called before the wait of each retry of a reader. Readers
	// of parallel parts call it concurrently.
	OnRetry func(tus.Retry)
}

// Source is the data at a URL, as a [tus.Source]. It is safe for concurrent use, and its
// readers are independent of each other.
type Source struct {
	ownIdentity string // Options.Identity
	header      http.Header
	redactor    httpx.Redactor
	client      *http.Client
	stall       time.Duration // 0 for no limit
	retry       tus.RetryPolicy
	onRetry     func(tus.Retry)
	newURL      func(context.Context) (string, error) // Options.URL

	at       atomic.Pointer[address] // of the next request; nil before the first call of newURL
	named    atomic.Pointer[address] // the first one; never replaced
	renewing *semaphore.Weighted     // of one; held during a call of newURL

	kept     atomic.Pointer[kept]    // response that the next reader continues, without ranges
	newest   atomic.Pointer[reader]  // the reader that was opened last
	received atomic.Int64            // bytes that all readers received
	wanted   atomic.Int64            // bytes that a reader received before it was closed early
	first    atomic.Pointer[version] // of the first probe, nil before; never replaced

	probing *semaphore.Weighted // of one; held during a probe, and while the fields below are used
	checked int64               // received, when the version was last checked
	changed error               // not nil if the version is another one
}

var _ tus.Source = (*Source)(nil)

// New returns a source that reads rawURL, an http or https URL. User and password in it
// are sent as basic authentication. A nil opts is the zero Options. New sends no request;
// it returns an error matching [tus.ErrInvalidInput] if the URL or a header field is
// invalid.
func New(rawURL string, opts *Options) (*Source, error) {
	if opts == nil {
		opts = &Options{}
	}
	s := &Source{
		ownIdentity: opts.Identity, client: httpClient(opts.HTTPClient), newURL: opts.URL,
		stall: opts.StallTimeout, retry: opts.Retry, onRetry: opts.OnRetry,
		renewing: semaphore.NewWeighted(1), probing: semaphore.NewWeighted(1),
	}
	switch {
	case s.stall == 0:
		s.stall = defaultStallTimeout
	case s.stall < 0:
		s.stall = 0
	}
	var err error
	if s.header, err = httpx.CallerHeader(opts.Header, nil, reservedHeader); err != nil {
		return nil, fmt.Errorf("%w: Options.Header: %w", tus.ErrInvalidInput, err)
	}
	s.redactor.AddHeader(s.header)
	switch {
	case opts.URL == nil:
		at, err := s.newAddress(rawURL)
		if err != nil {
			return nil, err
		}
		s.setAddress(at)
	case rawURL != "":
		return nil, fmt.Errorf("%w: Options.URL together with a URL", tus.ErrInvalidInput)
	}
	return s, nil
}

// reservedHeader reports whether the source sets the header field.
func reservedHeader(name string) bool {
	switch name {
	case "Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
		"Accept-Encoding", "Content-Length", "Transfer-Encoding", "Trailer":
		return true
	}
	return false
}

// httpClient returns the client that sends the requests.
func httpClient(configured *http.Client) *http.Client {
	if configured != nil {
		return httpx.WithoutRedirects(*configured)
	}
	transport := tus.NewTransport()
	transport.IdleConnTimeout = 10 * time.Second // only this source uses them
	return httpx.WithoutRedirects(http.Client{Transport: transport})
}

// CloseIdleConnections closes the connections that are kept for later reads, also those
// of [Options.HTTPClient]. Otherwise they are closed after at most six minutes. A source
// needs no other cleanup.
func (s *Source) CloseIdleConnections() {
	s.dropKept()
	s.client.CloseIdleConnections()
}

// Stat returns the size and the version of the data. The first call sends one request; if
// it fails, the error is a [*tus.Error], which the upload retries. Later calls return the
// result of the first one. If bytes were read since the last call, Stat requests the
// version again, because a server may send a file while it is written to. If the version
// changed, this and all later calls return an error matching [tus.ErrSourceChanged]. A
// failure to check the version is not an error, because each read had the right version
// when it began; the next call checks again. Without a strong validator there is no check.
func (s *Source) Stat(ctx context.Context) (tus.SourceInfo, error) {
	if err := s.lock(ctx); err != nil {
		return tus.SourceInfo{}, err
	}
	defer s.unlock()
	v, err := s.version(ctx)
	if err == nil {
		err = s.check(ctx, v)
	}
	if err != nil {
		return tus.SourceInfo{}, err
	}
	info := tus.SourceInfo{
		Name: s.name(), Identity: s.identity(), Size: v.size, SizeUnknown: !v.sized,
		Sequential: !v.ranges && v.size > 0 || !v.sized, ModTime: v.modTime, Version: v.etag,
	}
	if v.strong {
		info.Fingerprinter = byValidator{}
	}
	return info, nil
}

// Open returns a reader of the bytes from offset, after the server began to send them.
// Open and the reader retry by [Options.Retry] until ctx is done. The error matches
// [tus.ErrSourceChanged] if the data changed since the first call of Stat.
func (s *Source) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	r := newReader(ctx, s, offset)
	s.newest.Store(r)
	if r.err = r.begin(); r.err != nil {
		r.Close()
		return nil, r.err
	}
	return r, nil
}

func (s *Source) lock(ctx context.Context) error {
	if s.probing.Acquire(ctx, 1) != nil {
		return async.ContextError(ctx)
	}
	return nil
}

func (s *Source) unlock() { s.probing.Release(1) }

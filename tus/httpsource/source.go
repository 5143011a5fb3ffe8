package httpsource

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// defaultStallTimeout is half of the tus client's own: a server that hangs is
// asked once more before the upload's request is cut.
const defaultStallTimeout = 15 * time.Second

// Options says how a URL is read. The zero value works.
type Options struct {
	// HTTPClient sends the requests. nil means one of the source's own, with
	// [tus.NewTransport]. Sources on the same server should be given the same
	// client, so that they share connections. It is used as it is, except that
	// redirects are followed by this package; mind that its Timeout, if any,
	// covers the reading of a whole body.
	HTTPClient *http.Client

	// Header is added to the requests that go to the origin (scheme, host and
	// port) of the URL, and to no others; nor back to it, where a redirect leads by way
	// of another origin. This is the place for Authorization and Cookie.
	Header http.Header

	// Identity is what an upload of the source is found by in another process, beside
	// size, ModTime and ETag: every fingerprint but fingerprint.Content covers it. ""
	// means the URL without user and password, its query included. Set it, to a key of
	// your own, where the URL of one and the same data changes, as with signatures in
	// its query or links that are made for each download; and where one URL serves
	// different data, by Header or user. Two sources with one Identity are taken for
	// one another if the rest is equal.
	Identity string

	// StallTimeout cuts a request when for so long an answer, or a byte of it, was
	// waited for in vain. 0 means 15 seconds, a negative value no limit. There is
	// no limit on the duration of a body that moves.
	StallTimeout time.Duration

	// Retry says how a reader goes on after failures that may pass. Its count of
	// failures starts again whenever bytes arrive.
	Retry tus.RetryPolicy

	// OnRetry, if non-nil, is called for each failure of a reader that is retried,
	// before the wait. Readers of parallel parts call it concurrently.
	OnRetry func(tus.Retry)
}

// Source is the data at a URL, for [tus.Client.Upload] and its like. It is safe
// for concurrent use, and its readers are independent of each other.
type Source struct {
	url      *url.URL // without userinfo and fragment
	id       string   // what it is recognised by
	header   http.Header
	redactor httpx.Redactor
	client   *http.Client
	stall    time.Duration // 0 for no limit
	retry    tus.RetryPolicy
	onRetry  func(tus.Retry)

	kept     atomic.Pointer[kept]    // where the next reader may go on, without ranges
	newest   atomic.Pointer[reader]  // the reader that was opened last
	received atomic.Int64            // bytes that all readers got
	wanted   atomic.Int64            // bytes that a reader took before it was closed early
	seen     atomic.Pointer[version] // at the first look, nil before; stays as it is

	turn    chan struct{} // holds a token while nobody looks, or uses the fields below
	checked int64         // received, when the version was last confirmed or found changed
	changed error         // the version is another one
}

var _ tus.Source = (*Source)(nil)

// New returns a source that reads rawURL, an http or https URL. User and
// password in it are sent as basic authentication. opts may be nil. No request
// is sent; a URL or header that cannot be used is an error matching
// [tus.ErrInvalidInput].
func New(rawURL string, opts *Options) (*Source, error) {
	if opts == nil {
		opts = &Options{}
	}
	u, err := httpx.ParseURL("source URL", rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", tus.ErrInvalidInput, err)
	}
	s := &Source{
		url: u, id: cmp.Or(opts.Identity, identityOf(u)), header: http.Header{}, client: httpClient(opts.HTTPClient),
		stall: opts.StallTimeout, retry: opts.Retry, onRetry: opts.OnRetry,
		turn: make(chan struct{}, 1),
	}
	switch {
	case s.stall == 0:
		s.stall = defaultStallTimeout
	case s.stall < 0:
		s.stall = 0
	}
	if err := s.setHeader(opts.Header); err != nil {
		return nil, err
	}
	if user := u.User; user != nil {
		if s.header.Get("Authorization") == "" {
			password, _ := user.Password()
			s.header.Set("Authorization", "Basic "+
				base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
		}
		s.redactor.AddLogin(user)
		u.User = nil
	}
	s.redactor.AddHeader(s.header)
	s.turn <- struct{}{}
	return s, nil
}

func (s *Source) setHeader(h http.Header) error {
	if err := httpx.ValidHeaders(h); err != nil {
		return fmt.Errorf("%w: %w", tus.ErrInvalidInput, err)
	}
	for name, values := range h {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch canonical {
		case "Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
			"Accept-Encoding", "Content-Length", "Transfer-Encoding", "Trailer":
			return fmt.Errorf("%w: header %s is set by the source", tus.ErrInvalidInput, canonical)
		}
		if len(values) > 0 {
			s.header[canonical] = append(s.header[canonical], values...)
		}
	}
	return nil
}

// httpClient is a copy of the caller's client that leaves redirects to us.
func httpClient(given *http.Client) *http.Client {
	client := http.Client{}
	if given != nil {
		client = *given
	} else {
		transport := tus.NewTransport()
		transport.IdleConnTimeout = 10 * time.Second // nobody but this source uses them
		client.Transport = transport
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// CloseIdleConnections closes connections that are kept for later reads, in
// [Options.HTTPClient] too if that is where they are. Without it they are closed
// after six minutes at most; a source needs no other cleaning up.
func (s *Source) CloseIdleConnections() {
	s.dropKept()
	s.client.CloseIdleConnections()
}

// Stat tells the size and the version of the data. The first call asks the
// server, once: failures are a [*tus.Error] and left to the retries of the
// upload. Later calls return what the first one saw. If bytes were read in the
// meantime, they first ask for the version again, as a server may send a file
// while it is written to; if it changed, this and all later calls return an
// error matching [tus.ErrSourceChanged]. If the server does not answer that, it
// is not an error, as each read was of the right version when it began, and the
// next call asks again. Without a strong validator there is nothing to ask for.
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
	return tus.SourceInfo{
		Name: s.name(), Identity: s.id, Size: v.size, SizeUnknown: !v.sized,
		Sequential: !v.ranges && v.size > 0 || !v.sized, ModTime: v.modTime, Version: v.etag,
	}, nil
}

// name is the last part of the path, empty if that says nothing.
func (s *Source) name() string {
	if name := path.Base(s.url.Path); name != "/" && name != "." {
		return name
	}
	return ""
}

// Open returns a reader of the bytes from offset on, once the server has begun
// to send them. It retries like the reader does, which ends with ctx. Errors
// match [tus.ErrSourceChanged] if the data is not that of the first look any
// more.
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
	if ctx.Err() != nil {
		return async.ContextError(ctx)
	}
	select {
	case <-s.turn:
		return nil
	case <-ctx.Done():
		return async.ContextError(ctx)
	}
}

func (s *Source) unlock() { s.turn <- struct{}{} }

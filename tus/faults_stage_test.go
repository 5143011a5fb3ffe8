package tus_test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// stage is a server, a second origin of it, and a script of faults. Uploads run over TCP,
// or in a synctest bubble over in-memory connections, where stalls cost no time.
type stage struct {
	*tustest.Handler
	endpoint string
	// otherOrigin is another origin of the same server; empty in a bubble.
	otherOrigin string
	listener    *faults.Listener
	script      *script
	hit         *line // of the script, under test
	store       storage.Store
	stored      bool // uploads are stored, as their source has a fingerprint
	checksums   []checksum.Algorithm
	keyed       bool // each upload has a header of its own

	mu   sync.Mutex
	busy map[string]context.Context // of the requests in flight for uploads, by path

	connected atomic.Int32 // connections of the server
	failures  atomic.Int32 // of the source
	detour    *detour      // of one request; nil for none

	dial   func(ctx context.Context, network, address string) (net.Conn, error) // nil for TCP
	closes []func()
}

// script is the faults of a stage. The first line that matches a request and is not used
// up handles it.
type script struct {
	mu    sync.Mutex
	lines []*line
	over  bool
}

// line is a fault for the requests that match.
type line struct {
	match       func(*http.Request) bool
	skip, times int // as in tustest.Fault, counted down
	action      tustest.Action
	hits        int
}

func (s *script) add(l line) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, &l)
	return &l
}

// end ends all faults.
func (s *script) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// hitsOf returns the number of requests that a line handled.
func (s *script) hitsOf(l *line) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.hits
}

// total returns the number of requests that any line handled.
func (s *script) total() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		n += l.hits
	}
	return n
}

func (s *script) next(r *http.Request) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if s.over || l.times == 0 || !l.match(r) {
			continue
		}
		if l.skip > 0 {
			l.skip--
			continue
		}
		l.times--
		l.hits++
		return l
	}
	return nil
}

// play handles a request by the script.
func (s *script) play(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	if l := s.next(r); l != nil {
		l.action(w, r, h)
		return
	}
	h.Serve(w, r)
}

func newStage(opts *tustest.Options) *stage {
	s := &stage{
		Handler: tustest.NewHandler(opts), script: &script{}, store: &storage.Memory{}, checksums: []checksum.Algorithm{},
		busy: map[string]context.Context{},
	}
	s.Inject(tustest.Fault{Times: -1, Action: s.script.play})
	return s
}

// onTCP runs f with a server on loopback ports.
func onTCP(t *testing.T, opts *tustest.Options, f func(t *testing.T, s *stage)) {
	s := newStage(opts)
	server := httptest.NewUnstartedServer(s.Handler)
	s.listener = &faults.Listener{Listener: server.Listener}
	server.Listener = s.listener
	server.Config.ConnState = s.countConn
	server.Start()
	other := httptest.NewUnstartedServer(s.Handler)
	other.Config.ConnState = s.countConn
	other.Start()
	s.endpoint, s.otherOrigin = server.URL+"/files/", other.URL
	defer func() {
		s.Release()
		for _, end := range s.closes {
			end()
		}
		for _, srv := range []*httptest.Server{server, other} {
			srv.CloseClientConnections()
			srv.Close()
		}
	}()
	f(t, s)
}

// inBubble runs f with a fake clock and a server behind in-memory connections.
func inBubble(t *testing.T, opts *tustest.Options, f func(t *testing.T, s *stage)) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(opts)
		pipes := faults.NewPipeListener()
		s.listener = &faults.Listener{Listener: pipes}
		server := &http.Server{Handler: s.Handler, ConnState: s.countConn}
		var serving sync.WaitGroup
		serving.Go(func() { server.Serve(s.listener) })
		s.endpoint, s.dial = "http://tus.test/files/", pipes.Dial
		defer func() {
			s.Release()
			for _, end := range s.closes {
				end()
			}
			server.Close()
			serving.Wait()
			<-time.After(time.Minute) // until the server closes its connections
		}()
		f(t, s)
	})
}

func (s *stage) countConn(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.connected.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.connected.Add(-1)
	}
}

// waitIdle waits until the server has no connection left. It may still handle requests that
// the client canceled.
func (s *stage) waitIdle(t *testing.T) {
	t.Helper()
	s.Release()
	for _, end := range s.closes {
		end()
	}
	for range 10_000 {
		if s.connected.Load() == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%d connections are still open", s.connected.Load())
}

// client returns a client with the store of the stage, for a new session.
func (s *stage) client(t testing.TB, opts tus.Options) *tus.Client {
	t.Helper()
	return s.clientOver(t, s.ruleChecker(t), opts)
}

// clientOver is client with another transport.
func (s *stage) clientOver(t testing.TB, transport http.RoundTripper, opts tus.Options) *tus.Client {
	t.Helper()
	opts.HTTPClient = &http.Client{Transport: transport}
	opts.Store, opts.Checksums = s.store, s.checksums
	if opts.Retry.Delay == nil && s.dial == nil { // waiting costs nothing in a bubble
		opts.Retry.Delay = retryAtOnce().Delay
	}
	opts.Header = http.Header{"Authorization": {"Bearer " + planted}}
	client, err := tus.NewClient(s.endpoint, &opts)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// records returns the records of the store.
func (s *stage) records(t testing.TB) []storage.Record {
	t.Helper()
	var all []storage.Record
	if s.store == nil {
		return nil
	}
	for rec, err := range s.store.All(context.Background()) {
		if err != nil {
			t.Errorf("store: %v", err)
		}
		all = append(all, rec)
	}
	return all
}

// forgetAll deletes all records of the store.
func (s *stage) forgetAll(t testing.TB) {
	for _, rec := range s.records(t) {
		if err := s.store.Delete(context.Background(), rec.ID, rec.Revision); err != nil {
			t.Errorf("store: %v", err)
		}
	}
}

// remembers reports whether the store has an upload or a part with this path.
func (s *stage) remembers(t testing.TB, path string) bool {
	for _, rec := range s.records(t) {
		for _, part := range append(rec.Parts, storage.Part{UploadURL: rec.UploadURL}) {
			if at, err := url.Parse(part.UploadURL); err == nil && at.Path == path {
				return true
			}
		}
	}
	return false
}

// held returns the number of bytes that the server has of the stored upload, or without
// a record of the upload at url.
func (s *stage) held(t testing.TB, url string) (n int64) {
	urls := []string{url}
	if records := s.records(t); len(records) > 0 {
		urls = []string{records[0].UploadURL}
		for i, part := range records[0].Parts {
			if i == 0 {
				urls = nil
			}
			urls = append(urls, part.UploadURL)
		}
	}
	for _, u := range urls {
		up, _ := s.Upload(u)
		n += int64(len(up.Data))
	}
	return n
}

// creations counts the creations that reached the server, without final uploads.
func (s *stage) creations() (n int) {
	for _, r := range s.Requests() {
		if methodOf(r.Method, r.Header) == http.MethodPost && !strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;") {
			n++
		}
	}
	return n
}

// methodOf returns the method of a request without the override.
func methodOf(method string, header http.Header) string {
	return cmp.Or(header.Get("X-HTTP-Method-Override"), method)
}

// ruleChecker is a transport that fails the test if a client violates a rule:
//   - a PATCH starts at the last offset that the server reported, and after a PATCH of
//     unknown outcome the client sends HEAD first;
//   - there is at most one request at a time for an upload, over all clients of a stage,
//     without canceled ones;
//   - the URL is in the store before data is sent to it;
//   - credentials go to the origin of the endpoint only, those of the upload wherever those
//     of the client go.
type ruleChecker struct {
	t         testing.TB
	stage     *stage
	transport http.RoundTripper
	trusted   string           // host and port
	offsets   map[string]int64 // last reported by the server, by path
}

// ruleChecker returns the transport of a new session, which does not know earlier
// offsets.
func (s *stage) ruleChecker(t testing.TB) *ruleChecker {
	transport := tus.NewTransport()
	if s.dial != nil {
		transport.DialContext = s.dial
		transport.WriteBufferSize = 4 << 10 // a small buffer: bytes written are bytes sent
	}
	s.closes = append(s.closes, transport.CloseIdleConnections)
	endpoint, _ := url.Parse(s.endpoint)
	return &ruleChecker{t: t, stage: s, transport: transport, trusted: endpoint.Host, offsets: map[string]int64{}}
}

func (c *ruleChecker) RoundTrip(r *http.Request) (*http.Response, error) {
	upload, method := r.URL.Path, methodOf(r.Method, r.Header)
	single := method != http.MethodPost && method != http.MethodOptions
	if method == http.MethodPatch && c.stage.stored && !c.stage.remembers(c.t, upload) {
		c.t.Errorf("PATCH of %s, which is not in the store", upload)
	}
	c.stage.mu.Lock()
	ofClient, ofUpload := r.Header.Get("Authorization") != "", r.Header.Get("X-Upload-Key") != ""
	if r.URL.Host != c.trusted && (ofClient || ofUpload) {
		c.t.Errorf("%s %s carries credentials", r.Method, r.URL)
	}
	if c.stage.keyed && ofClient != ofUpload {
		c.t.Errorf("%s %s carries credentials of the client: %v, of the upload: %v", r.Method, r.URL, ofClient, ofUpload)
	}
	if other := c.stage.busy[upload]; single && other != nil && other.Err() == nil {
		c.t.Errorf("%s while another request for the upload is in flight", method)
	}
	if single {
		c.stage.busy[upload] = r.Context()
	}
	before, known := c.offsets[upload]
	if method == http.MethodPatch {
		at, err := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
		empty := at == 0 && r.ContentLength == 0 // of an empty source
		if err != nil || !empty && (!known || at != before) {
			c.t.Errorf("PATCH at %s, but the server reported %d (%v)", r.Header.Get("Upload-Offset"), before, known)
		}
		delete(c.offsets, upload)
	}
	c.stage.mu.Unlock()

	resp, err := c.stage.detour.of(c.t, r, c.transport).RoundTrip(r)

	c.stage.mu.Lock()
	defer c.stage.mu.Unlock()
	if c.stage.busy[upload] == r.Context() {
		delete(c.stage.busy, upload)
	}
	if err != nil {
		return nil, err
	}
	switch offset, e := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64); {
	case slices.Contains([]int{301, 302, 307, 308}, resp.StatusCode):
		if known {
			c.offsets[upload] = before
		}
	case resp.StatusCode > 299:
	case method == http.MethodPost:
		if at, err := url.Parse(resp.Header.Get("Location")); err == nil {
			c.offsets[at.Path] = 0
			if e == nil && carriesBytes(r) {
				c.offsets[at.Path] = offset
			}
		}
	case e == nil:
		c.offsets[upload] = offset
	}
	return resp, nil
}

// hangTimeout returns a context that ends an upload that hangs.
func hangTimeout(s *stage) (context.Context, context.CancelFunc) {
	limit := time.Minute
	if s.dial != nil {
		limit = 30 * 24 * time.Hour // by the fake clock
	}
	return context.WithTimeoutCause(context.Background(), limit, fmt.Errorf("upload hangs"))
}

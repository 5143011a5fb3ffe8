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

// stage is where uploads meet faults: a server, a second origin of it, and the
// script of what goes wrong. The same uploads run over TCP, with everything that
// the operating system does, or in a synctest bubble over in-memory connections,
// where stalls cost no time.
type stage struct {
	*tustest.Handler
	endpoint string
	// elsewhere is another origin of the same server; empty in a bubble.
	elsewhere string
	listener  *faults.Listener
	script    *script
	hit       *line // of the script, that matters
	store     storage.Store
	stored    bool // uploads can be found in the store, as their source can be recognized
	checksums []checksum.Algorithm

	mu   sync.Mutex
	busy map[string]context.Context // of the requests under way for uploads, by path

	connected atomic.Int32 // how many connections the server has
	failures  atomic.Int32 // of the source
	detour    *detour      // of one request; nil for none

	dial   func(ctx context.Context, network, address string) (net.Conn, error) // nil for TCP
	closes []func()
}

// script is the faults of a stage. The first one that is meant and not used up
// decides on a request.
type script struct {
	mu    sync.Mutex
	lines []*line
	over  bool
}

// line is a fault for the requests that match.
type line struct {
	match       func(*http.Request) bool
	skip, times int // as in tustest.Fault, but times counts down from what it is
	action      tustest.Action
	hits        int
}

func (s *script) add(l line) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, &l)
	return &l
}

// end lets the server serve properly from now on.
func (s *script) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// hitsOf is how often a line came into play.
func (s *script) hitsOf(l *line) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.hits
}

// total is how often any line came into play.
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

// play is the Action that follows the script.
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
	s.endpoint, s.elsewhere = server.URL+"/files/", other.URL
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
		pipes := newPipeListener()
		s.listener = &faults.Listener{Listener: pipes}
		server := &http.Server{Handler: s.Handler, ConnState: s.countConn}
		var serving sync.WaitGroup
		serving.Go(func() { server.Serve(s.listener) })
		s.endpoint, s.dial = "http://tus.test/files/", pipes.dial
		defer func() {
			s.Release()
			for _, end := range s.closes {
				end()
			}
			server.Close()
			serving.Wait()
			<-time.After(time.Minute) // for what the server does before it lets go of a connection
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

// settle waits until the server is done with everything that reached it, which for
// requests that were given up may be later than when that was.
func (s *stage) settle(t *testing.T) {
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

// client is a new session: another client with the same store.
func (s *stage) client(t testing.TB, opts tus.Options) *tus.Client {
	t.Helper()
	return s.clientOver(t, s.conduct(t), opts)
}

// clientOver is client with a transport.
func (s *stage) clientOver(t testing.TB, transport http.RoundTripper, opts tus.Options) *tus.Client {
	t.Helper()
	opts.HTTPClient = &http.Client{Transport: transport}
	opts.Store, opts.Checksums = s.store, s.checksums
	if opts.Retry.Delay == nil && s.dial == nil { // a bubble has time
		opts.Retry.Delay = impatient().Delay
	}
	opts.Header = http.Header{"Authorization": {"Bearer " + planted}}
	client, err := tus.NewClient(s.endpoint, &opts)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// records are what the store holds.
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

// forgetAll deletes what the store holds.
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

// held is how many bytes the server has of the upload that would be gone on
// with: of the record's, or else of url.
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

// creations counts the POST requests that reached the server, but for those of
// final uploads.
func (s *stage) creations() (n int) {
	for _, r := range s.Requests() {
		if methodOf(r.Method, r.Header) == http.MethodPost && !strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;") {
			n++
		}
	}
	return n
}

// methodOf is the method that a request has by the protocol.
func methodOf(method string, header http.Header) string {
	return cmp.Or(header.Get("X-HTTP-Method-Override"), method)
}

// conduct is a transport that holds a client to the rules that no fault excuses:
//   - a PATCH starts where the server said last that the upload is, and after a
//     PATCH of unknown outcome the server is asked first;
//   - there is never more than one request at a time for an upload, whoever of
//     the clients of a stage makes it, but for those that were given up;
//   - the URL is in the store before bytes are sent to it;
//   - credentials go to the endpoint's origin only.
type conduct struct {
	t         testing.TB
	stage     *stage
	transport http.RoundTripper
	trusted   string           // host and port
	told      map[string]int64 // by path, where the server said the upload is
}

// conduct is the transport of a new session, which knows nothing of what the
// server said before.
func (s *stage) conduct(t testing.TB) *conduct {
	transport := tus.NewTransport()
	if s.dial != nil {
		transport.DialContext = s.dial
		transport.WriteBufferSize = 4 << 10 // so that what is sent has left
	}
	s.closes = append(s.closes, transport.CloseIdleConnections)
	endpoint, _ := url.Parse(s.endpoint)
	return &conduct{t: t, stage: s, transport: transport, trusted: endpoint.Host, told: map[string]int64{}}
}

func (c *conduct) RoundTrip(r *http.Request) (*http.Response, error) {
	upload, method := r.URL.Path, methodOf(r.Method, r.Header)
	single := method != http.MethodPost && method != http.MethodOptions
	if method == http.MethodPatch && c.stage.stored && !c.stage.remembers(c.t, upload) {
		c.t.Errorf("PATCH of %s, which is not in the store", upload)
	}
	c.stage.mu.Lock()
	if r.URL.Host != c.trusted && r.Header.Get("Authorization") != "" {
		c.t.Errorf("%s %s carries credentials", r.Method, r.URL)
	}
	if other := c.stage.busy[upload]; single && other != nil && other.Err() == nil {
		c.t.Errorf("%s while another request for the upload is under way", method)
	}
	if single {
		c.stage.busy[upload] = r.Context()
	}
	before, known := c.told[upload]
	if method == http.MethodPatch {
		at, err := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
		empty := at == 0 && r.ContentLength == 0 // that of an empty source moves nothing
		if err != nil || !empty && (!known || at != before) {
			c.t.Errorf("PATCH at %s, but the server said %d (%v)", r.Header.Get("Upload-Offset"), before, known)
		}
		delete(c.told, upload)
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
			c.told[upload] = before
		}
	case resp.StatusCode > 299:
	case method == http.MethodPost:
		if at, err := url.Parse(resp.Header.Get("Location")); err == nil {
			c.told[at.Path] = 0
			if e == nil && carriesBytes(r) {
				c.told[at.Path] = offset
			}
		}
	case e == nil:
		c.told[upload] = offset
	}
	return resp, nil
}

// patience ends what hangs.
func patience(s *stage) (context.Context, context.CancelFunc) {
	limit := time.Minute
	if s.dial != nil {
		limit = 30 * 24 * time.Hour // by the fake clock
	}
	return context.WithTimeoutCause(context.Background(), limit, fmt.Errorf("it hangs"))
}

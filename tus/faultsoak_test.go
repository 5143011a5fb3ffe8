package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// TestFaultSoak uploads in random ways while random faults happen to random
// requests, pauses at random places, and goes on in the same session or a later
// one. Whatever happens, an upload that is reported as complete has the SHA-256
// of its source, and when the faults end the next upload succeeds. Nothing
// hangs, and no goroutine stays behind.
//
// TUS_FAULT_RUNS is how many seeds are tried, and TUS_FAULT_SEED the first one,
// or without TUS_FAULT_RUNS the only one:
//
//	TUS_FAULT_RUNS=5000 go test -count 1 -timeout 30m -v -run TestFaultSoak ./tus
//	TUS_FAULT_SEED=17 go test -count 1 -v -run TestFaultSoak ./tus
//
// A panic outside of the test's own goroutine does not tell the seed, but with
// -v it is the last one that was begun.
func TestFaultSoak(t *testing.T) {
	first, runs := 1, 150
	if n, err := strconv.Atoi(os.Getenv("TUS_FAULT_SEED")); err == nil {
		first, runs = n, 1
	}
	if n, err := strconv.Atoi(os.Getenv("TUS_FAULT_RUNS")); err == nil {
		runs = n
	}
	var sum soakSum
	older := goleak.IgnoreCurrent()
	for seed := first; seed < first+runs; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			s := newScenario(uint64(seed))
			defer func() {
				if t.Failed() {
					t.Logf("replay with TUS_FAULT_SEED=%d\n%v", seed, s)
				}
			}()
			s.run(t, &sum)
			// In a bubble, synctest itself takes care of that.
			if !s.bubble {
				if err := goleak.Find(older); err != nil {
					t.Errorf("goroutines stay behind: %v", err)
				}
			}
		})
	}
	t.Log(sum.String())
	if runs > 1 && sum.despite < runs/3 {
		t.Errorf("only %d of %d uploads were completed while faults happened", sum.despite, runs)
	}
}

// soakSum counts over all seeds.
type soakSum struct {
	runs, sessions, faults, pauses int
	despite                        int // completed while faults happened
	hashes                         int // compared
	bytes                          int64
	failures                       map[string]int
}

func (s *soakSum) failed(err error) {
	if s.failures == nil {
		s.failures = map[string]int{}
	}
	s.failures[errorName(err)]++
}

func (s *soakSum) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs with %d faults and %d pauses in %d sessions; %d completed in spite of them, all after them; %d SHA-256 compared, %d MiB sent\n",
		s.runs, s.faults, s.pauses, s.sessions, s.despite, s.hashes, s.bytes>>20)
	var names []string
	for name := range s.failures {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return s.failures[b] - s.failures[a] })
	for _, name := range names {
		fmt.Fprintf(&b, "%7d × %s\n", s.failures[name], name)
	}
	return b.String()
}

// scenario is what a seed stands for.
type scenario struct {
	random    *rand.Rand
	bubble    bool
	store     bool
	twins     bool // two clients begin with the same source at the same time
	again     bool // the source is uploaded once more after all
	checksums bool
	server    tustest.Options
	client    tus.Options
	data      []byte
	source    string
	how       tus.UploadOptions
	script    []soakLine
	pauses    []pause
	errors    []error // of the sessions so far
}

// soakLine is a line of the script before there is a stage.
type soakLine struct {
	name   string
	on     target
	line   line
	action func(*stage) tustest.Action
}

// pause interrupts an upload at its nth request.
type pause struct {
	request int
	when    pausePlace
	bytes   int64 // of the body, for inBody
	cancel  bool  // the context, rather than Uploader.Pause
	leave   bool  // for another session
}

type pausePlace int

const (
	beforeRequest pausePlace = iota
	inBody
	afterAnswer
)

func (s *scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %d bytes of %s, checksums %v, store %v, bubble %v, twins %v, again %v\n  server %+v\n",
		len(s.data), s.source, s.checksums, s.store, s.bubble, s.twins, s.again, s.server)
	how := s.how
	how.Hooks = tus.Hooks{}
	fmt.Fprintf(&b, "  options %+v\n  stall timeout %v, %d connections\n", how, s.client.StallTimeout, s.client.MaxConnections)
	for _, l := range s.script {
		fmt.Fprintf(&b, "  fault: %v: %s, after %d, %d times\n", l.on, l.name, l.line.skip, l.line.times)
	}
	for _, p := range s.pauses {
		fmt.Fprintf(&b, "  pause: %+v\n", p)
	}
	for _, err := range s.errors {
		fmt.Fprintf(&b, "  session ended with: %v\n", err)
	}
	return b.String()
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

func newScenario(seed uint64) *scenario {
	r := rand.New(rand.NewPCG(seed, 7))
	s := &scenario{
		random: r, bubble: r.IntN(3) > 0, store: r.IntN(3) > 0, checksums: r.IntN(2) == 0,
		data:   randomBytes(pick(r, 0, 1, 999, 1000, 1001, 20_000, 64<<10, 100_000, 300_000)),
		source: pick(r, "file", "memory", "reader", "seeker", "file system"),
	}
	if r.IntN(20) == 0 {
		s.data = randomBytes(2_000_000)
	}
	s.server = tustest.Options{
		Extensions: pick(r, nil, nil, tustest.Without("checksum-trailer"), tustest.Without("concatenation-unfinished"),
			tustest.Without("creation-with-upload", "checksum", "checksum-trailer"), tustest.Without("expiration", "termination")),
		AbsoluteLocation: r.IntN(4) == 0,
	}
	s.twins, s.again = r.IntN(8) == 0, r.IntN(4) == 0
	retry := tus.RetryPolicy{} // waits cost nothing in a bubble
	if !s.bubble {
		retry.NewBackOff = func() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) }
		retry.MaxRetryAfter = time.Millisecond
	}
	s.client = tus.Options{Retry: retry, MaxConnections: pick(r, 0, 0, 0, 1, 2), OverridePatchMethod: r.IntN(10) == 0}
	s.how = tus.UploadOptions{
		Metadata:           tus.Metadata{"filename": "soak"},
		ChunkSize:          pick[int64](r, 0, 0, 1000, 7777, 32<<10, 1<<20),
		CreationWithUpload: tus.CreationWithUpload(r.IntN(3)),
		TerminateParts:     r.IntN(4) == 0,
	}
	size := int64(len(s.data))
	if s.how.ChunkSize > 0 && size/s.how.ChunkSize > 60 {
		s.how.ChunkSize = size / 60
	}
	if r.IntN(4) == 0 {
		s.how.MinChunkSize = max(1, s.how.ChunkSize/8)
	}
	switch r.IntN(5) {
	case 0, 1:
		s.how.Parallel, s.how.ParallelBestEffort, s.how.MinPartSize = 2+r.IntN(4), true, pick[int64](r, 100, 5000, 20_000)
	case 2:
		s.how.StopAt = r.Int64N(size + 1)
	case 3:
		s.how.DeferLength = true
	}
	if !slices.Contains(s.server.Extensions, "creation-with-upload") && s.server.Extensions != nil {
		s.how.CreationWithUpload = tus.CreationWithUploadAuto
	}
	for range r.IntN(16) {
		s.script = append(s.script, s.fault())
	}
	for range r.IntN(4) {
		s.pauses = append(s.pauses, pause{
			request: 1 + r.IntN(20), when: pausePlace(r.IntN(3)), bytes: r.Int64N(size + 1),
			cancel: r.IntN(2) == 0, leave: r.IntN(2) == 0,
		})
	}
	return s
}

// fault draws a fault that a client can notice: no bits flip without checksums,
// and no server claims to have what it has not.
func (s *scenario) fault() soakLine {
	r := s.random
	n := r.Int64N(int64(len(s.data)) + 1)
	plain := func(a tustest.Action) func(*stage) tustest.Action { return func(*stage) tustest.Action { return a } }
	type choice struct {
		name   string
		action func(*stage) tustest.Action
	}
	choices := []choice{
		{"cut before", plain(tustest.CutBefore())}, {"cut in the body", plain(tustest.CutAfter(n))}, {"answer lost", plain(tustest.LoseResponse())},
		{"cut in the answer", plain(tustest.CutAnswer(r.IntN(100)))}, {"short write", plain(tustest.AcceptOnly(n))},
		{"500", plain(tustest.RespondAfter(500, htmlPage))}, {"502 at once", plain(tustest.Respond(502, htmlPage))}, {"503", plain(tustest.RespondAfter(503, "", "Retry-After", pick(r, "0", "soon", "-1", "99999999999999999999")))},
		{"409", plain(tustest.Respond(409, ""))}, {"423", plain(tustest.Respond(423, ""))}, {"429", plain(tustest.Respond(429, "", "Retry-After", "0"))},
		{"460", plain(tustest.RespondAfter(460, ""))}, {"413", plain(tustest.RespondAfter(413, ""))}, {"interrupted", plain(tustest.Respond(400, "ERR_UPLOAD_INTERRUPTED"))},
		{"401", plain(tustest.Respond(401, ""))}, {"403", plain(tustest.Respond(403, ""))}, {"404", plain(tustest.Respond(404, ""))}, {"422", plain(tustest.RespondAfter(422, ""))},
		{"500 though done", plain(tustest.SetStatus(500))}, {"422 though done", plain(tustest.SetStatus(422))}, {"504 though done", plain(tustest.SetStatus(504))},
		{"early 409", plain(tustest.RespondEarly(409, ""))}, {"early 500", plain(tustest.RespondEarly(500, htmlPage))}, {"early short write", plain(tustest.AcceptEarly(n))},
		{"interim answers", plain(tustest.Inform(1+r.IntN(9), 104, "Upload-Offset", "1"))}, {"endless body", plain(tustest.EndlessAnswer())},
		{"not HTTP", plain(tustest.AnswerRaw("\x15\x03\x01"))}, {"answered twice", plain(tustest.AnswerTwice())},
		{"no offset", plain(tustest.SetHeader("Upload-Offset", ""))}, {"negative offset", plain(tustest.SetHeader("Upload-Offset", "-1"))},
		{"no location", plain(tustest.SetHeader("Location", ""))}, {"another length", plain(tustest.SetHeader("Upload-Length", "7"))},
		{"page in HTML", plain(tustest.RespondAfter(200, htmlPage))}, {"redirect", plain(tustest.Redirect(307, ""))}, {"bad redirect", plain(tustest.Redirect(302, ""))},
		{"bytes lost", plain(tustest.Rewind(n))}, {"upload lost", plain(tustest.Vanish())}, {"algorithms refused", plain(tustest.RefuseAlgorithm("sha1", "sha256", "crc32"))},
		{"reset on accept", func(s *stage) tustest.Action {
			return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				s.listener.Reset(2)
				w.Header().Set("Connection", "close")
				h.Serve(w, r)
			}
		}},
	}
	if s.checksums {
		choices = append(choices, choice{"bit flips", plain(tustest.FlipBit(n))})
	}
	if s.bubble {
		choices = append(choices,
			choice{"stall", plain(tustest.Stall())}, choice{"stall in the body", plain(tustest.StallAfter(n))},
			choice{"slow answer", plain(tustest.AnswerSlowly(20, time.Second))}, choice{"very slow answer", plain(tustest.AnswerSlowly(1, 10*time.Second))},
			choice{"slow reading", plain(tustest.ReadSlowly(3000, time.Second))}, choice{"delay", plain(tustest.Delay(20 * time.Second))},
		)
	} else {
		choices = append(choices, choice{"redirect elsewhere", func(s *stage) tustest.Action { return tustest.Redirect(308, s.elsewhere) }})
	}
	c := pick(r, choices...)
	l := soakLine{name: c.name, on: pick(r, carrying, carrying, carrying, creating, asking, completing, probing), action: c.action}
	l.line = line{match: l.on.matches, skip: r.IntN(4), times: pick(r, 1, 1, 1, 2, 3, 12)}
	switch c.name {
	case "bit flips": // only what is sent with a checksum
		l.line.match = func(r *http.Request) bool {
			return r.Header.Get("Upload-Checksum") != "" || len(r.Trailer) > 0
		}
	case "another length": // of a stream, it would be a server that claims what it has not been told
		if s.source == "reader" || s.how.DeferLength {
			l.line.times = 0
		}
	}
	return l
}

// open makes a source, as a program does that begins again.
func (s *scenario) open(path string) tus.Source {
	switch s.source {
	case "file":
		return tus.File(path)
	case "memory":
		return tus.Bytes(s.data)
	case "reader":
		return tus.Reader(bytes.NewReader(s.data))
	case "seeker":
		return tus.ReadSeeker(bytes.NewReader(s.data), int64(len(s.data)))
	}
	return tus.FSFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
}

func (s *scenario) run(t *testing.T, sum *soakSum) {
	path := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, s.data, 0o600); err != nil {
		t.Fatal(err)
	}
	place := onTCP
	if s.bubble {
		place = inBubble
	}
	place(t, &s.server, func(t *testing.T, st *stage) {
		if s.checksums {
			st.checksums = checksum.Builtin()
		}
		if !s.store {
			st.store = nil
		}
		for _, l := range s.script {
			l.line.action = l.action(st)
			st.script.add(l.line)
		}
		ctx, cancel := patience(st)
		defer cancel()
		sum.runs++
		breaks := &breaks{t: t, bubble: s.bubble, pauses: s.pauses}
		defer func() {
			for _, l := range st.script.lines {
				sum.faults += l.hits
			}
			sum.pauses += int(breaks.done.Load())
			sum.bytes += st.BytesReceived()
		}()
		if s.twins {
			s.runTwins(ctx, t, st, path, sum)
		}
		first := s.complete(ctx, t, st, path, breaks, sum, 6)
		if first != "" {
			sum.despite++
		}
		st.script.end()
		st.listener.Reset(0)
		breaks.end()
		if first == "" {
			// A refused end of an upload calls for a look; the session after that
			// has nothing in its way.
			first = s.complete(ctx, t, st, path, breaks, sum, 3)
		}
		if first == "" {
			t.Error("no upload succeeds though the faults are over")
		}
		if s.again && s.complete(ctx, t, st, path, breaks, sum, 1) == first {
			t.Error("second upload of the source is the first")
		}
	})
}

// complete makes sessions until one completes the upload, and returns its URL;
// none if there are not enough of them.
func (s *scenario) complete(ctx context.Context, t *testing.T, st *stage, path string, breaks *breaks, sum *soakSum, sessions int) (url string) {
	for range sessions {
		sum.sessions++
		if url := s.session(ctx, t, st, path, breaks, sum); url != "" || t.Failed() {
			return url
		}
	}
	return ""
}

// runTwins uploads with two clients at the same time, as two processes do.
func (s *scenario) runTwins(ctx context.Context, t *testing.T, st *stage, path string, sum *soakSum) {
	type end struct {
		res *tus.Result
		err error
	}
	ends := make(chan end, 2)
	for range 2 {
		client, source, how := st.client(t, s.client), s.open(path), s.how
		how.StopAt = 0
		go func() {
			res, err := client.Upload(ctx, source, &how)
			ends <- end{res, err}
		}()
	}
	var urls []string
	for range 2 {
		sum.sessions++
		e := <-ends
		switch {
		case ctx.Err() != nil:
			t.Fatalf("twin hangs: %v", e.err)
		case e.err != nil:
			s.errors = append(s.errors, e.err)
			sum.failed(e.err)
		default:
			s.check(t, st, e.res, sum)
			urls = append(urls, e.res.URL)
		}
	}
	if len(urls) == 2 && urls[0] == urls[1] {
		// One of them found what the other had left, if that had failed.
		t.Errorf("both twins complete %s", urls[0])
	}
}

// session uploads in a new session, with pauses, until the upload is complete or
// fails, or a pause leaves it to a later one. It returns the URL of a complete
// upload.
func (s *scenario) session(ctx context.Context, t *testing.T, st *stage, path string, breaks *breaks, sum *soakSum) (url string) {
	opts, how := s.client, s.how
	var acknowledged int64
	how.Hooks.OnProgress = func(p tus.Progress) {
		if p.Acknowledged < acknowledged || !p.TotalUnknown && p.Acknowledged > p.Total {
			t.Errorf("progress goes from %d to %d of %d", acknowledged, p.Acknowledged, p.Total)
		}
		acknowledged = p.Acknowledged
	}
	client := st.clientOver(t, breaks.over(st.conduct(t)), opts)
	u, err := client.NewUploader(s.open(path), &how)
	if err != nil {
		t.Fatal(err)
	}
	for {
		if t.Failed() {
			return ""
		}
		runCtx, cancel := context.WithCancel(ctx)
		leave := breaks.arm(func(p pause) {
			if p.cancel {
				cancel()
			} else {
				u.Pause()
			}
		})
		res, err := u.Run(runCtx)
		cancel()
		switch {
		case ctx.Err() != nil:
			t.Fatalf("upload hangs in state %v", u.State())
		case err == nil:
			s.check(t, st, res, sum)
			if n := len(st.records(t)); n != 0 && !s.twins {
				t.Errorf("%d records are left of a complete upload", n)
			}
			return res.URL
		case strings.Contains(err.Error(), planted):
			t.Errorf("error shows a secret: %v", err)
		}
		if u.State() != tus.StatePaused {
			if errors.Is(err, tus.ErrSourceChanged) || u.State() != tus.StateFailed {
				t.Errorf("upload ends in state %v with %v", u.State(), err)
			}
			s.errors = append(s.errors, err)
			sum.failed(err)
			return ""
		}
		if leave() {
			return ""
		}
	}
}

// check compares what the server has.
func (s *scenario) check(t *testing.T, st *stage, res *tus.Result, sum *soakSum) {
	wantStored(t, st.Handler, res.URL, s.data)
	sum.hashes++
	size, stats := int64(len(s.data)), res.Stats
	if res.Size != size || res.Offset != size || stats.ResumedFrom+stats.Acknowledged != size {
		t.Errorf("result is %+v", res)
	}
}

// breaks interrupts uploads by their requests. It counts them over all sessions.
type breaks struct {
	t      testing.TB
	bubble bool
	done   atomic.Int64

	mu     sync.Mutex
	pauses []pause
	count  int
	stop   func(pause)
	leave  bool
}

// arm says how uploads are interrupted from now on. The function returned tells
// whether the last pause leaves the upload to a later session.
func (b *breaks) arm(stop func(pause)) (leave func() bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop, b.leave = stop, false
	return func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.leave
	}
}

func (b *breaks) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pauses = nil
}

// next is the pause for the request that begins, if there is one.
func (b *breaks) next() (pause, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	for i, p := range b.pauses {
		if p.request == b.count {
			b.pauses = slices.Delete(slices.Clone(b.pauses), i, i+1)
			return p, true
		}
	}
	return pause{}, false
}

func (b *breaks) do(p pause) {
	b.mu.Lock()
	stop := b.stop
	b.leave = p.leave
	b.mu.Unlock()
	b.done.Add(1)
	stop(p)
}

// over is a transport with the pauses.
func (b *breaks) over(transport http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		begin := time.Now()
		defer func() {
			if took := time.Since(begin); b.bubble && took > longest(r) {
				b.t.Errorf("%s takes %v", r.Method, took)
			}
		}()
		p, ok := b.next()
		if !ok {
			return transport.RoundTrip(r)
		}
		switch {
		case p.when == beforeRequest:
			b.do(p)
		case p.when == inBody && r.Body != nil:
			request := *r // and not a Clone, whose trailer would be another
			request.Body = &breakingBody{ReadCloser: r.Body, left: p.bytes, then: func() { b.do(p) }}
			request.GetBody = nil
			r = &request
		}
		resp, err := transport.RoundTrip(r)
		if p.when == afterAnswer && err == nil {
			b.do(p)
		}
		return resp, err
	})
}

// longest is how long a request may take, by a clock that only waits move: the
// stall timeout for the answer after the bytes have moved, at the least rate of
// the faults. A final upload has ten minutes more.
func longest(r *http.Request) time.Duration {
	limit := time.Minute
	if r.ContentLength != 0 {
		limit += 2_000_000 / 3000 * time.Second
	}
	if strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;") {
		limit += 10 * time.Minute
	}
	return limit
}

// breakingBody does something once when so many bytes have been read.
type breakingBody struct {
	io.ReadCloser
	left int64
	then func()
}

func (b *breakingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left <= 0 && b.then != nil {
		b.then()
		b.then = nil
	}
	return n, err
}

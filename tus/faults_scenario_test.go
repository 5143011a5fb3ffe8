package tus_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

const (
	largestSource = 2_000_000
	slowestRate   = 3000 // bytes in a second
)

// scenario is the upload, the faults and the pauses of a seed.
type scenario struct {
	random    *rand.Rand
	bubble    bool
	store     bool
	tokens    bool   // a session that ends leaves a token to the next one
	token     string // of the last session; "" for none
	twins     bool   // two clients upload the same source at the same time
	again     bool   // the source is uploaded once more at the end
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

// soakLine is a line of a script for a stage that does not exist yet.
type soakLine struct {
	name   string
	on     target
	line   line
	action func(*stage) tustest.Action
}

func (s *scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %d bytes of %s, checksums %v, store %v, bubble %v, tokens %v, twins %v, again %v\n  server %+v\n",
		len(s.data), s.source, s.checksums, s.store, s.bubble, s.tokens, s.twins, s.again, s.server)
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
		source: pick(r, "file", "memory", "reader", "sized reader", "seeker", "file system"),
	}
	if r.IntN(20) == 0 {
		s.data = randomBytes(largestSource)
	}
	s.server = tustest.Options{
		Extensions: pick(r, nil, nil, tustest.Without("checksum-trailer"), tustest.Without("concatenation-unfinished"),
			tustest.Without("creation-with-upload", "checksum", "checksum-trailer"), tustest.Without("expiration", "termination")),
		AbsoluteLocation: r.IntN(4) == 0,
	}
	s.twins, s.again = r.IntN(8) == 0, r.IntN(4) == 0
	s.tokens = !s.twins && seed%3 == 0
	retry := tus.RetryPolicy{} // waiting costs nothing in a bubble
	if !s.bubble {
		retry.Delay = func(int) time.Duration { return time.Millisecond }
		retry.MaxRetryAfter = time.Millisecond
	}
	s.client = tus.Options{Retry: retry, MaxConnections: pick(r, 0, 0, 0, 1, 2), OverridePatchMethod: r.IntN(10) == 0}
	s.how = tus.UploadOptions{
		Metadata:        tus.Metadata{"filename": "soak"},
		ChunkSize:       pick[int64](r, 0, 0, 1000, 7777, 32<<10, 1<<20),
		CreationLimit:   pick[int64](r, 0, -1, 10_000),
		ParallelOptions: tus.ParallelOptions{TerminateParts: r.IntN(4) == 0},
	}
	if seed%2 == 0 {
		s.how.Digest = "sha256"
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
		s.how.Parallel, s.how.ParallelOptions.MinPartSize = 2+r.IntN(4), pick[int64](r, 100, 5000, 20_000)
	case 2:
		s.how.StopAt = r.Int64N(size + 1)
	case 3:
		s.how.DeferLength = true
	}
	s.how.FirstChunkInCreation = s.how.CreationLimit >= 0 && r.IntN(3) == 0
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

// fault returns a random fault.
func (s *scenario) fault() soakLine {
	r := s.random
	names, actions := s.actions()
	name := pick(r, names...)
	l := soakLine{name: name, on: pick(r, carrying, carrying, carrying, creating, asking, completing, probing), action: actions[name]}
	l.line = line{match: l.on.matches, skip: r.IntN(4), times: pick(r, 1, 1, 1, 2, 3, 12)}
	if name == "bit flips" { // only with a checksum: without, it goes unnoticed
		l.line.match = func(r *http.Request) bool { return r.Header.Get("Upload-Checksum") != "" || len(r.Trailer) > 0 }
	}
	return l
}

// actions returns the faults to choose from. A client can notice each of them: no server
// acknowledges bytes that it does not have.
func (s *scenario) actions() (names []string, actions map[string]func(*stage) tustest.Action) {
	r := s.random
	n := r.Int64N(int64(len(s.data)) + 1)
	plain := map[string]tustest.Action{
		"cut before the body": tustest.CutBefore(), "cut in the body": tustest.CutAfter(n),
		"response lost": tustest.LoseResponse(), "cut in the response": faults.CutResponse(r.IntN(100)),
		"short write": faults.AcceptOnly(n), "early short write": faults.AcceptEarly(n),
		"early 409": faults.RespondEarly(409, ""), "early 500": faults.RespondEarly(500, htmlPage),
		"400 interrupted": tustest.Respond(400, "ERR_UPLOAD_INTERRUPTED"), "401": tustest.Respond(401, ""),
		"403": tustest.Respond(403, ""), "404": tustest.Respond(404, ""), "409": tustest.Respond(409, ""),
		"413": faults.RespondAfter(413, ""), "422": faults.RespondAfter(422, ""), "423": tustest.Respond(423, ""),
		"429": tustest.Respond(429, "", "Retry-After", "0"), "460": faults.RespondAfter(460, ""),
		"500": faults.RespondAfter(500, htmlPage), "502": tustest.Respond(502, htmlPage),
		"503":               faults.RespondAfter(503, "", "Retry-After", pick(r, "0", "soon", "-1", "99999999999999999999")),
		"422 when done":     faults.SetStatus(422),
		"500 when done":     faults.SetStatus(500),
		"504 when done":     faults.SetStatus(504),
		"HTML page":         faults.RespondAfter(200, htmlPage),
		"no offset":         tustest.SetHeader("Upload-Offset", ""),
		"negative offset":   tustest.SetHeader("Upload-Offset", "-1"),
		"no location":       tustest.SetHeader("Location", ""),
		"redirect":          faults.Redirect(307, ""),
		"bad redirect":      faults.Redirect(302, ""),
		"interim responses": faults.Inform(1+r.IntN(9), 104, "Upload-Offset", "1"),
		"endless body":      faults.EndlessBody(),
		"not HTTP":          faults.RespondRaw("\x15\x03\x01"),
		"responds twice":    faults.RespondTwice(),
		"bytes are lost":    faults.Rewind(n),
		"upload is lost":    faults.Vanish(),
		"algorithm is out":  faults.RefuseAlgorithm("sha1", "sha256", "crc32"),
	}
	if s.source != "reader" && !s.how.DeferLength { // otherwise it becomes the length
		plain["another length"] = tustest.SetHeader("Upload-Length", "7")
	}
	if s.checksums {
		plain["bit flips"] = faults.FlipBit(n)
	}
	if s.bubble { // costs no real time
		plain["stall"] = tustest.Stall()
		plain["stall in the body"] = faults.StallAfter(n)
		plain["slow response"] = faults.RespondSlowly(20, time.Second)
		plain["very slow response"] = faults.RespondSlowly(1, 10*time.Second)
		plain["slow reading"] = faults.ReadSlowly(slowestRate, time.Second)
		plain["delay"] = tustest.Delay(20 * time.Second)
	}
	actions = map[string]func(*stage) tustest.Action{
		"resets on accept": func(s *stage) tustest.Action { return thenReset(s.listener) },
	}
	for name, action := range plain {
		actions[name] = func(*stage) tustest.Action { return action }
	}
	if !s.bubble {
		actions["redirect to other origin"] = func(s *stage) tustest.Action { return faults.Redirect(308, s.otherOrigin) }
	}
	return slices.Sorted(maps.Keys(actions)), actions
}

// thenReset serves a request, closes the connection and resets the next two.
func thenReset(listener *faults.Listener) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		listener.Reset(2)
		w.Header().Set("Connection", "close")
		h.Serve(w, r)
	}
}

// open returns a new source, as a later process does.
func (s *scenario) open(path string) tus.Source {
	switch s.source {
	case "file":
		return tus.File(path)
	case "memory":
		return tus.Bytes(s.data)
	case "reader":
		return tus.Reader(bytes.NewReader(s.data))
	case "sized reader":
		return tus.ReaderN(bytes.NewReader(s.data), int64(len(s.data)))
	case "seeker":
		return tus.ReadSeeker(bytes.NewReader(s.data), int64(len(s.data)))
	}
	return tus.FSFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
}

package tus_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// TestFaultSoak uploads in random ways with random faults and pauses, and continues in the
// same session or a later one. An upload that is reported as complete has the SHA-256 of
// its source, the next upload after the faults succeeds, nothing hangs, and no goroutine
// is left.
//
// TUS_FAULT_RUNS is the number of seeds, and TUS_FAULT_SEED the first one, or without
// TUS_FAULT_RUNS the only one:
//
//	TUS_FAULT_RUNS=5000 go test -count 1 -timeout 30m -v -run TestFaultSoak ./tus
//	TUS_FAULT_SEED=17 go test -count 1 -v -run TestFaultSoak ./tus
//
// A panic in another goroutine does not show the seed. With -v it is the last one that
// started.
func TestFaultSoak(t *testing.T) {
	first, runs := 1, 150
	if testing.Short() {
		runs = 60
	}
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
			// In a bubble, synctest checks that.
			if !s.bubble {
				if err := goleak.Find(older); err != nil {
					t.Errorf("goroutines are left: %v", err)
				}
			}
		})
	}
	t.Log(sum.String())
	if runs > 1 && sum.despite < runs/3 {
		t.Errorf("only %d of %d uploads were completed during faults", sum.despite, runs)
	}
}

// soakSum has the counts of all seeds.
type soakSum struct {
	runs, sessions, faults, pauses int
	tokens                         int // that a session resumes by
	despite                        int // completed during faults
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
	fmt.Fprintf(&b, "%d runs with %d faults and %d pauses in %d sessions, %d by a token; %d completed during faults, all after them; %d SHA-256 compared, %d MiB sent\n",
		s.runs, s.faults, s.pauses, s.sessions, s.tokens, s.despite, s.hashes, s.bytes>>20)
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

func (s *scenario) run(t *testing.T, sum *soakSum) {
	path := tempFile(t, s.data)
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
		st.stored = s.store && s.source != "reader" && s.source != "sized reader"
		for _, l := range s.script {
			l.line.action = l.action(st)
			st.script.add(l.line)
		}
		ctx, cancel := hangTimeout(st)
		defer cancel()
		sum.runs++
		breaks := &breaks{t: t, bubble: s.bubble, pauses: s.pauses}
		defer func() {
			sum.faults += st.script.total()
			sum.pauses += int(breaks.done.Load())
			sum.bytes += bytesReceived(st)
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
			// The first session may end with ErrUnconfirmed; the second one succeeds.
			first = s.complete(ctx, t, st, path, breaks, sum, 3)
		}
		if first == "" {
			t.Error("no upload succeeds after the end of the faults")
		}
		if !s.again || t.Failed() {
			return
		}
		if second := s.complete(ctx, t, st, path, breaks, sum, 3); second == "" || second == first && st.creations() < 2 {
			t.Errorf("the source was uploaded to %q, and then to %q", first, second)
		}
	})
}

// complete runs up to a number of sessions until one completes the upload, and returns
// its URL, or "".
func (s *scenario) complete(ctx context.Context, t *testing.T, st *stage, path string, breaks *breaks, sum *soakSum, sessions int) (url string) {
	for range sessions {
		sum.sessions++
		if url := s.session(ctx, t, st, path, breaks, sum); url != "" || t.Failed() {
			return url
		}
	}
	return ""
}

// runTwins uploads with two clients at the same time.
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
	if len(urls) == 2 && urls[0] == urls[1] && urls[0] != "" {
		// One may resume the upload of the other only if that failed.
		t.Errorf("both twins complete %s", urls[0])
	}
}

// session runs a new session with pauses until the upload is complete or fails, or a
// pause leaves it to a later session. It returns the URL of a complete upload.
func (s *scenario) session(ctx context.Context, t *testing.T, st *stage, path string, breaks *breaks, sum *soakSum) (url string) {
	opts, how := s.client, s.how
	var acknowledged int64
	how.Hooks.OnProgress = func(_ *tus.Uploader, p tus.Progress) {
		if p.Acknowledged < acknowledged || !p.SizeUnknown && p.Acknowledged > p.Size {
			t.Errorf("progress goes from %d to %d of %d", acknowledged, p.Acknowledged, p.Size)
		}
		acknowledged = p.Acknowledged
	}
	if how.Token, s.token = s.token, ""; how.Token != "" {
		sum.tokens++
	}
	client := st.clientOver(t, breaks.over(st.ruleChecker(t)), opts)
	u, err := client.NewUploader(s.open(path), &how)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if url == "" && s.tokens {
			s.leaveToken(ctx, t, st, u)
		}
	}()
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
			return cmp.Or(res.URL, "upload without a URL")
		case strings.Contains(err.Error(), planted):
			t.Errorf("error shows a secret: %v", err)
		}
		if u.State() != tus.StatePaused {
			if errors.Is(err, tus.ErrSourceChanged) || u.State() != tus.StateFailed {
				t.Errorf("upload ends in state %v with %v", u.State(), err)
			}
			s.errors = append(s.errors, err)
			sum.failed(err)
			if errors.Is(err, tus.ErrUnconfirmed) {
				st.forgetAll(t) // as a user who has checked the upload
			}
			return ""
		}
		if leave() {
			return ""
		}
	}
}

// leaveToken leaves the token of an upload to the next session, which may be on a machine
// without its record.
func (s *scenario) leaveToken(ctx context.Context, t *testing.T, st *stage, u *tus.Uploader) {
	if n := len(s.errors); n > 0 && (errors.Is(s.errors[n-1], tus.ErrUploadGone) || errors.Is(s.errors[n-1], tus.ErrUnconfirmed)) {
		return
	}
	token, err := u.Token(ctx)
	switch {
	case err == nil:
		s.token = token
		if s.random.IntN(2) == 0 {
			st.forgetAll(t)
		}
	case !errors.Is(err, tus.ErrInvalidInput): // nothing was created
		t.Errorf("token: %v", err)
	}
}

// check compares the source with the upload on the server.
func (s *scenario) check(t *testing.T, st *stage, res *tus.Result, sum *soakSum) {
	if res.URL == "" { // completed by a creation without Location
		if !slices.ContainsFunc(st.Uploads(), func(u tustest.Upload) bool { return u.Complete() && bytes.Equal(u.Data, s.data) }) {
			t.Error("the server has no complete upload of the source")
		}
	} else {
		wantStored(t, st.Handler, res.URL, s.data)
	}
	if s.how.Digest != "" && res.Digest != sha256Of(s.data) {
		t.Errorf("digest is %q", res.Digest)
	}
	sum.hashes++
	size, stats := int64(len(s.data)), res.Stats
	if res.Size != size || res.Offset != size || stats.ResumedFrom+stats.Uploaded != size {
		t.Errorf("result is %+v", res)
	}
}

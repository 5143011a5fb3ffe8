package tus_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// hashed are the functions called by hashing ahead. Their panic is dropped if the result
// is not needed any more.
var hashed = []string{"Open", "Read", "Close", "New", "Write", "Sum"}

// TestPanic_ReachesCaller makes each function of the caller panic at its first calls, in
// each kind of upload.
func TestPanic_ReachesCaller(t *testing.T) {
	forEachSite(t, 3, func(t *testing.T, b *bomb, kind string) bool {
		value := &struct{ string }{"original value"}
		b.explode = func() { panic(value) }
		in, s := b.in, newSite(t, kind, b)
		e := s.blow(t, kind)
		if !s.defuse() {
			if e.err != nil || e.panics != nil || e.exited {
				t.Fatalf("without a panic: %+v", e)
			}
			return false
		}
		if e.panics != value && !(e.err == nil && kind == "checksum" && slices.Contains(hashed, in)) {
			t.Fatalf("%+v", e)
		}
		s.wantUsable(t, kind, in)
		return true
	})
}

// TestGoexit_EndsCallersGoroutine covers hooks that call testing.T.FailNow. In hashing
// ahead, Goexit is an error.
func TestGoexit_EndsCallersGoroutine(t *testing.T) {
	forEachSite(t, 1, func(t *testing.T, b *bomb, kind string) bool {
		b.explode = runtime.Goexit
		in, s := b.in, newSite(t, kind, b)
		e := s.blow(t, kind)
		if !s.defuse() {
			return false
		}
		if !e.exited && (e.err == nil || !strings.Contains(kind, "checksum")) {
			t.Fatalf("%+v", e)
		}
		s.wantUsable(t, kind, in)
		return true
	})
}

// forEachSite calls explode for the first n calls of each function of the caller, until it
// reports that there was no such call.
func forEachSite(t *testing.T, n int, explode func(t *testing.T, b *bomb, kind string) bool) {
	var mu sync.Mutex
	exploded := map[string]bool{}
	t.Cleanup(func() { // after all kinds
		for _, in := range callerCode {
			if !exploded[in] {
				t.Errorf("%s was never called", in)
			}
		}
	})
	for kind := range siteKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for _, in := range callerCode {
				for i, more := 1, true; more && i <= n; i++ {
					t.Run(fmt.Sprintf("%s %d", in, i), func(t *testing.T) {
						more = explode(t, &bomb{in: in, n: i}, kind)
						mu.Lock()
						defer mu.Unlock()
						exploded[in] = exploded[in] || more
					})
					t.Run(fmt.Sprintf("%s from %d on", in, i), func(t *testing.T) {
						explode(t, &bomb{in: in, n: i, lasting: true}, kind)
					})
				}
			}
		})
	}
}

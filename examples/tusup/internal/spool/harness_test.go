package spool_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/link"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/spool"
	"github.com/seed-175555ba/tus-go/tus"
)

// site is a directory with a spool of it, and a server that records uploads.
type site struct {
	t      *testing.T
	dir    string
	config spool.Config
	// respond, if non-nil, returns the error of an upload, and during, if non-nil, is called
	// during each upload. mu is locked then.
	respond func(f spool.File) error
	during  func(f spool.File)

	mu       sync.Mutex
	attempts []string // names, in the order of their starts
	stored   []string // contents, in the order of their ends
	ends     []spool.End
	logs     []string
	status   spool.Status
	inFlight int
	most     int // in flight at the same time
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: filepath.Join(dir, "spool")}
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.config = spool.Config{
		Dir: s.dir, Scan: 30 * time.Second, Settle: 5 * time.Second, ScanOnly: true, Concurrency: 4, GiveUp: 3,
		Upload: s.upload, Heartbeat: time.Minute,
		Hooks: spool.Hooks{
			OnEnd:    func(e spool.End) { s.locked(func() { s.ends = append(s.ends, e) }) },
			OnLog:    func(text string) { s.locked(func() { s.logs = append(s.logs, text) }) },
			OnStatus: func(status spool.Status) { s.locked(func() { s.status = status }) },
		},
	}
	return s
}

func (s *site) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *site) upload(ctx context.Context, f spool.File, link *link.Link) (*tus.Result, error) {
	s.locked(func() {
		s.attempts = append(s.attempts, f.Name)
		s.inFlight++
		s.most = max(s.most, s.inFlight)
	})
	defer s.locked(func() { s.inFlight-- })
	data, err := os.ReadFile(f.In(s.dir))
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.locked(func() {
		if s.during != nil {
			s.during(f)
		}
		if s.respond != nil {
			err = s.respond(f)
		}
		if err == nil {
			s.stored = append(s.stored, string(data))
		}
	})
	return &tus.Result{URL: "http://host/files/1"}, err
}

// run runs the spool in a bubble with a faked clock while f runs.
func (s *site) run(f func()) {
	s.t.Helper()
	synctest.Test(s.t, func(*testing.T) { s.runReal(f) })
}

// runReal runs the spool while f runs.
func (s *site) runReal(f func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- spool.Run(ctx, s.config) }()
	f()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		s.t.Errorf("Run: %v", err)
	}
}

// write writes a file of the directory.
func (s *site) write(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// age sets the modification time of a file.
func (s *site) age(name string, modified time.Time) {
	s.t.Helper()
	if err := os.Chtimes(filepath.Join(s.dir, name), modified, modified); err != nil {
		s.t.Fatal(err)
	}
}

// wantStored fails unless the server has exactly these contents, in this order.
func (s *site) wantStored(want ...string) {
	s.t.Helper()
	s.locked(func() {
		if !slices.Equal(s.stored, want) {
			s.t.Errorf("stored %q, want %q\nlogs: %q", s.stored, want, s.logs)
		}
	})
}

// wantFiles fails unless a directory has exactly these files, as NAME=CONTENT.
func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	var got []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		got = append(got, filepath.ToSlash(name)+"="+string(data))
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s has %q, want %q", filepath.Base(dir), got, want)
	}
}

// kinds returns how the attempts of a file ended.
func (s *site) kinds(name string) []spool.Kind {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kinds []spool.Kind
	for _, e := range s.ends {
		if e.File.Name == name {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

// logged returns how many log lines have a text.
func (s *site) logged(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, line := range s.logs {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// count returns the number of attempts.
func (s *site) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.attempts)
}

// settling returns the number of files that settle.
func (s *site) settling() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.Settling
}

// statusError returns an error with the status of a response.
func statusError(status int) error {
	return &tus.Error{Method: "POST", URL: "http://host/files/", StatusCode: status}
}

// networkError is a request without a response.
func networkError() error {
	return &tus.Error{Method: "POST", URL: "http://host/files/", Err: errors.New("no route to host")}
}

// eventually waits in real time until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timeout: %s", what)
		}
	}
}

func numberedNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("file-%03d", i)
	}
	return names
}

package interop_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-175555ba/tus-go/integration/npm"
	"github.com/seed-175555ba/tus-go/tus"
)

const tusJSVersion = "4.3.1"

//go:embed tusjs.cjs
var tusJSScript []byte

// tusJS is tus-js-client under Node.
type tusJS struct {
	npm.Package
	script string
}

// task is the argument of tusjs.cjs.
type task struct {
	File         string
	Endpoint     string // creates an upload, or
	URL          string // the upload to resume
	ChunkSize    int64  // in bytes; 0 means one request
	StopAt       int64  // pause when this many bytes are acknowledged
	DeferLength  bool
	WithCreation bool // send the first chunk with the creation
	Metadata     tus.Metadata
	Protocol     string // "" is tus 1.0.0
	Buffer       bool   // read the file into memory first
	Retries      int
}

// outcome is the output of tusjs.cjs.
type outcome struct {
	URL      string
	Complete bool
}

// newTusJS installs tus-js-client. It skips the test if Node, npm or the registry is
// unavailable.
func newTusJS(t *testing.T) tusJS {
	t.Helper()
	installed, err := npm.Install(t.Context(), "tus-js-client", tusJSVersion)
	if errors.Is(err, npm.ErrMissing) {
		t.Skipf("SKIPPED, tus-js-client was not tested: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "tusjs.cjs")
	if err := os.WriteFile(script, tusJSScript, 0o600); err != nil {
		t.Fatal(err)
	}
	return tusJS{installed, script}
}

// run runs a task to its end, to task.StopAt, or until cut is done.
func (js tusJS) run(t *testing.T, cut context.Context, want task) outcome {
	t.Helper()
	encoded, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	cmd := js.Command(testContext(t), js.script, string(encoded))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer context.AfterFunc(cut, func() { stdin.Close() })()
	if err := cmd.Run(); err != nil {
		t.Fatalf("tus-js-client failed: %v\n%s", err, stderr.Bytes())
	}
	var got outcome
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("tus-js-client printed %q: %v\n%s", stdout.Bytes(), err, stderr.Bytes())
	}
	return got
}

// interruptions returns the ways in which tus-js-client interrupts an upload.
func (js tusJS) interruptions() []interruption {
	by := func(todo task) func(*testing.T, *heldServer, string) string {
		return func(t *testing.T, s *heldServer, file string) string {
			todo.Endpoint, todo.File, todo.Metadata = s.Endpoint(), file, metadata()
			got := js.run(t, s.reached, todo)
			if got.Complete {
				t.Fatal("tus-js-client did not stop")
			}
			return got.URL
		}
	}
	return []interruption{
		{"in chunks", false, by(task{ChunkSize: 2 * mib, StopAt: 6 * mib})},
		{"created with data", false, by(task{ChunkSize: 2 * mib, StopAt: 4 * mib, WithCreation: true})},
		{"cut in a request", false, by(task{})},
		{"of unknown size", true, by(task{ChunkSize: 2 * mib, StopAt: 6 * mib, DeferLength: true})},
	}
}

// finish resumes an upload and completes it.
func (js tusJS) finish(t *testing.T, url, file string, deferred bool) {
	t.Helper()
	todo := task{URL: url, File: file, ChunkSize: 5 * mib, DeferLength: deferred}
	if got := js.run(t, t.Context(), todo); !got.Complete {
		t.Error("tus-js-client did not finish")
	}
}

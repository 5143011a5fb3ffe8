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

// task is what it shall do.
type task struct {
	File         string
	Endpoint     string // where to create an upload, or
	URL          string // the one to go on with
	ChunkSize    int64  // in bytes; 0 means one request
	StopAt       int64  // pause when so many bytes are acknowledged
	DeferLength  bool
	WithCreation bool // send the first chunk with the creation
	Metadata     tus.Metadata
}

// outcome is what came of it.
type outcome struct {
	URL      string
	Complete bool
}

// newTusJS skips the test where tus-js-client cannot be had: nothing is wrong with
// this code then.
func newTusJS(t *testing.T) tusJS {
	t.Helper()
	installed, err := npm.Install(t.Context(), "tus-js-client", tusJSVersion)
	if errors.Is(err, npm.ErrMissing) {
		t.Skipf("SKIPPED, nothing was tested with tus-js-client: %v", err)
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

// run does a task to its end, to where it shall stop, or until cut is done.
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
		t.Fatalf("tus-js-client says %q: %v\n%s", stdout.Bytes(), err, stderr.Bytes())
	}
	return got
}

// beginnings are the ways in which tus-js-client leaves an upload.
func (js tusJS) beginnings() []beginning {
	by := func(todo task) func(*testing.T, *site, string) string {
		return func(t *testing.T, s *site, file string) string {
			todo.Endpoint, todo.File, todo.Metadata = s.Endpoint(), file, metadata()
			got := js.run(t, s.reached, todo)
			if got.Complete {
				t.Fatal("tus-js-client did not stop")
			}
			return got.URL
		}
	}
	return []beginning{
		{"in chunks", false, by(task{ChunkSize: 2 * mib, StopAt: 6 * mib})},
		{"begun with its creation", false, by(task{ChunkSize: 2 * mib, StopAt: 4 * mib, WithCreation: true})},
		{"cut in a request", false, by(task{})},
		{"of unknown length", true, by(task{ChunkSize: 2 * mib, StopAt: 6 * mib, DeferLength: true})},
	}
}

// finish goes on with an upload to its end.
func (js tusJS) finish(t *testing.T, url, file string, deferred bool) {
	t.Helper()
	todo := task{URL: url, File: file, ChunkSize: 5 * mib, DeferLength: deferred}
	if got := js.run(t, t.Context(), todo); !got.Complete {
		t.Error("tus-js-client did not finish")
	}
}

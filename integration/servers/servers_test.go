//go:build unix

package servers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/integration/servers"
	"github.com/seed-175555ba/tus-go/integration/servers/proxy"
)

// built is the path of tusup, built once in a directory that TestMain removes.
var built = sync.OnceValues(func() (string, error) { return servers.BuildTusup(context.Background(), tusupDir) })

var tusupDir string

func TestMain(m *testing.M) {
	child.Main(child.Role{Name: holderRole, Run: hold})
	dir, err := os.MkdirTemp("", "servers")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	tusupDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir) // a leftover only takes space
	os.Exit(code)
}

// runner returns a runner of the situations that a test selects.
func runner(t *testing.T, situations ...string) *servers.Runner {
	t.Helper()
	tusup, err := built()
	if err != nil {
		t.Fatal(err)
	}
	r := &servers.Runner{Tusup: tusup, Dir: t.TempDir()}
	for _, s := range servers.Situations() {
		if len(situations) == 0 && !s.Large || slices.Contains(situations, s.Name) {
			r.Situations = append(r.Situations, s)
		}
	}
	return r
}

// The short version of the matrix, without the 200 MB.
func TestMatrix_EachFailureIsOfTheServer(t *testing.T) {
	nginx, err := proxy.Named(proxy.NginxStreaming)
	if err != nil {
		t.Fatal(err)
	}
	r := runner(t)
	columns := map[string]func() (servers.Column, error){
		"tusd":        func() (servers.Column, error) { return r.Server(t.Context(), servers.TusdOf(r.Tusup)) },
		"@tus/server": func() (servers.Column, error) { return r.Server(t.Context(), servers.TusNode()) },
		"nginx":       func() (servers.Column, error) { return r.Proxy(t.Context(), nginx, servers.TusdOf(r.Tusup)) },
	}
	for name, fill := range columns {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := fill()
			if err != nil {
				t.Fatal(err)
			}
			if c.Missing != "" {
				t.Skipf("SKIPPED, %s was not tested: %s", name, c.Missing)
			}
			m := servers.NewMatrix(r.Situations)
			m.Columns = []servers.Column{c}
			for _, failure := range m.Unexplained() {
				t.Error(failure)
			}
			passed := 0
			for _, o := range c.Cells {
				if o.Status == servers.Passed {
					passed++
				}
			}
			if passed < 25 {
				t.Errorf("only %d situations passed", passed)
			}
		})
	}
}

// scripted returns a script of the matrix.
func scripted(t *testing.T, name string) servers.Server {
	t.Helper()
	for _, s := range servers.All() {
		if s.Name == name && s.Scripted {
			return s
		}
	}
	t.Fatalf("no script %q", name)
	return servers.Server{}
}

// outcome returns the only cell of a column.
func outcome(t *testing.T, s servers.Server, situation string) servers.Outcome {
	t.Helper()
	c, err := runner(t, situation).Server(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return c.Cells[situation]
}

func TestRunner_WrongContentFails(t *testing.T) {
	s := scripted(t, "tuspyserver")
	start := s.Start
	s.Start = func(ctx context.Context, dir string) (*servers.Running, error) {
		r, err := start(ctx, dir)
		if err != nil {
			return nil, err
		}
		content := r.Content
		r.Content = func(ctx context.Context, uploadURL string) (io.ReadCloser, error) {
			from, err := content(ctx, uploadURL)
			if err != nil {
				return nil, err
			}
			defer from.Close()
			data, err := io.ReadAll(from)
			data[len(data)/2] ^= 1
			return io.NopCloser(bytes.NewReader(data)), err
		}
		return r, nil
	}
	for _, situation := range []string{"1 byte", "standard input, several chunks", "several files at once", "parallel, parts below 5 MiB"} {
		if o := outcome(t, s, situation); o.Status != servers.Failed || o.Explanation != "" || len(o.Exchange) == 0 {
			t.Errorf("%s: %+v", situation, o)
		}
	}
}

func TestRunner_LostBytesAreExplained(t *testing.T) {
	o := outcome(t, scripted(t, "django-tus"), "kill -9 of tusup, run again")
	if o.Status != servers.Failed || !strings.Contains(o.Explanation, "only when it is complete") {
		t.Errorf("%+v", o)
	}
}

func TestRunner_MissingExtensionDoesNotApply(t *testing.T) {
	o := outcome(t, scripted(t, "SeaweedFS"), "parallel, parts below 5 MiB")
	if o.Status != servers.NotApplicable || !strings.Contains(o.Reason, "concatenation") {
		t.Errorf("%+v", o)
	}
}

func TestRunner_MissingServerIsAnEmptyColumn(t *testing.T) {
	s := servers.Server{Name: "x", Start: func(context.Context, string) (*servers.Running, error) {
		return nil, servers.ErrNotInstalled
	}}
	c, err := runner(t, "1 byte").Server(t.Context(), s)
	if err != nil || c.Missing == "" || len(c.Cells) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestMarkdown_SharesNotes(t *testing.T) {
	failed := servers.Outcome{Status: servers.Failed, Reason: "HEAD failed", Explanation: "the server forgets", Exchange: []string{"HEAD /files/ID: 404"}}
	skipped := servers.Outcome{Status: servers.NotApplicable, Reason: "no checksum"}
	m := &servers.Matrix{Date: "2026-01-02", Rows: []string{"one", "two", "three"}, Columns: []servers.Column{
		{Name: "a", Group: servers.Real, Setup: "Nothing.", Cells: map[string]servers.Outcome{"one": failed, "two": skipped, "three": {Status: servers.Passed}}},
		{Name: "b", Group: servers.Real, Setup: "Nothing.", Cells: map[string]servers.Outcome{"one": skipped, "two": failed, "three": {Status: servers.Passed}}},
		{Name: "c", Group: servers.Proxied, Setup: "Nothing.", Missing: "not installed"},
	}}
	got := m.Markdown()
	for _, want := range []string{
		"| a | – | 1 of 2 | Nothing. |", "| c | – | not tested: not installed | Nothing. |",
		"| one | ✗ 1 | – 2 |", "| two | – 2 | ✗ 1 |", "| three | ✓ | ✓ |",
		"1. The server forgets. a, one: `HEAD /files/ID: 404`; `HEAD failed`.\n2. No checksum.\n\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestUnexplained_ListsFailuresWithoutReason(t *testing.T) {
	m := &servers.Matrix{Rows: []string{"one", "two"}, Columns: []servers.Column{{Name: "a", Cells: map[string]servers.Outcome{
		"one": {Status: servers.Failed, Reason: "r"},
		"two": {Status: servers.Failed, Reason: "r", Explanation: "e"},
	}}}}
	if got := m.Unexplained(); len(got) != 1 || !strings.HasPrefix(got[0], "a, one: r") {
		t.Errorf("%q", got)
	}
}

// The page and the record are of one run.
func TestPage_IsOfTheRecord(t *testing.T) {
	text, err := os.ReadFile("recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	var m servers.Matrix
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/servers.md")
	if err != nil {
		t.Fatal(err)
	}
	if generated, _, ok := strings.Cut(string(page), servers.Handwritten); !ok || generated != m.Markdown() {
		t.Error("docs/servers.md is not that of recorded.json: run make servers")
	}
	setup := map[string]string{}
	for _, s := range servers.All() {
		setup[s.Name] = s.Setup
	}
	for _, p := range proxy.All() {
		setup[p.Name] = p.Setup
	}
	for _, c := range m.Columns {
		if c.Setup != setup[c.Name] {
			t.Errorf("%s: the record has another setup: run make servers", c.Name)
		}
		delete(setup, c.Name)
	}
	if len(setup) > 0 {
		t.Errorf("the record has no columns for %v", setup)
	}
	if open := m.Unexplained(); len(open) > 0 {
		t.Errorf("failures without a reason: %q", open)
	}
}

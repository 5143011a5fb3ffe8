package tus_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Each state machine has one setter, enter.
func TestState_OnlyEnterWritesIt(t *testing.T) {
	set, files := parsePackage(t)
	setters := 0
	for _, file := range files {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			for _, at := range stateWrites(f) {
				if setters++; f.Name.Name != "enter" {
					t.Errorf("%v: %s writes a state", set.Position(at), f.Name.Name)
				}
			}
		}
	}
	if setters != 2 { // of the Uploader, and of the deliveries
		t.Errorf("found %d writes of a state, want 2", setters)
	}
}

// parsePackage parses the files of package tus, without its tests, by name.
func parsePackage(t *testing.T) (*token.FileSet, map[string]*ast.File) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set, files := token.NewFileSet(), map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if files[name], err = parser.ParseFile(set, name, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	return set, files
}

// stateWrites returns where a function assigns to a field named state, or takes its address.
func stateWrites(f *ast.FuncDecl) (at []token.Pos) {
	isState := func(e ast.Expr) bool {
		field, ok := e.(*ast.SelectorExpr)
		return ok && field.Sel.Name == "state"
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if isState(e) {
					at = append(at, n.Pos())
				}
			}
		case *ast.IncDecStmt:
			if isState(n.X) {
				at = append(at, n.Pos())
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND && isState(n.X) {
				at = append(at, n.Pos())
			}
		}
		return true
	})
	return at
}

func TestState_FinalDoesNotChange(t *testing.T) {
	for name, faults := range map[string][]tustest.Fault{
		"complete": nil,
		"failed":   {{Method: "POST", Action: tustest.Respond(403, "")}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(faults...)
			u := newUploader(t, srv, randomBytes(1000), whole(), tus.Hooks{})
			u.Run(testContext(t))
			if u.State().String() != name {
				t.Fatalf("state is %v", u.State())
			}
			requests, stats := len(srv.Requests()), u.Stats()
			for range 3 {
				u.Pause()
				err := u.Step(testContext(t))
				res, runErr := u.Run(testContext(t))
				if wantErr := name != "complete"; (err != nil) != wantErr || (runErr != nil) != wantErr || res == nil {
					t.Errorf("Step: %v, Run: %v", err, runErr)
				}
			}
			if u.State().String() != name || len(srv.Requests()) != requests {
				t.Errorf("state is %v after %d more requests", u.State(), len(srv.Requests())-requests)
			}
			if got := u.Stats(); fmt.Sprint(got.Requests) != fmt.Sprint(stats.Requests) || got.Sent != stats.Sent {
				t.Errorf("stats went from %+v to %+v", stats, got)
			}
		})
	}
}

func TestState_String(t *testing.T) {
	final := []tus.State{tus.StateComplete, tus.StateFailed, tus.StateAborted}
	for state, name := range map[tus.State]string{
		tus.StateIdle: "idle", tus.StateCreating: "creating", tus.StateReady: "ready", tus.StateSending: "sending",
		tus.StateRecovering: "recovering", tus.StateFinishing: "finishing", tus.StatePaused: "paused",
		tus.StateComplete: "complete", tus.StateFailed: "failed", tus.StateAborted: "aborted",
		-1: "State(-1)", 99: "State(99)",
	} {
		if state.String() != name || state.Final() != slices.Contains(final, state) {
			t.Errorf("%d is %q, final: %v", int(state), state, state.Final())
		}
	}
	if zero := *new(tus.State); zero != tus.StateIdle {
		t.Errorf("the zero value is %v", zero)
	}
}

// table has the transitions in the documentation of State, except those to Paused, Failed
// and Aborted, which start in every state that is not final.
var table = map[tus.State][]tus.State{
	tus.StateIdle:       {tus.StateCreating, tus.StateRecovering},
	tus.StateCreating:   {tus.StateReady, tus.StateRecovering},
	tus.StateReady:      {tus.StateSending, tus.StateFinishing},
	tus.StateSending:    {tus.StateReady, tus.StateRecovering, tus.StateCreating},
	tus.StateRecovering: {tus.StateReady, tus.StateCreating, tus.StateSending},
	tus.StateFinishing:  {tus.StateComplete},
	tus.StatePaused:     {tus.StateRecovering, tus.StateIdle, tus.StateFinishing},
}

func TestState_TransitionsMatchDocumentedTable(t *testing.T) {
	type scenario struct {
		opts   *tus.UploadOptions
		faults []tustest.Fault
		drive  func(ctx context.Context, u *tus.Uploader)
	}
	always := func(method string, status int) []tustest.Fault {
		return []tustest.Fault{{Method: method, Times: -1, Action: tustest.Respond(status, "")}}
	}
	once := func(actions ...any) (faults []tustest.Fault) {
		for i := 0; i < len(actions); i += 2 {
			faults = append(faults, tustest.Fault{Method: actions[i].(string), Action: actions[i+1].(tustest.Action)})
		}
		return faults
	}
	pauseAfter := func(steps int) func(context.Context, *tus.Uploader) {
		return func(ctx context.Context, u *tus.Uploader) {
			for range steps {
				u.Step(ctx)
			}
			u.Pause()
			u.Run(ctx)
		}
	}
	scenarios := map[string]scenario{
		"plain":               {opts: chunked()},
		"creation fails once": {opts: chunked(), faults: once("POST", tustest.Respond(503, ""))},
		"creation refused":    {opts: chunked(), faults: always("POST", 403)},
		"chunk lost":          {opts: chunked(), faults: once("PATCH", tustest.CutAfter(10))},
		"chunk refused":       {opts: chunked(), faults: always("PATCH", 403)},
		"last chunk refused":  {opts: whole(), faults: always("PATCH", 422)},
		"HEAD refused":        {opts: chunked(), faults: append(once("PATCH", tustest.CutAfter(10)), always("HEAD", 403)...)},
		"forgotten":           {opts: chunked(), faults: once("PATCH", vanishWith(404))},
		"empty and forgotten": {opts: whole(), faults: once("HEAD", vanishWith(404), "PATCH", goneWith(404))},
		"forgotten at HEAD":   {opts: chunked(), faults: once("PATCH", tustest.CutBefore(), "HEAD", goneWith(404))},
		"budget used up":      {opts: chunked(), faults: always("PATCH", 500)},
		"stop":                {opts: &tus.UploadOptions{StopAt: 1200}, drive: func(ctx context.Context, u *tus.Uploader) { u.Run(ctx); u.Run(ctx) }},
		"URL of nothing":      {},
		"context ended": {opts: chunked(), drive: func(ctx context.Context, u *tus.Uploader) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			u.Run(ctx)
		}},
	}
	for steps := range 9 {
		scenarios[fmt.Sprintf("paused after %d steps", steps)] = scenario{opts: whole(), drive: pauseAfter(steps)}
		scenarios[fmt.Sprintf("aborted after %d steps", steps)] = scenario{opts: whole(), drive: func(ctx context.Context, u *tus.Uploader) {
			for range min(steps, 5) { // later states are final
				u.Step(ctx)
			}
			u.Abort(ctx)
			u.Run(ctx)
		}}
	}
	type transition struct {
		from, to tus.State
		err      error
	}
	seen := map[[2]tus.State]bool{}
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(s.faults...)
			var events []transition
			hooks := tus.Hooks{OnStateChange: func(_ *tus.Uploader, from, to tus.State, err error) {
				events = append(events, transition{from, to, err})
			}}
			var u *tus.Uploader
			switch name {
			case "URL of nothing":
				u = newResumer(t, srv, srv.Endpoint()+"nothing", randomBytes(3000), hooks)
			case "empty and forgotten":
				u = newUploader(t, srv, nil, s.opts, hooks)
			default:
				u = newUploader(t, srv, randomBytes(3000), s.opts, hooks)
			}
			if s.drive != nil {
				s.drive(testContext(t), u)
			} else {
				u.Run(testContext(t))
			}
			at := tus.StateIdle
			for _, e := range events {
				if e.from != at {
					t.Errorf("event %+v, but the state is %v", e, at)
				}
				at = e.to
				seen[[2]tus.State{e.from, e.to}] = true
				anyTime := e.to == tus.StatePaused || e.to == tus.StateFailed || e.to == tus.StateAborted
				if !slices.Contains(table[e.from], e.to) && !(anyTime && !e.from.Final()) {
					t.Errorf("transition from %v to %v is not in the table", e.from, e.to)
				}
				if (e.to == tus.StateFailed || e.to == tus.StatePaused) && e.err == nil {
					t.Errorf("no reason for the transition from %v to %v", e.from, e.to)
				}
			}
			if at != u.State() {
				t.Errorf("state is %v, but the last event led to %v", u.State(), at)
			}
		})
	}
	for from, row := range table {
		for _, to := range row {
			if !seen[[2]tus.State{from, to}] {
				t.Errorf("no scenario led from %v to %v", from, to)
			}
		}
	}
}

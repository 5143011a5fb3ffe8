package tus_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
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

package tus_test

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// statusesOfHTTP are the statuses that other files may name, as HTTP alone defines their
// meaning.
var statusesOfHTTP = map[string][]string{
	"errors.go":      {"StatusNotImplemented", "StatusServiceUnavailable"},
	"no_response.go": {"StatusProxyAuthRequired", "StatusText"},
	"request.go": {"StatusMisdirectedRequest", "StatusMovedPermanently", "StatusFound", "StatusSeeOther",
		"StatusTemporaryRedirect", "StatusPermanentRedirect"},
	"retry.go": {"StatusUnauthorized", "StatusInsufficientStorage", "StatusInternalServerError"},
	"send.go":  {"StatusOK"},
}

// Only implementations of protocol may name headers and statuses, so that another
// implementation changes no other file.
func TestProtocol_OnlySeamNamesHeadersAndStatuses(t *testing.T) {
	set, sources := parsePackage(t)
	names := map[string]bool{} // header fields and statuses
	for file, source := range sources {
		if !strings.HasPrefix(file, "protocol_tus") {
			continue
		}
		delete(sources, file)
		ast.Inspect(source, func(n ast.Node) bool {
			constant, ok := n.(*ast.ValueSpec)
			for i := 0; ok && i < len(constant.Names); i++ {
				if name := constant.Names[i].Name; strings.HasPrefix(name, "header") || strings.HasPrefix(name, "status") {
					names[name] = true
				}
			}
			return true
		})
	}
	if len(names) < 10 {
		t.Fatalf("found only %d names in protocol_tus*.go", len(names))
	}
	field := regexp.MustCompile(`\b(Upload|Tus)-[A-Z]`)
	for file, source := range sources {
		ast.Inspect(source, func(n ast.Node) bool {
			found := ""
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.Ident:
				if names[n.Name] {
					found = n.Name
				}
			case *ast.BasicLit:
				if n.Kind == token.STRING && field.MatchString(n.Value) {
					found = n.Value
				}
			case *ast.SelectorExpr:
				if strings.HasPrefix(n.Sel.Name, "Status") && isIdent(n.X, "http") && !slices.Contains(statusesOfHTTP[file], n.Sel.Name) {
					found = "http." + n.Sel.Name
				}
			}
			if found != "" {
				t.Errorf("%v: %s belongs into protocol_tus*.go", set.Position(n.Pos()), found)
			}
			return true
		})
	}
}

func isIdent(x ast.Expr, name string) bool {
	id, ok := x.(*ast.Ident)
	return ok && id.Name == name
}

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
)

// errorTable returns the rows of the error table in the package documentation: the errors,
// and whether a retry may help.
func errorTable(t *testing.T) map[string]string {
	t.Helper()
	rows := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^//\t(Err\w+) +(\w+)`).FindAllStringSubmatch(readFile(t, "tus/doc.go"), -1) {
		rows[m[1]] = m[2]
	}
	return rows
}

func TestErrorTable_ListsEveryError(t *testing.T) {
	var want []string
	for name := range exported(t, "tus") {
		if strings.HasPrefix(name, "Err") && name != "Error" && name != "Err" && !strings.Contains(name, ".") {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(errorTable(t))); len(want) < 15 || !slices.Equal(got, want) {
		t.Errorf("tus/doc.go has rows for %v\nwant %v", got, want)
	}
}

func TestErrorTable_AgreesWithIsRetryable(t *testing.T) {
	rows := errorTable(t)
	for name, statuses := range map[string][]int{
		"ErrTooLarge": {413}, "ErrUploadGone": {404, 410}, "ErrUnauthorized": {401, 403}, "ErrUnsupported": {405, 412}, "ErrChecksumMismatch": {460},
	} {
		for _, status := range statuses {
			if retryable := tus.IsRetryable(&tus.Error{StatusCode: status}); retryable != (rows[name] == "yes") {
				t.Errorf("%s: the table says %s, IsRetryable %v for %d", name, rows[name], retryable, status)
			}
		}
	}
}

// Every Go name in the inline code of the pages is exported by this module.
func TestPages_NamesExist(t *testing.T) {
	all := map[string]bool{}
	perPackage := map[string]map[string]bool{}
	for _, p := range packages {
		if dir, ours := strings.CutPrefix(p, module+"/"); ours {
			names := exported(t, dir)
			perPackage[filepath.Base(dir)] = names
			maps.Copy(all, names)
		}
	}
	qualified := regexp.MustCompile(`^([a-z]+)\.([A-Z]\w*(\.[A-Z]\w*)?)`)
	plain := regexp.MustCompile(`^[A-Z]\w*[a-z]\w*(\.[A-Z]\w*)*`)
	// Names of HTTP and of the standard library.
	others := []string{"Location", "ETag", "DialContext", "TLSClientConfig", "InsecureSkipVerify", "GetProxyConnectHeader"}
	checked := 0
	for _, path := range append(guides(t), "SECURITY.md", changelog) {
		if path == comparison { // which has names of other clients
			continue
		}
		p := read(t, path)
		if path == readme {
			before, rest, _ := strings.Cut(p.prose, "\n## Compared\n")
			_, after, _ := strings.Cut(rest, "\n## ")
			p.prose = before + after
		}
		for _, code := range p.code() {
			if m := qualified.FindStringSubmatch(code); m != nil && perPackage[m[1]] != nil {
				checked++
				if !perPackage[m[1]][m[2]] {
					t.Errorf("%s: `%s`: package %s has no %s", path, code, m[1], m[2])
				}
				continue
			}
			name := plain.FindString(code)
			switch {
			case name == "", slices.Contains(others, name), strings.HasPrefix(code[len(name):], "-"):
			case strings.HasPrefix(name, "Test"), strings.HasPrefix(name, "Fuzz"): // see TestSecurity_ClaimsNameTests
			default:
				if checked++; !all[name] {
					t.Errorf("%s: `%s`: no package exports %s", path, code, name)
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("found only %d names", checked)
	}
}

// exported returns the exported constants, variables, types, functions, methods and fields
// of the package in dir: methods and fields both with and without their type.
func exported(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(inRepository(t, dir) + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no package in %s: %v", dir, err)
	}
	names := map[string]bool{}
	member := func(typ, name string) {
		if ast.IsExported(typ) && ast.IsExported(name) {
			names[name], names[typ+"."+name] = true, true
		}
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range tree.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil {
					names[decl.Name.Name] = true
					continue
				}
				member(baseType(decl.Recv.List[0].Type), decl.Name.Name)
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.ValueSpec:
						for _, name := range spec.Names {
							names[name.Name] = true
						}
					case *ast.TypeSpec:
						names[spec.Name.Name] = true
						for _, field := range fields(spec.Type) {
							for _, name := range field.Names {
								member(spec.Name.Name, name.Name)
							}
						}
					}
				}
			}
		}
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool { return !ast.IsExported(name) })
	return names
}

// baseType returns the name of a receiver's type.
func baseType(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if name, ok := e.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// fields returns the fields of a struct, or the methods of an interface.
func fields(typ ast.Expr) []*ast.Field {
	switch typ := typ.(type) {
	case *ast.StructType:
		return typ.Fields.List
	case *ast.InterfaceType:
		return typ.Methods.List
	}
	return nil
}

// The file map of CONTRIBUTING.md lists exactly the files of package tus.
func TestFileMap_HasEveryFile(t *testing.T) {
	var patterns []string
	name := regexp.MustCompile("`([a-z_*]+\\.go)`")
	for _, row := range regexp.MustCompile("(?m)^\\| `[a-z_*]+\\.go`[^|]*\\|").FindAllString(read(t, contributing).prose, -1) {
		for _, m := range name.FindAllStringSubmatch(row, -1) {
			patterns = append(patterns, m[1])
		}
	}
	files, err := fs.Glob(os.DirFS(inRepository(t, "tus")), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
	matches := func(pattern, file string) bool {
		ok, err := filepath.Match(pattern, file)
		return ok && err == nil
	}
	for _, f := range files {
		if !slices.ContainsFunc(patterns, func(p string) bool { return matches(p, f) }) {
			t.Errorf("tus/%s is not in the map of CONTRIBUTING.md", f)
		}
	}
	for _, p := range patterns {
		if !slices.ContainsFunc(files, func(f string) bool { return matches(p, f) }) {
			t.Errorf("CONTRIBUTING.md describes %s, which tus does not have", p)
		}
	}
}

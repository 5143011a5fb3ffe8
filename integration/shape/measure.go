package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// library is the source of the root module, without tests.
type library struct {
	set   *token.FileSet
	files map[string][]*ast.File // by directory, relative to the root
	lines int
	kinds []string // lines of tus that test the kind of an upload
	state []string // lines of tus that assign a state outside of the setter enter
}

// kindTest matches code that tests the kind of an upload. The planner, which decides the
// kind, is exempt.
var kindTest = regexp.MustCompile(`\bu\.(parts|position|stream) [!=]= nil|\.(stream|external) [!=]= nil|\bu\.given\b|\.\(\*(transfer|parallel|ranged|streamed)\)`)

func load(root string) (*library, error) {
	lib := &library{set: token.NewFileSet(), files: map[string][]*ast.File{}}
	return lib, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			isModule := err == nil && name != "."
			if isModule || strings.HasPrefix(entry.Name(), ".") && name != "." {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		return lib.add(name, path)
	})
}

func (lib *library) add(name, path string) error {
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(lib.set, name, source, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := filepath.ToSlash(filepath.Dir(name))
	lib.files[dir] = append(lib.files[dir], file)
	lib.lines += bytes.Count(source, []byte("\n"))
	if dir != "tus" {
		return nil
	}
	for i, line := range strings.Split(string(source), "\n") {
		if code, _, _ := strings.Cut(line, "//"); kindTest.MatchString(code) && name != "tus/planner.go" {
			lib.kinds = append(lib.kinds, fmt.Sprintf("%s:%d", name, i+1))
		}
	}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name != "enter" {
			lib.addStateWrites(name, f)
		}
	}
	return nil
}

// addStateWrites adds the assignments to a field named state.
func (lib *library) addStateWrites(name string, f *ast.FuncDecl) {
	ast.Inspect(f, func(n ast.Node) bool {
		assignment, ok := n.(*ast.AssignStmt)
		for i := 0; ok && i < len(assignment.Lhs); i++ {
			if field, ok := assignment.Lhs[i].(*ast.SelectorExpr); ok && field.Sel.Name == "state" {
				lib.state = append(lib.state, fmt.Sprintf("%s:%d", name, lib.set.Position(n.Pos()).Line))
			}
		}
		return true
	})
}

func (lib *library) figures() []figure {
	fields, methods, lengths, branches := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for file := range lib.in("tus") {
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.GenDecl:
				countFields(d, fields)
			case *ast.FuncDecl:
				if receiver := receiverOf(d); receiver != "" {
					methods[receiver]++
				}
				name := strings.TrimPrefix(receiverOf(d)+"."+d.Name.Name, ".")
				lengths[name] = lib.set.Position(d.End()).Line - lib.set.Position(d.Pos()).Line + 1
				branches[name] = complexity(d)
			}
		}
	}
	names := map[string]int{}
	for dir := range lib.files {
		if !strings.Contains(dir, "internal") {
			for file := range lib.in(dir) {
				names[dir] += exported(file)
			}
		}
	}
	all := 0
	for _, n := range names {
		all += n
	}
	worst := func(name string, counts map[string]int, goal int) figure {
		where, n := largest(counts)
		return figure{name, n, goal, where}
	}
	return []figure{
		worst("fields of the largest struct", fields, 20),
		worst("methods of the largest type", methods, 35),
		worst("lines of the longest function", lengths, 60),
		worst("branches of the most complex function", branches, 15),
		{"tests of which kind of upload", len(lib.kinds), 0, strings.Join(lib.kinds[:min(3, len(lib.kinds))], " ")},
		{"writes of a state outside its setter", len(lib.state), 0, strings.Join(lib.state, " ")},
		{"exported names of tus", names["tus"], 150, ""},
		{"exported names of the module", all, 330, ""},
		{"lines of the library", lib.lines, 15_000, ""},
	}
}

func (lib *library) in(dir string) iter.Seq[*ast.File] {
	return func(yield func(*ast.File) bool) {
		for _, file := range lib.files[dir] {
			if !yield(file) {
				return
			}
		}
	}
}

// countFields counts the fields of structs, except for options.
func countFields(d *ast.GenDecl, fields map[string]int) {
	for _, spec := range d.Specs {
		named, ok := spec.(*ast.TypeSpec)
		if !ok || strings.HasSuffix(named.Name.Name, "Options") {
			continue
		}
		if s, ok := named.Type.(*ast.StructType); ok {
			for _, field := range s.Fields.List {
				fields[named.Name.Name] += max(1, len(field.Names))
			}
		}
	}
}

func receiverOf(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// complexity returns the cyclomatic complexity of a function: one, plus one for each
// branch.
func complexity(d *ast.FuncDecl) int {
	n := 1
	ast.Inspect(d, func(node ast.Node) bool {
		switch x := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.CaseClause:
			if x.List != nil {
				n++
			}
		case *ast.CommClause:
			if x.Comm != nil {
				n++
			}
		case *ast.BinaryExpr:
			if x.Op == token.LAND || x.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}

// exported counts the exported names of a file: at package level, methods and fields.
func exported(file *ast.File) (n int) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if receiver := receiverOf(d); d.Name.IsExported() && (receiver == "" || ast.IsExported(receiver)) {
				n++
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						n += 1 + exportedFields(s.Type)
					}
				case *ast.ValueSpec:
					for _, name := range s.Names {
						if name.IsExported() {
							n++
						}
					}
				}
			}
		}
	}
	return n
}

// exportedFields counts the exported fields of a struct and the methods of an interface.
func exportedFields(t ast.Expr) (n int) {
	var list *ast.FieldList
	switch t := t.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return 0
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			if name.IsExported() {
				n++
			}
		}
	}
	return n
}

package main

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// Targets of links within the repository exist, and so do the packages, names and
// examples that links to pkg.go.dev refer to. Other hosts are not contacted.
func TestLinks_TargetsExist(t *testing.T) {
	const documentation = "https://pkg.go.dev/" + module
	count := 0
	for _, file := range allPages(t) {
		for _, m := range link.FindAllStringSubmatch(inlineCode.ReplaceAllString(read(t, file).prose, "code"), -1) {
			count++
			target, fragment, _ := strings.Cut(m[1], "#")
			switch dir, ours := strings.CutPrefix(target, documentation); {
			case ours && strings.HasPrefix(dir+"/", "/"):
				if fragment == "" {
					dependOn(t, strings.TrimPrefix(dir, "/"))
				} else if !documented(t, strings.TrimPrefix(dir, "/"))[fragment] {
					t.Errorf("%s: package %s has no #%s", file, strings.TrimPrefix(dir, "/"), fragment)
				}
			case strings.HasPrefix(target, "https://"):
				if u, err := url.Parse(m[1]); err != nil || u.Host == "" {
					t.Errorf("%s: %s is not a URL: %v", file, m[1], err)
				}
			default:
				if err := linked(t, file, target, fragment); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
	}
	if count < 50 {
		t.Errorf("found only %d links", count)
	}
}

// linked returns an error if a page has no such target: a file or directory, and if there
// is a fragment, a heading in it.
func linked(t *testing.T, page, target, fragment string) error {
	file := page
	if target != "" {
		file = path.Join(path.Dir(page), target)
	}
	if _, err := os.Stat(inRepository(t, file)); err != nil {
		return err
	}
	if fragment != "" && !anchors(t, file)[fragment] {
		return fmt.Errorf("no heading for #%s in %s", fragment, file)
	}
	return nil
}

// anchors returns the anchors of the headings of a page, as GitHub forms them.
func anchors(t *testing.T, page string) map[string]bool {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(read(t, page).prose, -1) {
		heading := link.ReplaceAllString(m[1], "]")
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, heading)
		found[anchor] = true
	}
	return found
}

// documented returns the anchors of a package on pkg.go.dev: names, headings of the
// package comment, and examples.
func documented(t *testing.T, dir string) map[string]bool {
	t.Helper()
	set, files := token.NewFileSet(), []*ast.File{}
	names, err := filepath.Glob(inRepository(t, dir) + "/*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no package in %q: %v", dir, err)
	}
	for _, name := range names {
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	p, err := doc.NewFromFiles(set, files, module+"/"+dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for name := range exported(t, dir) {
		found[name] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^# (.+)$`).FindAllStringSubmatch(p.Doc, -1) {
		found["hdr-"+strings.ReplaceAll(m[1], " ", "_")] = true
	}
	examples := func(name string, list []*doc.Example) {
		for _, e := range list {
			id := "example-" + name
			if e.Suffix != "" {
				id += "-" + strings.ToUpper(e.Suffix[:1]) + e.Suffix[1:]
			}
			found[id] = true
		}
	}
	functions := func(receiver string, list []*doc.Func) {
		for _, f := range list {
			examples(receiver+f.Name, f.Examples)
		}
	}
	examples("package", p.Examples)
	functions("", p.Funcs)
	for _, typ := range p.Types {
		examples(typ.Name, typ.Examples)
		functions("", typ.Funcs)
		functions(typ.Name+".", typ.Methods)
	}
	return found
}

package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each claim in SECURITY.md names tests. Each named test exists in the directory after its
// name, or in tus if there is none.
func TestSecurity_ClaimsNameTests(t *testing.T) {
	text := readFile(t, "SECURITY.md")
	_, table, ok := strings.Cut(text, "| claim | tests |\n|---|---|\n")
	if !ok {
		t.Fatal("SECURITY.md has no table of claims")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	tests, claims := declaredTests(t), 0
	for row := range strings.SplitSeq(table, "\n") {
		_, named, _ := strings.Cut(strings.TrimSuffix(row, "|"), " | ")
		before := claims
		var pending []string
		for _, token := range regexp.MustCompile("`[^`]+`").FindAllString(named, -1) {
			if token = strings.Trim(token, "`"); strings.HasPrefix(token, "Test") || strings.HasPrefix(token, "Fuzz") {
				pending = append(pending, token)
				continue
			}
			for _, name := range pending { // token is the directory of the names before it
				if !tests[token][name] && !tests["tus"][name] {
					t.Errorf("%s is not in %s", name, token)
				}
			}
			claims += len(pending)
			pending = nil
		}
		for _, name := range pending {
			if !tests["tus"][name] {
				t.Errorf("%s is not in tus", name)
			}
		}
		if claims += len(pending); claims == before {
			t.Errorf("no test for the claim %s", row)
		}
	}
	if claims < 50 {
		t.Errorf("only %d tests are named", claims)
	}
	for _, name := range regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(text, -1) { // outside the table, too
		if !slices.ContainsFunc(slices.Collect(maps.Values(tests)), func(dir map[string]bool) bool { return dir[name[1]] }) {
			t.Errorf("there is no %s", name[1])
		}
	}
}

// declaredTests returns the names of tests and fuzz targets by directory.
func declaredTests(t *testing.T) map[string]map[string]bool {
	root := inRepository(t, ".")
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	tests := map[string]map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		dir = filepath.ToSlash(dir)
		if tests[dir] == nil {
			tests[dir] = map[string]bool{}
		}
		for _, m := range declared.FindAllStringSubmatch(string(source), -1) {
			tests[dir][m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

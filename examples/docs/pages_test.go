package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPages_AreShort(t *testing.T) {
	for path, most := range map[string]int{readme: 150, changelog: 40, contributing: 120} {
		if lines := strings.Count(readFile(t, path), "\n"); lines > most {
			t.Errorf("%s has %d lines, more than %d", path, lines, most)
		}
	}
}

func TestPages_HaveNoHTMLComments(t *testing.T) {
	for _, path := range allPages(t) {
		if !strings.HasPrefix(path, ".github/") && strings.Contains(read(t, path).prose, "<!--") { // not a form
			t.Errorf("%s has an HTML comment", path)
		}
	}
}

// No row of a table and no item of a list is in two pages.
func TestPages_RepeatNothing(t *testing.T) {
	seen := map[string]string{}
	for _, path := range allPages(t) {
		for line := range strings.Lines(read(t, path).prose) {
			line = strings.TrimSpace(line)
			if strings.Trim(line, "|-: ") == "" || !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "- ") {
				continue
			}
			if before, ok := seen[line]; ok && before != path {
				t.Errorf("%s and %s have the line %s", before, path, line)
			}
			seen[line] = path
		}
	}
}

// Each feature of docs/compare.md links to what shows it in this module, and has evidence
// for the other clients.
func TestComparison_EachFeatureHasEvidence(t *testing.T) {
	text := readFile(t, comparison)
	features, evidence := table(t, text, "Features"), table(t, text, "Evidence")
	if len(features) < 20 || len(features) != len(evidence) {
		t.Fatalf("%d rows of features, %d of evidence", len(features), len(evidence))
	}
	for i, row := range features {
		if row[1] != "no" && !strings.HasPrefix(row[1], "[") {
			t.Errorf("%s: %s is not a link", row[0], row[1])
		}
		if evidence[i][0] != row[0] || len(evidence[i]) != len(row)-1 || slices.Contains(evidence[i], "") {
			t.Errorf("the evidence of %s is %q", row[0], evidence[i])
		}
	}
}

// table returns the cells of the first table below a heading, without its header.
func table(t *testing.T, text, heading string) (rows [][]string) {
	t.Helper()
	_, text, ok := strings.Cut(text, "\n## "+heading+"\n")
	_, text, hasTable := strings.Cut(text, "|\n|---|")
	if !ok || !hasTable {
		t.Fatalf("no table below %s", heading)
	}
	text, _, _ = strings.Cut(text, "\n\n")
	for _, line := range strings.Split(text, "\n")[1:] {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i, cell := range cells {
			cells[i] = strings.TrimSpace(cell)
		}
		rows = append(rows, cells)
	}
	return rows
}

// The state diagram of docs/design.md has the transitions of the table in tus/state.go.
func TestStateDiagram_HasTheTransitions(t *testing.T) {
	want := transitions(t)
	if len(want) < 20 {
		t.Fatalf("found only %d transitions in tus/state.go", len(want))
	}
	for _, edge := range []string{
		"[*] → Idle", "Complete → [*]", "Failed → [*]", "Aborted → [*]",
		"Any → Paused", "Any → Failed", "Any → Aborted", // see State
	} {
		want[edge] = true
	}
	got := map[string]bool{}
	for _, b := range read(t, design).in("mermaid") {
		if strings.HasPrefix(b.text, "stateDiagram") {
			for _, m := range regexp.MustCompile(`(?m)^ +(\S+) --> ([^\s:]+)`).FindAllStringSubmatch(b.text, -1) {
				got[m[1]+" → "+m[2]] = true
			}
		}
	}
	for _, edge := range slices.Sorted(maps.Keys(want)) {
		if !got[edge] {
			t.Errorf("the diagram lacks %s", edge)
		}
	}
	for _, edge := range slices.Sorted(maps.Keys(got)) {
		if !want[edge] {
			t.Errorf("the diagram has %s, and tus/state.go has not", edge)
		}
	}
}

// transitions returns the rows of the function transitions in tus/state.go, as "From → To".
func transitions(t *testing.T) map[string]bool {
	t.Helper()
	dependOn(t, "tus")
	tree, err := parser.ParseFile(token.NewFileSet(), inRepository(t, "tus/state.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	edges := map[string]bool{}
	states := func(n ast.Node) (names []string) {
		ast.Inspect(n, func(n ast.Node) bool {
			if name, ok := n.(*ast.Ident); ok {
				if state, ok := strings.CutPrefix(name.Name, "State"); ok && state != "" {
					names = append(names, state)
				}
			}
			return true
		})
		return names
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		function, ok := n.(*ast.FuncDecl)
		if !ok {
			return true
		}
		if function.Name.Name == "transitions" {
			ast.Inspect(function, func(n ast.Node) bool {
				if clause, ok := n.(*ast.CaseClause); ok && len(clause.List) == 1 {
					for _, to := range states(&ast.BlockStmt{List: clause.Body}) {
						edges[states(clause.List[0])[0]+" → "+to] = true
					}
				}
				return true
			})
		}
		return false
	})
	return edges
}

// The help texts in docs/cli.md are those of tusup, and each command has one.
func TestCLIPage_HasHelpOfEveryCommand(t *testing.T) {
	t.Parallel()
	page, run := readFile(t, "docs/cli.md"), tusupHelp(t)
	fresh, err := withHelp(page, run)
	if err != nil {
		t.Fatal(err)
	}
	if fresh != page {
		t.Error("docs/cli.md is not up to date: run go generate in examples/docs")
	}
	all, err := run("--help")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(all, "Commands:\n")
	commands := regexp.MustCompile(`(?m)^  (\w+) `).FindAllStringSubmatch(list, -1)
	if len(commands) < 5 {
		t.Fatalf("tusup --help lists the commands %q", commands)
	}
	for _, m := range commands {
		if !strings.Contains(page, "\n$ tusup "+m[1]+" --help\n") {
			t.Errorf("docs/cli.md has no help of %s", m[1])
		}
		text, err := run(m[1], "--help")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range flag.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(page, " --"+f[1]) {
				t.Errorf("docs/cli.md has no flag --%s of %s", f[1], m[1])
			}
		}
	}
}

// Every program in examples has a command in examples/README.md.
func TestExamplesPage_HasEveryDirectory(t *testing.T) {
	page := readFile(t, "examples/README.md")
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() && name != "docs" && name != "internal" && name != "bin" && !strings.Contains(page, "]("+name+")") {
			t.Errorf("examples/README.md has no %s", name)
		}
	}
}

// tusupHelp builds tusup and returns a function that prints its help texts.
func tusupHelp(t *testing.T) func(args ...string) (string, error) {
	t.Helper()
	dependOn(t, "examples/tusup")
	tusup, err := buildTusup(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return func(args ...string) (string, error) { return help(tusup, args...) }
}

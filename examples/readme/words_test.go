package readme_test

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

// Each make target, tusup command and tusup flag in the documents exists.
func TestDocuments_CommandsExist(t *testing.T) {
	makefile, err := os.ReadFile(inRepository(t, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	dependOn(t, "examples/tusup")
	tusup := filepath.Join(t.TempDir(), "tusup.exe")
	if out, err := goTool(t, "..", "build", "-o", tusup, "./tusup"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	help := func(args ...string) string {
		out, err := command(t, "", tusup, append(args, "--help")...).Output()
		if err != nil {
			t.Fatalf("tusup %v --help: %v", args, err)
		}
		return string(out)
	}
	targets, flags := 0, 0
	for _, file := range []string{readme, contributing} {
		for _, line := range read(t, file).commands() {
			words := strings.Fields(line)
			for len(words) > 0 && strings.Contains(words[0], "=") { // variables
				words = words[1:]
			}
			if len(words) > 2 && words[0] == "go" && words[1] == "run" {
				words = words[2:]
			}
			if len(words) < 2 {
				continue
			}
			switch filepath.Base(words[0]) {
			case "make":
				targets++
				if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(words[1]) + `:`).Match(makefile) {
					t.Errorf("%s: %q: the Makefile has no such target", file, line)
				}
			case "tusup":
				var text string
				if regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(words[1]) + ` `).MatchString(help()) {
					text = help(words[1])
				} else {
					text = help("upload")
				}
				for _, word := range words[1:] {
					flag, _, _ := strings.Cut(word, "=")
					if strings.HasPrefix(flag, "--") {
						flags++
						if !regexp.MustCompile(regexp.QuoteMeta(flag) + `\b`).MatchString(text) {
							t.Errorf("%s: %q: tusup has no flag %s", file, line, flag)
						}
					}
				}
			}
		}
	}
	if targets < 3 || flags < 5 {
		t.Errorf("found only %d targets of make and %d flags of tusup", targets, flags)
	}
}

// errorTable returns the rows of the error table in the package documentation: the errors,
// and whether a retry may help.
func errorTable(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile(inRepository(t, "tus/doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^//\t(Err\w+) +(\w+)`).FindAllStringSubmatch(string(content), -1) {
		rows[m[1]] = m[2]
	}
	return rows
}

func TestErrorTable_ListsEveryError(t *testing.T) {
	var want []string
	for name := range exportedNames(t, "tus") {
		if strings.HasPrefix(name, "Err") && name != "Error" && name != "Err" {
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

// The state diagram of the README contains every state.
func TestStateDiagram_HasEveryState(t *testing.T) {
	var diagram string
	for _, b := range read(t, readme).in("mermaid") {
		if strings.HasPrefix(b.text, "stateDiagram") {
			diagram = strings.ToLower(b.text)
		}
	}
	for s := tus.StateIdle; !strings.HasPrefix(s.String(), "State("); s++ {
		if !regexp.MustCompile(`\b` + s.String() + `\b`).MatchString(diagram) {
			t.Errorf("the state %v is not in the diagram", s)
		}
	}
}

// Every Go name in the inline code of the README is exported by this module.
func TestReadme_NamesExist(t *testing.T) {
	all := map[string]bool{}
	perPackage := map[string]map[string]bool{}
	for _, p := range packages {
		if dir, ours := strings.CutPrefix(p, module); ours {
			names := exportedNames(t, dir[1:])
			perPackage[filepath.Base(dir)] = names
			maps.Copy(all, names)
		}
	}
	d := read(t, readme)
	before, rest, _ := strings.Cut(d.prose, "\n## Compared\n") // which has names of other clients
	_, after, _ := strings.Cut(rest, "\n## ")
	d.prose = before + after
	qualified := regexp.MustCompile(`^([a-z]+)\.([A-Z]\w*)`)
	plain := regexp.MustCompile(`^[A-Z]\w*[a-z]\w*(\.[A-Z]\w*)*`)
	// Terms of HTTP, and printed names of states.
	others := []string{"Location", "ETag", "Paused", "Failed", "Aborted", "Complete"}
	checked := 0
	for _, code := range d.code() {
		if m := qualified.FindStringSubmatch(code); m != nil && perPackage[m[1]] != nil {
			checked++
			if !perPackage[m[1]][m[2]] {
				t.Errorf("`%s`: package %s has no %s", code, m[1], m[2])
			}
			continue
		}
		name := plain.FindString(code)
		if name == "" || slices.Contains(others, name) || strings.HasPrefix(code[len(name):], "-") {
			continue
		}
		checked++
		for _, part := range strings.Split(name, ".") {
			if !all[part] {
				t.Errorf("`%s`: no package exports %s", code, part)
			}
		}
	}
	if checked < 50 {
		t.Errorf("found only %d names", checked)
	}
}

// exportedNames returns the exported constants, variables, types, functions, methods and
// fields of the package in dir.
func exportedNames(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(inRepository(t, dir) + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no package in %s: %v", dir, err)
	}
	names := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				names[n.Name.Name] = true
				return false
			case *ast.TypeSpec:
				names[n.Name.Name] = true
			case *ast.ValueSpec:
				for _, name := range n.Names {
					names[name.Name] = true
				}
				return false
			case *ast.Field:
				for _, name := range n.Names {
					names[name.Name] = true
				}
			}
			return true
		})
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool { return !ast.IsExported(name) })
	return names
}

// Targets of links within the repository exist.
func TestDocuments_LinkTargetsExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)]+)\)`)
	heading := regexp.MustCompile(`(?m)^#+ (.+)$`)
	for _, file := range []string{readme, contributing} {
		prose := read(t, file).prose
		anchors := map[string]bool{}
		for _, m := range heading.FindAllStringSubmatch(prose, -1) {
			anchors[anchor(m[1])] = true
		}
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			switch {
			case strings.HasPrefix(target, "https://"):
			case target == "":
				if !anchors[fragment] {
					t.Errorf("%s: no heading for #%s", file, fragment)
				}
			default:
				if _, err := os.Stat(inRepository(t, target)); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
	}
}

// anchor returns the anchor of a heading.
func anchor(heading string) string {
	kept := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(kept, " ", "-")
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

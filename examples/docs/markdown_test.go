package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// module is the path of the root module.
const module = "github.com/seed-175555ba/tus-go"

// Paths of pages in the repository.
const (
	readme       = "README.md"
	changelog    = "CHANGELOG.md"
	contributing = "CONTRIBUTING.md"
	design       = "docs/design.md"
	comparison   = "docs/compare.md"
)

// inRepository returns the path of a file of the repository. The path is not cleaned, so
// that it starts with the path of this module: the cache of go test only tracks opened
// files below it.
func inRepository(t *testing.T, path string) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return here + "/../../" + path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(inRepository(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// dependOn makes the cache of go test track a directory of the repository that is read by
// other programs than the test.
func dependOn(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(inRepository(t, dir) + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for _, f := range files {
		if _, err := os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
}

// allPages returns the paths of all Markdown files of the repository.
func allPages(t *testing.T) []string {
	t.Helper()
	var pages []string
	err := fs.WalkDir(os.DirFS(inRepository(t, ".")), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// guides returns the paths of the pages whose commands and names are checked.
func guides(t *testing.T) []string {
	t.Helper()
	pages := slices.DeleteFunc(allPages(t), func(path string) bool {
		return !strings.HasPrefix(path, "docs/") && !strings.HasPrefix(path, "examples/")
	})
	return append(pages, readme, contributing)
}

// page is a parsed Markdown file.
type page struct {
	path   string
	prose  string // without the blocks
	blocks []block
}

// block is a fenced code block.
type block struct {
	page     string
	line     int    // of the first line of text
	language string // after the fence
	text     string
}

func read(t *testing.T, path string) page {
	t.Helper()
	p := page{path: path}
	var prose strings.Builder
	var open *block
	for i, line := range strings.Split(readFile(t, path), "\n") {
		fence, isFence := strings.CutPrefix(strings.TrimLeft(line, " "), "```") // in a list, too
		switch {
		case isFence && open == nil:
			open = &block{page: path, line: i + 2, language: fence}
		case isFence:
			p.blocks = append(p.blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		default:
			prose.WriteString(line + "\n")
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: block is not closed", path, open.line)
	}
	p.prose = prose.String()
	return p
}

// in returns the blocks in any of the languages.
func (p page) in(languages ...string) []block {
	return slices.DeleteFunc(slices.Clone(p.blocks), func(b block) bool { return !slices.Contains(languages, b.language) })
}

var inlineCode = regexp.MustCompile("`([^`]+)`")

// code returns the inline code of the prose, each on one line.
func (p page) code() []string {
	var found []string
	for _, m := range inlineCode.FindAllStringSubmatch(p.prose, -1) {
		found = append(found, strings.ReplaceAll(m[1], "\n", " "))
	}
	return found
}

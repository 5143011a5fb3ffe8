package readme_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Paths of the documents in the repository.
const (
	readme       = "README.md"
	contributing = "CONTRIBUTING.md"
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

// document is a parsed Markdown file.
type document struct {
	prose  string // without the blocks
	blocks []block
}

// block is a fenced code block.
type block struct {
	line     int    // of the first line of text
	language string // after the fence
	given    string // parameters of the function around the snippet
	text     string
}

// given matches the comment on the line before a fence that declares the variables of a
// snippet: <!-- given: ctx context.Context, client *tus.Client -->.
var given = regexp.MustCompile(`^<!-- given: (.+) -->$`)

func read(t *testing.T, path string) document {
	t.Helper()
	content, err := os.ReadFile(inRepository(t, path))
	if err != nil {
		t.Fatal(err)
	}
	var d document
	var prose strings.Builder
	var open *block
	before := ""
	for i, line := range strings.Split(string(content), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &block{line: i + 2, language: fence}
			if m := given.FindStringSubmatch(before); m != nil {
				open.given = m[1]
			}
		case isFence:
			d.blocks = append(d.blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		default:
			prose.WriteString(line + "\n")
		}
		before = line
	}
	if open != nil {
		t.Fatalf("%s:%d: block is not closed", path, open.line)
	}
	d.prose = prose.String()
	return d
}

// in returns the blocks in any of the languages.
func (d document) in(languages ...string) []block {
	var found []block
	for _, b := range d.blocks {
		for _, l := range languages {
			if b.language == l {
				found = append(found, b)
			}
		}
	}
	return found
}

var inlineCode = regexp.MustCompile("`([^`]+)`")

// code returns the inline code of the prose, each on one line.
func (d document) code() []string {
	var found []string
	for _, m := range inlineCode.FindAllStringSubmatch(d.prose, -1) {
		found = append(found, strings.ReplaceAll(m[1], "\n", " "))
	}
	return found
}

// commands returns the commands of the document: the lines of its shell blocks without
// prompt, comment and output, split at pipes, and the inline code of its prose.
func (d document) commands() []string {
	var found []string
	for _, b := range d.in("sh", "console") {
		for line := range strings.Lines(b.text) {
			line, prompt := strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if b.language == "console" && !prompt {
				continue
			}
			line, _, _ = strings.Cut(line, " #")
			found = append(found, strings.Split(line, "|")...)
		}
	}
	return append(found, d.code()...)
}

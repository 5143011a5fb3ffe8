package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sample = `package tus

type Uploader struct {
	a, b int
	C    string
}

type SendOptions struct{ A, B, C, D, E, F int }

func (u *Uploader) enter() {
	u.state = 1
}

func (u *Uploader) Step(x []int) int {
	for range x {
		if u.parts != nil && len(x) > 1 {
			u.state = 2
		}
	}
	return 0
}
`

func TestFigures_OfSample(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"tus/a.go": sample, "tus/a_test.go": strings.Replace(sample, "Uploader", "Other", -1), "examples/b.go": "package b\n\ntype B struct{}\n",
		"examples/go.mod": "module example.org/examples\n", // another module does not count
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lib, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{
		"fields of the largest struct": 3, "methods of the largest type": 2, "lines of the longest function": 8,
		"branches of the most complex function": 4, "tests of which kind of upload": 1, "writes of a state outside its setter": 1,
		"exported names of tus": 10, "exported names of the module": 10, "lines of the library": strings.Count(sample, "\n"),
	}
	figures := lib.figures()
	for _, f := range figures {
		if f.value != want[f.name] {
			t.Errorf("%s is %d, want %d", f.name, f.value, want[f.name])
		}
	}
	if err := compare(figures, want); err != nil {
		t.Error(err)
	}
	want["lines of the library"]--
	if err := compare(figures, want); err == nil {
		t.Error("a figure above the recorded one was accepted")
	}
}

package main

import "github.com/seed-175555ba/tus-go/examples/tusup/internal/progress"

// showProgress starts the display of --progress for files. Further output is printed above
// it.
func showProgress(mode string, p *program, files []file) *progress.Display {
	d := progress.New(progress.Options{Mode: progress.Mode(mode), Output: p.stderr})
	for _, f := range files {
		d.Expect(1, f.size)
	}
	p.display.Store(d)
	return d
}

// shownName is the name of a file in the display.
func (f file) shownName() string {
	if f.stdin {
		return "stdin" // a - next to figures is hard to read
	}
	return f.path
}

package main

import (
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/progress"
	"github.com/seed-175555ba/tus-go/tus"
)

// showProgress starts the display of --progress for files. Further output is printed above
// it.
func (o *output) showProgress(mode string, files []file) {
	bytes, sized := int64(0), true
	for _, f := range files {
		bytes += f.size
		sized = sized && f.size >= 0
	}
	if sized {
		o.counter.Expect(len(files), bytes)
	}
	totals := func() tus.BatchProgress {
		t := o.counter.Progress()
		t.Files = len(files) // the counter has only those that have started, if a size is unknown
		return t
	}
	o.progress = progress.New(progress.Options{Mode: progress.Mode(mode), Output: o.stderr, Totals: totals})
	o.display.Store(o.progress)
}

// shownName is the name of a file in the display.
func (f file) shownName() string {
	if f.stdin {
		return "stdin" // a - next to figures is hard to read
	}
	return f.path
}

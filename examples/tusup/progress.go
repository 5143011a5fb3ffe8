package main

import (
	"sync"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/progress"
	"github.com/seed-175555ba/tus-go/tus"
)

// fileDisplay shows the progress of the files of the command line.
type fileDisplay struct {
	*progress.Display

	mu    sync.Mutex
	items map[int]*progress.Item // in flight, by number of the file
}

// showProgress starts the display of --progress. Further output is printed above it.
func showProgress(mode string, p *program, files []file) *fileDisplay {
	d := &fileDisplay{
		Display: progress.New(progress.Options{Mode: progress.Mode(mode), Output: p.stderr}),
		items:   map[int]*progress.Item{},
	}
	for _, f := range files {
		d.Expect(1, f.size)
	}
	p.display.Store(d.Display)
	return d
}

// start shows a file and returns the hooks that update it.
func (d *fileDisplay) start(f file) tus.Hooks {
	name := f.path
	if f.stdin {
		name = "stdin" // a - next to figures is hard to read
	}
	item := d.Start(name, f.size)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.items[f.number] = item
	return item.Hooks()
}

// end records the end of a file.
func (d *fileDisplay) end(f file, result *tus.Result, err error) {
	d.mu.Lock()
	item := d.items[f.number]
	delete(d.items, f.number)
	d.mu.Unlock()
	item.End(result.Size, err)
}

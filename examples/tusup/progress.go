package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/seed-175555ba/tus-go/tus"
)

// display shows the progress of all uploads.
type display interface {
	show(s snapshot)
	// hide removes the display before other output, and restore shows it again.
	hide()
	restore()
	// interval is the time between two calls of show.
	interval() time.Duration
}

// progress adds up the progress of all files, for a display that is updated at intervals.
// A nil *progress shows nothing.
type progress struct {
	closing chan struct{}
	closed  sync.WaitGroup

	// screen is separate from mu, so that no upload waits for a slow terminal.
	screen  sync.Mutex
	display display
	over    bool // after close

	mu      sync.Mutex
	files   []fileProgress // by number
	active  []int          // numbers of the files in flight, in the order of their start
	done    int
	failed  int
	sent    int64 // by all files
	size    int64 // of the files of known size
	unsized int   // number of files of unknown size
	moved   int64 // bytes sent by this session, without lost bytes
	rate    movingRate
}

type fileProgress struct {
	name           string
	started, ended bool
	counted        bool  // in progress.moved
	sent           int64 // bytes acknowledged or in flight
	size           int64 // -1 if unknown
}

// newProgress starts the display of --progress. auto is a bar on a terminal, else lines.
func newProgress(mode string, p *program, files []file) *progress {
	fd := int(p.stderr.Fd())
	if mode == "auto" {
		mode = "plain"
		if term.IsTerminal(fd) && os.Getenv("TERM") != "dumb" {
			mode = "bar"
		}
	}
	switch mode {
	case "none":
		return nil
	case "bar":
		return startProgress(files, newBar(p.stderr, func() int { return terminalColumns(fd) }, files))
	}
	return startProgress(files, &plainLines{w: p.stderr})
}

// startProgress shows progress until it is closed.
func startProgress(files []file, d display) *progress {
	p := &progress{display: d, closing: make(chan struct{})}
	for _, f := range files {
		name := f.path
		if f.stdin {
			name = "stdin" // a - next to figures is hard to read
		}
		p.files = append(p.files, fileProgress{name: name, size: f.size})
		p.size += max(0, f.size)
		if f.size < 0 {
			p.unsized++
		}
	}
	p.closed.Go(p.run)
	return p
}

// run updates the display at intervals, also if no bytes move: the rate falls then.
func (p *progress) run() {
	tick := time.NewTicker(p.display.interval())
	defer tick.Stop()
	for {
		select {
		case <-p.closing:
			return
		case <-tick.C:
		}
		s := p.snapshot(time.Now())
		if len(s.active)+s.done+s.failed == 0 {
			continue // no upload has started
		}
		p.screen.Lock()
		p.display.show(s)
		p.screen.Unlock()
	}
}

// update records the progress of a file.
func (p *progress) update(f file, now tus.Progress) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	file := &p.files[f.number]
	if file.ended {
		return
	}
	at := time.Now()
	if !file.started {
		file.started = true
		p.active = append(p.active, f.number)
		p.rate.add(at, p.moved)
	}
	sent := now.Acknowledged + now.InFlight
	if !file.counted && sent > 0 {
		// Bytes acknowledged before the first is sent are from earlier sessions.
		file.counted = true
		p.moved -= now.Acknowledged
	}
	size := now.Size
	if now.SizeUnknown {
		size = -1
	}
	p.moved += sent - file.sent
	p.set(file, sent, size)
	p.rate.add(at, p.moved)
}

// finish records the end of a file. A failed file is removed from the totals.
func (p *progress) finish(f file, result *tus.Result, err error) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		return // a paused file keeps its progress
	}
	file := &p.files[f.number]
	file.ended = true
	p.active = slices.DeleteFunc(p.active, func(n int) bool { return n == f.number })
	if err != nil {
		p.failed++
		p.set(file, 0, 0)
		return
	}
	p.done++
	if file.counted {
		p.moved += result.Size - file.sent
	}
	p.set(file, result.Size, result.Size)
	p.rate.add(time.Now(), p.moved)
}

// set updates a file and the totals.
func (p *progress) set(file *fileProgress, sent, size int64) {
	p.sent += sent - file.sent
	p.size += max(0, size) - max(0, file.size)
	if file.size < 0 {
		p.unsized--
	}
	if size < 0 {
		p.unsized++
	}
	file.sent, file.size = sent, size
}

// snapshot returns the current progress.
func (p *progress) snapshot(now time.Time) snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := snapshot{files: len(p.files), done: p.done, failed: p.failed, sent: p.sent, size: p.size}
	if p.unsized > 0 {
		s.size = -1
	}
	s.rate, s.measured = p.rate.perSecond(now)
	for _, n := range p.active {
		s.active = append(s.active, p.files[n])
	}
	return s
}

// withoutDisplay calls print while the display is hidden.
func (p *progress) withoutDisplay(print func()) {
	if p == nil {
		print()
		return
	}
	p.screen.Lock()
	defer p.screen.Unlock()
	if p.over {
		print()
		return
	}
	p.display.hide()
	print()
	p.display.restore()
}

// close removes the display.
func (p *progress) close() {
	if p == nil {
		return
	}
	close(p.closing)
	p.closed.Wait()
	p.screen.Lock()
	defer p.screen.Unlock()
	p.over = true
	p.display.hide()
}

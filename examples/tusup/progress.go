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

// display shows how far the uploads are.
type display interface {
	show(s snapshot)
	// hide makes way for what else is printed, and back undoes it.
	hide()
	back()
	// interval is the time between two calls of show.
	interval() time.Duration
}

// progress adds up how far each file is, for a display that is renewed at
// intervals. A nil *progress shows nothing.
type progress struct {
	closing chan struct{}
	closed  sync.WaitGroup

	// screen is its own lock, so that no upload waits for a slow terminal.
	screen  sync.Mutex
	display display
	over    bool

	mu      sync.Mutex
	files   []fileProgress // by number
	active  []int          // numbers of the files under way, in the order of their begin
	done    int
	failed  int
	sent    int64 // of all files
	size    int64 // of those whose size is known
	endless int   // files whose size is not
	moved   int64 // bytes that this session sent, without those that got lost
	rate    rateMeter
}

type fileProgress struct {
	name         string
	begun, ended bool
	counted      bool  // in what moved
	sent         int64 // what is confirmed or on its way
	size         int64 // -1 if unknown
}

// newProgress decides what is shown: a bar on a terminal, lines elsewhere.
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
			name = "stdin" // a - beside figures would be a riddle
		}
		p.files = append(p.files, fileProgress{name: name, size: f.size})
		p.size += max(0, f.size)
		if f.size < 0 {
			p.endless++
		}
	}
	p.closed.Go(p.run)
	return p
}

// run renews the display. It does so too when nothing moves, as the rate falls
// then.
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
			continue // files are still looked at
		}
		p.screen.Lock()
		p.display.show(s)
		p.screen.Unlock()
	}
}

// update takes over how far a file is.
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
	if !file.begun {
		file.begun = true
		p.active = append(p.active, f.number)
		p.rate.note(at, p.moved)
	}
	sent := now.Acknowledged + now.InFlight
	if !file.counted && sent > 0 {
		// What is confirmed before the first byte leaves is from earlier sessions.
		file.counted = true
		p.moved -= now.Acknowledged
	}
	size := now.Size
	if now.SizeUnknown {
		size = -1
	}
	p.moved += sent - file.sent
	p.set(file, sent, size)
	p.rate.note(at, p.moved)
}

// finish takes over what became of a file. One that failed counts no longer, as
// nobody waits for its bytes.
func (p *progress) finish(f file, result *tus.Result, err error) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		return // all of them end, where they are
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
	p.rate.note(time.Now(), p.moved)
}

// set keeps the sums.
func (p *progress) set(file *fileProgress, sent, size int64) {
	p.sent += sent - file.sent
	p.size += max(0, size) - max(0, file.size)
	if file.size < 0 {
		p.endless--
	}
	if size < 0 {
		p.endless++
	}
	file.sent, file.size = sent, size
}

// snapshot is the state now.
func (p *progress) snapshot(now time.Time) snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := snapshot{files: len(p.files), done: p.done, failed: p.failed, sent: p.sent, size: p.size}
	if p.endless > 0 {
		s.size = -1
	}
	s.rate, s.measured = p.rate.rate(now)
	for _, n := range p.active {
		s.active = append(s.active, p.files[n])
	}
	return s
}

// suspend takes the display away while something else is printed.
func (p *progress) suspend(print func()) {
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
	p.display.back()
}

// close takes the display away for good.
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

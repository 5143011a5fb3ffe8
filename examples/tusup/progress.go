package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/rivo/uniseg"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/seed-175555ba/tus-go/tus"
)

// plainInterval is the time between two lines of progress.
const plainInterval = 2 * time.Second

// progress shows how far all files together are. A nil *progress shows nothing.
type progress struct {
	bar    *progressbar.ProgressBar // nil for lines
	stderr io.Writer

	mu    sync.Mutex
	sent  map[string]int64 // by file, what is confirmed or on its way
	total int64            // -1 if unknown
	sum   int64
	told  time.Time
	over  bool
}

// newProgress decides what is shown: a bar on a terminal, lines elsewhere.
func newProgress(mode string, p *program, files []file) *progress {
	fd := int(p.stderr.Fd())
	if mode == "auto" {
		mode = "plain"
		if term.IsTerminal(fd) {
			mode = "bar"
		}
	}
	if mode == "none" {
		return nil
	}
	now := &progress{stderr: p.stderr, told: time.Now(), sent: map[string]int64{}}
	for _, f := range files {
		if f.size < 0 || now.total < 0 {
			now.total = -1
			continue
		}
		now.total += f.size
	}
	if mode == "bar" {
		width, _, err := term.GetSize(fd)
		if err != nil {
			width = 80
		}
		now.bar = newBar(p.stderr, now.total, title(files, width), width)
	}
	return now
}

// timeColumns is the width of a terminal that has room for times beside the bar.
const timeColumns = 60

func newBar(w io.Writer, total int64, title string, width int) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(title),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowTotalBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetWidth(10),
		progressbar.OptionFullWidth(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(width >= timeColumns),
		progressbar.OptionSetElapsedTime(width >= timeColumns),
	)
}

// title leaves room for the rest of the bar on a terminal of that width.
func title(files []file, width int) string {
	if len(files) > 1 {
		return fmt.Sprintf("%d files", len(files))
	}
	return shorten(oneLine(lastSegment(files[0].name())), min(max(6, width-32), 24))
}

// shorten cuts s to a number of columns on the terminal, of which some letters
// take two.
func shorten(s string, columns int) string {
	if uniseg.StringWidth(s) <= columns {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && uniseg.StringWidth(string(runes))+1 > columns {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// update takes over how far a file is.
func (p *progress) update(f file, now tus.Progress) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.sum += now.Sent - p.sent[f.name()]
	p.sent[f.name()] = now.Sent
	if p.bar != nil {
		_ = p.bar.Set64(max(0, p.sum)) // fails only beyond its end
		return
	}
	if time.Since(p.told) < plainInterval {
		return
	}
	p.told = time.Now()
	if p.total > 0 {
		fmt.Fprintf(p.stderr, "%s of %s, %d %%\n", bytesText(p.sum), bytesText(p.total), p.sum*100/p.total)
	} else {
		fmt.Fprintf(p.stderr, "%s\n", bytesText(p.sum))
	}
}

// suspend takes the bar away while something else is printed.
func (p *progress) suspend(print func()) {
	if p == nil || p.bar == nil {
		print()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		print()
		return
	}
	_ = p.bar.Clear()
	print()
	_ = p.bar.RenderBlank()
}

func (p *progress) close() {
	if p == nil || p.bar == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	_ = p.bar.Clear()
	_ = p.bar.Exit()
}

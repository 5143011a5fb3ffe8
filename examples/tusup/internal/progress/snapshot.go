package progress

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
)

// snapshot is the progress of all files at one moment.
type snapshot struct {
	files, done, failed int

	sent     int64 // bytes acknowledged or in flight
	size     int64 // -1 if unknown
	rate     float64
	measured bool           // rate is known
	active   []fileProgress // files in flight, in the order of their start
}

// fileProgress is the progress of a file in flight.
type fileProgress struct {
	item   *Item
	name   string
	sent   int64
	size   int64 // -1 if unknown
	reason reason
	waits  bool // for reason
}

// allWait reports whether no file moves: rate and time left then have no meaning.
func (s snapshot) allWait() bool {
	return len(s.active) > 0 && !slices.ContainsFunc(s.active, func(f fileProgress) bool { return !f.waits })
}

// percent returns the percentage of sent bytes, -1 if it is undefined. It is at most 99:
// a file is complete only when the server acknowledges it.
func percent(sent, size int64) int {
	if size <= 0 {
		return -1
	}
	return min(max(0, int(float64(sent)*100/float64(size))), 99)
}

// percentText returns the percentage of sent bytes, "" if it is undefined.
func percentText(sent, size int64) string {
	if p := percent(sent, size); p >= 0 {
		return fmt.Sprintf("%d %%", p)
	}
	return ""
}

// totals are the texts about all files. Those that do not apply are empty.
type totals struct{ count, failed, part, rate, left string }

func (s snapshot) totals() totals {
	t := totals{part: percentText(s.sent, s.size)}
	if s.files > 1 {
		t.count = fmt.Sprintf("%d of %d files", s.done, s.files)
	}
	if s.failed > 0 {
		t.failed = fmt.Sprintf("%d failed", s.failed)
	}
	if !s.allWait() {
		t.rate, t.left = s.rateText(), s.leftText()
	}
	return t
}

// bytesOf returns the number of sent bytes, and the size if it is known.
func bytesOf(sent, size int64) string {
	if size < 0 {
		return text.Bytes(sent)
	}
	return text.Bytes(sent) + " of " + text.Bytes(size)
}

// shortBytes is bytesOf with one unit, if both have the same.
func shortBytes(sent, size int64) string {
	number, unit, _ := strings.Cut(text.Bytes(sent), " ")
	if of := text.Bytes(size); size >= 0 && strings.HasSuffix(of, " "+unit) {
		return number + " of " + of
	}
	return bytesOf(sent, size)
}

// rateText returns the rate, "" while it is unknown.
func (s snapshot) rateText() string {
	if !s.measured {
		return ""
	}
	return text.Bytes(int64(s.rate)) + "/s"
}

// maxLeft is the longest time left that is shown. A longer one means that the link
// stalls.
const maxLeft = 100 * 24 * time.Hour

// leftText returns the time left, "" if it is unknown.
func (s snapshot) leftText() string {
	if s.size < 0 || !s.measured || s.sent >= s.size {
		return ""
	}
	seconds := math.Ceil(float64(s.size-s.sent) / s.rate) // infinite if the rate is 0
	if seconds > maxLeft.Seconds() {
		return ""
	}
	return text.Duration(time.Duration(seconds)*time.Second) + " left"
}

// shortName returns the name without directories, escaped.
func (f fileProgress) shortName() string {
	name := f.name[strings.LastIndexAny(f.name, `/\`)+1:]
	if name == "" {
		name = f.name
	}
	return text.Line(name)
}

// joined joins the texts that are not empty.
func joined(texts ...string) string {
	var b strings.Builder
	for _, t := range texts {
		if t != "" && b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(t)
	}
	return b.String()
}

package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// snapshot is how far all files are at one moment.
type snapshot struct {
	files, done, failed int

	sent     int64 // what is confirmed or on its way
	size     int64 // -1 if unknown
	rate     float64
	measured bool           // rate is known
	active   []fileProgress // files under way, the first to begin first
}

// percent is the part that is done; -1 if there is none to tell. The last
// percent is not sent but confirmed, and then nothing is under way.
func percent(sent, size int64) int {
	if size <= 0 {
		return -1
	}
	return min(max(0, int(float64(sent)*100/float64(size))), 99)
}

// bytes is what is there of what there is to be.
func (s snapshot) bytes() string {
	if s.size < 0 {
		return bytesText(s.sent)
	}
	return bytesText(s.sent) + " of " + bytesText(s.size)
}

// rateText is empty as long as there is no rate.
func (s snapshot) rateText() string {
	if !s.measured {
		return ""
	}
	return bytesText(int64(s.rate)) + "/s"
}

// longestLeft is the longest time that is told as one. A rate so low is that of
// a link which stands still.
const longestLeft = 100 * 24 * time.Hour

// leftText is the time that the rest takes; empty if that cannot be known.
func (s snapshot) leftText() string {
	if s.size < 0 || !s.measured || s.sent >= s.size {
		return ""
	}
	seconds := math.Ceil(float64(s.size-s.sent) / s.rate) // infinite where nothing moves
	if seconds > longestLeft.Seconds() {
		return ""
	}
	return timeText(time.Duration(seconds)*time.Second) + " left"
}

// timeText is d for people, in whole seconds and at most two units.
func timeText(d time.Duration) string {
	two := func(n time.Duration, unit string, rest time.Duration, small string) string {
		if rest == 0 {
			return fmt.Sprintf("%d %s", n, unit)
		}
		return fmt.Sprintf("%d %s %d %s", n, unit, rest, small)
	}
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return two(d/time.Minute, "min", d%time.Minute/time.Second, "s")
	case d < day:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "min")
	}
	return two(d/day, "d", d%day/time.Hour, "h")
}

// joined is the texts that are not empty.
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

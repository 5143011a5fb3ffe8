package main

import (
	"fmt"
	"math"
	"strings"
	"time"
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

// percent returns the percentage of sent bytes, -1 if it is undefined. It is at most 99:
// a file is complete only when the server acknowledges it.
func percent(sent, size int64) int {
	if size <= 0 {
		return -1
	}
	return min(max(0, int(float64(sent)*100/float64(size))), 99)
}

// bytes returns the number of sent bytes, and the size if it is known.
func (s snapshot) bytes() string {
	if s.size < 0 {
		return bytesText(s.sent)
	}
	return bytesText(s.sent) + " of " + bytesText(s.size)
}

// rateText returns the rate, "" while it is unknown.
func (s snapshot) rateText() string {
	if !s.measured {
		return ""
	}
	return bytesText(int64(s.rate)) + "/s"
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
	return timeText(time.Duration(seconds)*time.Second) + " left"
}

// timeText formats d in whole seconds, with at most two units.
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

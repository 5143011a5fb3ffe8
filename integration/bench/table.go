package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// writeTable writes the results as a Markdown table. Each time has its ratio.
func writeTable(out io.Writer, results []result) {
	fmt.Fprintln(out, "| workload | server | client | wall | × baseline | CPU | × baseline | peak RSS | requests | bytes sent |")
	fmt.Fprintln(out, "|---|---|---|--:|--:|--:|--:|--:|--:|--:|")
	for _, r := range results {
		title, server := r.workload.title, string(r.workload.server)
		for _, row := range r.rows {
			fmt.Fprintf(out, "| %s | %s | %s |", title, server, rowText(row, r.workload))
			fmt.Fprintln(out)
			title, server = "", "" // only in the first row
		}
	}
}

func rowText(r row, w workload) string {
	name := r.name
	if strings.HasPrefix(name, nameTus) && !strings.HasPrefix(name, nameTusJS) {
		name = "**" + name + "**"
	}
	cells := []string{name}
	if r.wall == 0 {
		cells = append(cells, "failed", "", "", "", "", "", "")
		return strings.Join(cells, " | ")
	}
	cells = append(cells,
		timeText(r.wall), ratioText(r.wallRatio), timeText(r.cpu), ratioText(r.cpuRatio),
		megabytes(r.rss), fmt.Sprint(r.requests), shareText(r.bytes, w))
	return strings.Join(cells, " | ")
}

func timeText(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func ratioText(r float64) string {
	switch {
	case r == 0:
		return "–"
	case r >= 10:
		return fmt.Sprintf("%.1f", r)
	}
	return fmt.Sprintf("%.2f", r)
}

func megabytes(n int64) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/float64(mib))
}

// shareText formats a number of bytes as a multiple of the payload.
func shareText(n int64, w workload) string {
	payload := w.size * int64(max(1, w.files))
	return fmt.Sprintf("%.3f × payload", float64(n)/float64(payload))
}

// writeFlat writes the memory of this library by file size.
func writeFlat(out io.Writer, f flatness) {
	fmt.Fprintln(out, "| tus-go, a sparse file to the sink | peak RSS |")
	fmt.Fprintln(out, "|---|--:|")
	for _, at := range f.sizes {
		fmt.Fprintf(out, "| %s | %s |\n", bytesText(at.size), megabytes(at.rss))
	}
	fmt.Fprintf(out, "| an idle process of the same program | %s |\n", megabytes(f.idle))
}

// writeGoals writes the goals and the measured values.
func writeGoals(out io.Writer, goals []goal) {
	fmt.Fprintln(out, "| goal | measured | |")
	fmt.Fprintln(out, "|---|--:|---|")
	for _, g := range goals {
		word := "met"
		if !g.met {
			word = "**missed**"
		}
		fmt.Fprintf(out, "| %s | %s | %s |\n", g.text, g.measured, word)
	}
}

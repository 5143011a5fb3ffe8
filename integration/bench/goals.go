package main

import (
	"fmt"
	"math"
	"slices"
)

// goal is a bound on a ratio or on memory.
type goal struct {
	text     string
	measured string
	met      bool
}

// maxRSS is the bound on the memory of an upload.
const maxRSS = 40 * mib

// judge returns the goals that were measured, and whether they were met.
func judge(results []result, flat flatness) []goal {
	var goals []goal
	atMost := func(text string, value, bound float64) {
		goals = append(goals, goal{fmt.Sprintf("%s ≤ %.2f", text, bound), fmt.Sprintf("%.2f", value), value > 0 && value <= bound})
	}
	atLeast := func(text string, value, bound float64) {
		goals = append(goals, goal{fmt.Sprintf("%s ≥ %.1f", text, bound), fmt.Sprintf("%.2f", value), value >= bound})
	}
	most := int64(0)
	for _, r := range results {
		ours, ok := r.row(nameTus)
		if !ok {
			goals = append(goals, goal{r.workload.id + " completes", "failed", false})
			continue
		}
		if r.workload.files == 0 {
			most = max(most, ours.rss)
		}
		switch r.workload.id {
		case "whole-sink":
			atMost("whole file to the sink: wall time / baseline", ours.wallRatio, 1.05)
			atMost("whole file to the sink: CPU / baseline", ours.cpuRatio, 1.10)
			if copying, ok := r.row(nameHTTP); ok {
				atLeast("whole file to the sink: wall time of a copying client / ours", copying.wallRatio/ours.wallRatio, 2)
			}
			if curl, ok := r.row(nameCurl); ok {
				atLeast("whole file to the sink: wall time of curl / ours", curl.wallRatio/ours.wallRatio, 1)
			}
			if other := r.bestOther(); !math.IsInf(other, 1) {
				atLeast("whole file to the sink: wall time of the best other client that can resume / ours", other/ours.wallRatio, 2)
			}
		case "chunks-sink":
			atMost("8 MiB chunks to the sink: wall time / baseline", ours.wallRatio, 1.10)
		case "digest-sink":
			atMost("whole file with its sha256: wall time / baseline that hashes beside", ours.wallRatio, 1.10)
		case "small-sink":
			atLeast("small files to the sink: throughput / best other client that can resume", r.bestOther()/ours.wallRatio, 3)
		case "small-tusd":
			atLeast("small files to tusd: throughput / best other client that can resume", r.bestOther()/ours.wallRatio, 2)
		case "shaped-tusd":
			if parts, ok := r.row(partsName(nameTus, r.workload.parts)); ok {
				atLeast("long link: throughput of 4 parts / single", ours.wallRatio/parts.wallRatio, 3.5)
			}
		case "cut-tusd":
			atMost("cut connections: bytes sent / file size", float64(ours.bytes)/float64(r.workload.size), 1.02)
		}
	}
	if most > 0 {
		goals = append(goals, goal{"peak RSS with any file < 40 MiB", megabytes(most), most < maxRSS})
	}
	if len(flat.sizes) > 1 {
		goals = append(goals, flat.goal())
	}
	return goals
}

// flatness is the memory of this library for files of several sizes.
type flatness struct {
	sizes []memoryAt
	idle  int64 // of a process that does nothing
}

type memoryAt struct{ size, rss int64 }

// goal tolerates the noise of the garbage collector.
func (f flatness) goal() goal {
	const noise = 4 * mib
	byRSS := func(a, b memoryAt) int { return int(a.rss - b.rss) }
	least, most := slices.MinFunc(f.sizes, byRSS), slices.MaxFunc(f.sizes, byRSS)
	text := fmt.Sprintf("peak RSS flat from %s to %s", bytesText(f.sizes[0].size), bytesText(f.sizes[len(f.sizes)-1].size))
	return goal{text, fmt.Sprintf("%s to %s", megabytes(least.rss), megabytes(most.rss)), most.rss-least.rss <= noise && most.rss < maxRSS}
}

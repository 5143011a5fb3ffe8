package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// flatID is the id of the memory measurement for -only.
const flatID = "flat"

// bench measures and publishes the results. It returns the errors of failed clients
// after everything else was measured.
func bench(ctx context.Context, o options) error {
	in, files := filesDir(o)
	dir, err := os.MkdirTemp(in, "tus-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.profile != "" {
		if o.profile, err = filepath.Abs(o.profile); err != nil {
			return err
		}
		if err := os.MkdirAll(o.profile, 0o700); err != nil {
			return err
		}
	}
	others, notes, err := peers(ctx, dir)
	if err != nil {
		return err
	}
	for _, note := range notes {
		fmt.Fprintln(os.Stderr, "bench:", note)
	}
	clients := append(ourClients(), others...)

	var results []result
	var failures error
	for _, w := range workloads(o.quick) {
		if !o.only.MatchString(w.id) {
			continue
		}
		r, err := runContest(ctx, w, clients, dir, o)
		if err != nil {
			return fmt.Errorf("%s: %w", w.id, err)
		}
		for _, row := range r.rows {
			if row.failure != nil {
				failures = errors.Join(failures, fmt.Errorf("%s: %s: %w", w.id, row.name, row.failure))
			}
		}
		results = append(results, r)
	}
	var flat flatness
	if o.only.MatchString(flatID) {
		if flat, err = measureFlatness(ctx, dir, o); err != nil {
			return fmt.Errorf("%s: %w", flatID, err)
		}
	}
	if err := publish(o, append(notes, conditions(o, files)...), results, flat); err != nil {
		return err
	}
	return failures
}

func runContest(ctx context.Context, w workload, clients []client, dir string, o options) (result, error) {
	c := &contest{workload: w, source: filepath.Join(dir, "source"), dir: filepath.Join(dir, w.id)}
	defer os.RemoveAll(c.source)
	if err := makeSource(c.source, w); err != nil {
		return result{}, err
	}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return result{}, err
	}
	defer c.end()
	if err := c.begin(clients, o.profile); err != nil {
		return result{}, err
	}
	start := time.Now()
	for number := range o.runs {
		if err := c.round(ctx, number); err != nil {
			return result{}, err
		}
	}
	fmt.Fprintf(os.Stderr, "bench: %s took %v\n", w.id, time.Since(start).Round(time.Second))
	return summarize(c), nil
}

func makeSource(path string, w workload) error {
	if w.files > 0 {
		return makeFiles(path, w.files, w.size)
	}
	return makeFile(path, w.size)
}

// measureFlatness measures the peak memory for files of very different sizes.
func measureFlatness(ctx context.Context, dir string, o options) (flatness, error) {
	sizes := []int64{64 * mib, gib, 8 * gib}
	if o.quick {
		sizes = []int64{64 * mib, gib}
	}
	s, err := startServer(serverConfig{})
	if err != nil {
		return flatness{}, err
	}
	defer s.stop()
	path := filepath.Join(dir, "sparse")
	defer os.Remove(path)
	var f flatness
	for _, size := range sizes {
		if err := sparseFile(path, size); err != nil {
			return f, err
		}
		rss, err := peakOf(ctx, nameTus, task{Endpoint: s.endpoint, File: path, Size: size})
		if err != nil {
			return f, err
		}
		f.sizes = append(f.sizes, memoryAt{size, rss})
	}
	f.idle, err = peakOf(ctx, nameIdle, task{})
	return f, err
}

func sparseFile(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// peakOf returns the median peak memory of a few runs.
func peakOf(ctx context.Context, name string, t task) (int64, error) {
	const runs = 3
	var peaks []float64
	for range runs {
		s, err := measure(ctx, selfClient(name)(t))
		if err != nil {
			return 0, err
		}
		peaks = append(peaks, float64(s.rss))
	}
	return int64(median(peaks)), nil
}

// filesDir returns the directory for sources and stores, and a note about it. It
// prefers memory: the speed of a disk dominates with many files, and varies between
// runs.
func filesDir(o options) (dir, text string) {
	if o.dir != "" {
		return o.dir, "files in the directory of -dir"
	}
	if dir := memoryDir(); dir != "" {
		return dir, "files in memory (tmpfs), so that no disk is measured"
	}
	return "", "files in the directory for temporary files: its disk is measured too"
}

// conditions returns the notes on how the numbers were measured.
func conditions(o options, files string) []string {
	c := []string{
		fmt.Sprintf("%s on %s/%s, %d CPUs; tusd %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), tusdVersion()),
		networkText() + "; " + files,
		fmt.Sprintf("medians of %d rounds; in each round every client runs once, as a separate process, timed from start to exit; "+
			"a ratio is the median over the rounds of the client's cost divided by the baseline's cost in the same round", o.runs),
		"compare ratios only: absolute numbers depend on the machine, which also runs the servers",
		"requests and bytes are counted at the server, or at the proxy in front of it",
	}
	if o.quick {
		c = append(c, "**-quick: small files and few runs; process starts weigh too much**")
	}
	return c
}

func tusdVersion() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, module := range info.Deps {
			if strings.HasSuffix(module.Path, "/tusd/v2") {
				return module.Version
			}
		}
	}
	return "v2"
}

// publish prints the tables, and writes the files of -o and -chart.
func publish(o options, notes []string, results []result, flat flatness) error {
	var text bytes.Buffer
	writeTable(&text, results)
	fmt.Fprintln(&text)
	if len(flat.sizes) > 0 {
		writeFlat(&text, flat)
		fmt.Fprintln(&text)
	}
	for _, note := range notes {
		fmt.Fprintf(&text, "- %s\n", note)
	}
	fmt.Fprintln(&text)
	writeGoals(&text, judge(results, flat))
	if _, err := io.Copy(os.Stdout, bytes.NewReader(text.Bytes())); err != nil {
		return err
	}
	if o.table != "" {
		if err := os.WriteFile(o.table, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	if o.chart == "" || len(results) == 0 {
		return nil
	}
	return writeChart(o.chart, results)
}

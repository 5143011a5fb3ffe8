// Command shape measures the structure of the library: the size of its types and
// functions, and of the library itself. With -check it fails if a figure is above the
// recorded one, so that figures only fall. With -record it records the figures.
//
//	go run ./shape [-check | -record] (in integration)
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// figure is one measured number.
type figure struct {
	name  string
	value int
	goal  int    // the maximum of the design
	where string // the type or function
}

func main() {
	check := flag.Bool("check", false, "fail if a figure is above the recorded one")
	record := flag.Bool("record", false, "record the figures")
	flag.Parse()
	if err := run("..", *check, *record); err != nil {
		fmt.Fprintln(os.Stderr, "shape:", err)
		os.Exit(1)
	}
}

func run(root string, check, record bool) error {
	lib, err := load(root)
	if err != nil {
		return err
	}
	figures := lib.figures()
	path := filepath.Join(root, "integration", "shape", "recorded.json")
	recorded, err := read(path)
	if err != nil && !record {
		return err
	}
	print(figures, recorded)
	switch {
	case record:
		return write(path, figures)
	case check:
		return compare(figures, recorded)
	}
	return nil
}

func print(figures []figure, recorded map[string]int) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "figure\tnow\trecorded\tgoal\twhere")
	for _, f := range figures {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", f.name, f.value, recorded[f.name], f.goal, f.where)
	}
	w.Flush()
}

func compare(figures []figure, recorded map[string]int) error {
	for _, f := range figures {
		if limit, ok := recorded[f.name]; !ok || f.value > limit {
			return fmt.Errorf("%s is %d (%s), recorded is %d: reduce it, or record it with a reason", f.name, f.value, f.where, limit)
		}
	}
	return nil
}

func read(path string) (map[string]int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	recorded := map[string]int{}
	return recorded, json.Unmarshal(data, &recorded)
}

func write(path string, figures []figure) error {
	recorded := map[string]int{}
	for _, f := range figures {
		recorded[f.name] = f.value
	}
	data, err := json.MarshalIndent(recorded, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// largest returns the entry with the highest count.
func largest(counts map[string]int) (where string, n int) {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b))
	})
	if len(names) == 0 {
		return "", 0
	}
	return names[0], counts[names[0]]
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, errIsolated) { // the child has printed the reason
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

// errIsolated is returned when bench failed in the child with the separate network.
var errIsolated = errors.New("bench in a separate network")

// The roles of child processes of this program.
const (
	roleServe    = "serve"
	roleMeasure  = "measure"
	roleUpload   = "upload"
	roleIsolated = "isolated" // bench with a separate network
	roleProbe    = "probe"    // exits with 0 if a separate network is possible
)

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == roleServe:
		var c serverConfig
		if err := json.Unmarshal([]byte(args[1]), &c); err != nil {
			return err
		}
		return serve(c, os.Stdin, os.Stdout)
	case len(args) == 2 && args[0] == roleMeasure:
		var o order
		if err := json.Unmarshal([]byte(args[1]), &o); err != nil {
			return err
		}
		return stopwatch(ctx, o, os.Stdin, os.Stdout)
	case len(args) == 3 && args[0] == roleUpload:
		var t task
		if err := json.Unmarshal([]byte(args[2]), &t); err != nil {
			return err
		}
		return upload(ctx, args[1], t)
	}
	isIsolated := len(args) > 0 && args[0] == roleIsolated
	if isIsolated || len(args) == 1 && args[0] == roleProbe {
		if err := configureNetwork(); err != nil || !isIsolated {
			return err
		}
		args = args[1:]
	}
	o, err := parseFlags(args)
	if err != nil {
		return err
	}
	if !isIsolated {
		ran, err := benchIsolated(ctx, args)
		if ran {
			return err
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	return bench(ctx, o)
}

// options are the command-line flags.
type options struct {
	quick   bool
	runs    int
	dir     string // for sources and stores; empty for memory, or the directory for temporary files
	only    *regexp.Regexp
	table   string // path of a copy of the output
	chart   string // path of the chart
	profile string // directory for the profiles of this library
}

func parseFlags(args []string) (options, error) {
	var o options
	var only string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.quick, "quick", false, "smaller files and fewer runs: a functional check, not a measurement")
	flags.IntVar(&o.runs, "runs", 0, "runs of each client (default 5, with -quick 3)")
	flags.StringVar(&only, "only", "", "workloads whose id matches this regular `expression`")
	flags.StringVar(&o.dir, "dir", "", "`directory` for sources and stores (default in memory, if there is room)")
	flags.StringVar(&o.table, "o", "", "also write the Markdown to this `file`")
	flags.StringVar(&o.chart, "chart", "", "write a chart in SVG to this `file`")
	flags.StringVar(&o.profile, "profile", "", "write CPU and allocation profiles of tus-go to this `directory`, which slows it down")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.runs < 0 {
		return o, fmt.Errorf("negative -runs: %d", o.runs)
	}
	if o.runs == 0 {
		o.runs = 5
		if o.quick {
			o.runs = 3
		}
	}
	var err error
	o.only, err = regexp.Compile(only)
	return o, err
}

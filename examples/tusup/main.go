// Command tusup uploads files, directories and standard input to a tus server, and
// resumes interrupted uploads when it is run again. It is a complete command line.
//
//	go run ./tusup --endpoint URL FILE|DIR|-
//	go run ./tusup --help
//
// flags.go has the commands and flags, settings.go and config.go their values that are not on
// the command line, and credentials.go which credentials an origin gets. An upload goes through
// upload.go, select.go (which files), prepare.go (their metadata and digests), output.go and
// interrupt.go (what is printed). The other commands are in files of their names; list and
// forget in records.go, info, terminate and capabilities in commands.go.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/progress"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// program has the standard streams.
type program struct {
	stdin, stderr *os.File
	stdout        *results
	// display, if non-nil, shows progress on standard error.
	display atomic.Pointer[progress.Display]
}

// logf writes a line to standard error.
func (p *program) logf(format string, args ...any) {
	text := oneLine(fmt.Sprintf(format, args...))
	fmt.Fprintf(aboveDisplay{p, p.stderr}, "tusup: %s\n", text)
}

// aboveDisplay writes whole lines to a file, above the progress display if there is one.
type aboveDisplay struct {
	program *program
	file    *os.File
}

func (a aboveDisplay) Write(lines []byte) (int, error) {
	return a.program.display.Load().Above(a.file).Write(lines)
}

// results is standard output. It keeps the first write error: a program that reads the
// results would miss some of them.
type results struct {
	w io.Writer

	mu  sync.Mutex
	err error
}

func (r *results) Write(data []byte) (int, error) {
	n, err := r.w.Write(data)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
	return n, err
}

func (r *results) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// errFailed ends the program with exitFailed. The reason was already printed.
var errFailed = errors.New("failed")

// usageError is an error in the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	// A closed pipe must not end the uploads: the write fails instead.
	signal.Ignore(syscall.SIGPIPE)
	p := &program{stdin: os.Stdin, stderr: os.Stderr}
	p.stdout = &results{w: aboveDisplay{p, os.Stdout}}
	var cli flags
	exited, code := false, exitOK
	parser, err := newParser(&cli, p, func(c int) { exited, code = true, c })
	if err != nil {
		p.logf("%v", err)
		return exitUsage
	}
	command, err := parser.Parse(withRemote(parser.Model, args))
	if exited { // after --help
		return code
	}
	ctx, stop := interruptible(p)
	defer stop()
	if err != nil {
		err = usageError{parseError(err)}
	} else if err = checkUsed(command); err == nil {
		command.BindTo(ctx, (*context.Context)(nil))
		err = command.Run(&cli.common)
	}
	if lost := p.stdout.failure(); lost != nil {
		p.logf("standard output: %v", lost)
		err = cmp.Or(err, errFailed)
	}
	wantsJSON := cli.JSON || slices.Contains(args, "--json") // flags are not set if another one is wrong
	if wantsJSON && err != nil && !errors.Is(err, errFailed) {
		_ = report.Write(p.stdout, report.Failure{Error: errorOf(err)}) // p.stdout keeps the error
	}
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		p.logf("%v", cli.settings.withOrigin(err))
		return exitUsage
	case ctx.Err() != nil:
		return exitInterrupted
	case !errors.Is(err, errFailed):
		p.logf("%v", err)
	}
	return exitFailed
}

// errorOf returns an error for programs.
func errorOf(err error) *report.Error {
	e := report.ErrorOf(err)
	if errors.As(err, new(usageError)) {
		e.Kind = report.KindUsage
	}
	return e
}

// newParser returns the parser of the command line. exit is called after --help and
// --version, which do not end the program.
func newParser(cli *flags, p *program, exit func(int)) (*kong.Kong, error) {
	parser, err := kong.New(cli,
		kong.Name("tusup"),
		kong.Description(description()),
		kong.Vars{"version": versionText()},
		kong.DefaultEnvars("TUS"),
		kong.ExplicitGroups(flagGroups()),
		kong.Help(helpOfUsedFlags),
		kong.UsageOnError(),
		kong.KindMapper(reflect.String, kong.MapperFunc(anyBytes)),
		kong.Exit(exit),
		kong.Writers(p.stdout, p.stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
		kong.Bind(p),
	)
	if err != nil {
		return nil, err
	}
	for _, f := range allFlags(parser.Model.Node) {
		// Only settings reads the variables: kong takes an empty one as a value, and has
		// the value in its errors, which may be secret.
		f.Tag.Envs = nil
	}
	return parser, nil
}

// anyBytes decodes an argument without a change. kong decodes through JSON, which
// replaces bytes that are not UTF-8: that would be the name of another file.
func anyBytes(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	target.SetString(fmt.Sprint(token.Value))
	return nil
}

// parseError returns an error of kong for people. It does not repeat an unexpected argument,
// which may be a URL with a secret.
func parseError(err error) error {
	const stray = "unexpected argument"
	switch text := err.Error(); {
	case strings.HasPrefix(text, stray):
		return errors.New(stray + "; see --help")
	case strings.HasPrefix(text, "unknown flag -") && !strings.HasPrefix(text, "unknown flag --"):
		return errors.New(text + "; a file whose name begins with - is written ./-NAME")
	}
	return err
}

// interruption is the cause of the end of a context.
type interruption struct{ os.Signal }

func (i interruption) Error() string { return i.String() }
func (interruption) Unwrap() error   { return context.Canceled }

// interruptible returns a context that ends with the first SIGINT or SIGTERM, whose cause is
// then an interruption. The second ends the program.
func interruptible(p *program) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		first := <-signals
		logged := make(chan struct{})
		go func() { // blocks while standard error is not read
			p.logf("pausing; interrupt again to exit at once")
			close(logged)
		}()
		select {
		case <-logged:
		case <-time.After(time.Second):
		case <-signals:
			os.Exit(exitInterrupted)
		}
		cancel(interruption{first})
		<-signals
		os.Exit(exitInterrupted)
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// Command tusup uploads files, folders and standard input to a tus server, and
// goes on where it was when it is started again. Without a server it starts a
// tusd of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// program is what a command works with.
type program struct {
	stdin, stderr *os.File
	stdout        *results
	// aside, if not nil, prints while the progress bar is out of the way.
	aside atomic.Pointer[func(print func())]
}

// logf writes a line about what goes on.
func (p *program) logf(format string, args ...any) {
	text := oneLine(fmt.Sprintf(format, args...))
	p.apart(func() { fmt.Fprintf(p.stderr, "tusup: %s\n", text) })
}

// apart prints where no bar is in the way.
func (p *program) apart(print func()) {
	if aside := p.aside.Load(); aside != nil {
		(*aside)(print)
		return
	}
	print()
}

// results is standard output. It remembers the first failure to write to it,
// as a program that reads the results would miss some.
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

// errFailed ends the program with exitFailed; why has been said already.
var errFailed = errors.New("failed")

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	// A reader that goes away must not end the upload: the write fails instead.
	signal.Ignore(syscall.SIGPIPE)
	p := &program{stdin: os.Stdin, stdout: &results{w: os.Stdout}, stderr: os.Stderr}
	var cli flags
	exited, code := false, exitOK
	parser, err := kong.New(&cli,
		kong.Name("tusup"),
		kong.Description("Uploads to a tus server, and goes on where it was when it is started again.\n\n"+
			"tusup [flags] FILE|DIR|- ... uploads; tusup upload --help lists the flags for that. A file that is named like a command "+
			"is written ./info.\n\n"+
			"Sizes are bytes, or have a unit: 512KiB, 8MiB, 5MB. TUS_TOKEN (a bearer token) and TUS_HEADERS (\"Name: value\" lines) "+
			"from the environment go to the origin of the endpoint and to each --trusted-origin, and to no other: not to a URL that is "+
			"named without either."),
		kong.Vars{"version": versionText()},
		kong.UsageOnError(),
		kong.KindMapper(reflect.String, kong.MapperFunc(anyBytes)),
		kong.Exit(func(c int) { exited, code = true, c }),
		kong.Writers(p.stdout, p.stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
	)
	if err != nil {
		p.logf("%v", err)
		return exitUsage
	}
	command, err := parser.Parse(args)
	if exited { // after --help
		return code
	}
	if err != nil {
		p.logf("%s", parseErrorText(err))
		return exitUsage
	}
	ctx, stop := interruptible(p)
	defer stop()
	command.BindTo(ctx, (*context.Context)(nil))
	err = command.Run(p, &cli.common)
	lost := p.stdout.failure()
	if lost != nil {
		p.logf("standard output: %v", lost)
	}
	if err == nil && lost != nil {
		err = errFailed
	}
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		p.logf("%v", err)
		return exitUsage
	case ctx.Err() != nil:
		return exitInterrupted
	case !errors.Is(err, errFailed):
		p.logf("%v", err)
	}
	return exitFailed
}

// anyBytes takes an argument as it is. What kong does by itself goes through JSON,
// which replaces bytes that are not UTF-8: that would be the name of another file.
func anyBytes(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	target.SetString(fmt.Sprint(token.Value))
	return nil
}

// parseErrorText words what kong says about the command line. It repeats no
// argument that has no place, as that may be a URL with a secret in it.
func parseErrorText(err error) string {
	const stray = "unexpected argument"
	if strings.HasPrefix(err.Error(), stray) {
		return stray + "; see --help"
	}
	return err.Error()
}

// interruptible returns a context that ends with the first SIGINT or SIGTERM.
// The second ends the program.
func interruptible(p *program) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		told := make(chan struct{})
		go func() { // it waits for as long as nobody reads the output
			p.logf("interrupted, pausing; once more to exit at once")
			close(told)
		}()
		select {
		case <-told:
		case <-time.After(time.Second):
		case <-signals:
			os.Exit(exitInterrupted)
		}
		cancel()
		<-signals
		os.Exit(exitInterrupted)
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}

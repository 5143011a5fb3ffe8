package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// description is the text above the commands in tusup --help.
func description() string {
	return "Uploads to a tus server, and resumes interrupted uploads when it is run again.\n\n" +
		"tusup [flags] FILE|DIR|- ... uploads; tusup upload --help lists the flags for that."
}

// notes are the paragraphs below the flags in tusup --help.
func notes() []string {
	return []string{
		"Sizes are in bytes, or have a unit: 512KiB, 8MiB, 8M (the same), 5MB. If a file has the name of a command, write it with a " +
			"directory: ./info.",
		"A flag that is not on the command line has the value of its environment variable: that of --chunk-size is TUS_CHUNK_SIZE, " +
			"and a flag that may be repeated has one value per line. After that comes the configuration file, with the name of each " +
			"flag as key. The argument @NAME selects the table [remotes.NAME] of this file, with its endpoint and credentials; a file of " +
			"this name is ./@NAME.",
		"The environment variables TUS_TOKEN (a bearer token) and TUS_HEADERS (\"Name: value\" lines) are sent only to the origin of " +
			"the endpoint and to each --trusted-origin. They are not sent to the endpoint of a remote, unless it has the origin of TUS_ENDPOINT.",
		"Exit codes: 0 if everything succeeded, 1 if an upload or a request failed, 2 if the command line, an environment variable or the " +
			"configuration file is wrong, 130 if it was interrupted; the uploads can then be resumed.",
	}
}

// helpCommand prints the help text of a command.
type helpCommand struct {
	Command string `arg:"" optional:"" name:"COMMAND" help:"Command; without it, help lists all."`
}

// Run prints the text.
func (h *helpCommand) Run(ctx *kong.Context) error {
	args := []string{"--help"}
	if h.Command != "" {
		known := slices.ContainsFunc(ctx.Model.Children, func(n *kong.Node) bool {
			return n.Name == h.Command || slices.Contains(n.Aliases, h.Command)
		})
		if !known {
			return usagef("no command %s", h.Command)
		}
		args = []string{h.Command, "--help"}
	}
	// The exit of the parser is recorded and does not end the program. An error is of a
	// missing argument, after the text.
	_, _ = ctx.Kong.Parse(args)
	return nil
}

// unusedFlags returns the flags of the program that a command does not use.
func unusedFlags(app *kong.Application, command *kong.Node) []*kong.Flag {
	if command == nil || !command.Tag.Has("uses") {
		return nil
	}
	used := strings.Split(command.Tag.Get("uses"), ",")
	return slices.DeleteFunc(slices.Clone(app.Flags), func(f *kong.Flag) bool {
		return f.Group == nil || slices.Contains(used, f.Group.Key)
	})
}

// helpOfUsedFlags prints the help text of a command without the flags that it ignores, and
// that of the program with the notes.
func helpOfUsedFlags(options kong.HelpOptions, ctx *kong.Context) error {
	for _, f := range unusedFlags(ctx.Model, ctx.Selected()) {
		f.Hidden = true
	}
	err := kong.DefaultHelpPrinter(options, ctx)
	if err != nil || ctx.Selected() != nil {
		return err
	}
	for _, note := range notes() {
		if _, err := fmt.Fprintf(ctx.Stdout, "\n%s\n", wrapped(note, "")); err != nil {
			return err
		}
	}
	return nil
}

// checkUsed returns a usage error if a flag on the command line is not one of the command.
func checkUsed(ctx *kong.Context) error {
	unused := unusedFlags(ctx.Model, ctx.Selected())
	for _, path := range ctx.Path {
		if path.Flag != nil && !path.Resolved && slices.Contains(unused, path.Flag) {
			return usagef("--%s cannot be used with %s", path.Flag.Name, ctx.Selected().Name)
		}
	}
	return nil
}

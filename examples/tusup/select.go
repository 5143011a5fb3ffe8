package main

import (
	"context"
	"io"
	"os"
	"slices"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/digest"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/files"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/progress"
	"github.com/seed-175555ba/tus-go/tus"
)

// selection are the flags that select files.
type selection struct {
	Include   []string `help:"Upload only files that match this glob. Without a slash it is matched against the name, else against the path relative to the directory. May be repeated." placeholder:"GLOB" sep:"none"`
	Exclude   []string `help:"Do not upload files and directories that match this glob, even if they match --include. May be repeated." placeholder:"GLOB" sep:"none"`
	FilesFrom string   `help:"Also upload the files in this list, one path a line; - reads the list from standard input." placeholder:"FILE"`
	NUL       bool     `help:"The paths of --files-from are separated by NUL, as find -print0 prints them." name:"null" short:"0"`
	Hidden    string   `help:"What to do with files and directories in a directory whose names begin with a dot: ${enum}." enum:"upload,skip" default:"upload"`
	Follow    bool     `help:"Follow links to directories in a directory. Links to files are always followed."`
	Special   string   `help:"What to do with named pipes, sockets and devices in a directory: ${enum}. fail uploads the other files." enum:"fail,skip" default:"fail"`
}

// file is a file to upload, or standard input.
type file struct {
	path     string
	relative string // to the directory on the command line
	stdin    bool
	size     int64 // -1 if unknown
	number   int   // index among the files to upload

	shown  *progress.Item // nil until the upload starts
	digest *digest.File   // nil without --digest, and for standard input
	sum    string         // the digest of a complete upload
}

// name returns the name on the command line.
func (f file) name() string {
	if f.stdin {
		return "-"
	}
	return f.path
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// filter returns the filter of the flags.
func (s *selection) filter() files.Filter {
	return files.Filter{Include: s.Include, Exclude: s.Exclude, SkipHidden: s.Hidden == "skip"}
}

// checkSelection returns a usage error for flags that select files.
func (s *selection) checkSelection(args []string) error {
	for flag, filter := range map[string]files.Filter{"--include": {Include: s.Include}, "--exclude": {Exclude: s.Exclude}} {
		if err := filter.Validate(); err != nil {
			return usagef("%s: %w", flag, err)
		}
	}
	switch {
	case len(args) == 0 && s.FilesFrom == "":
		return usagef(`expected "<FILE> ..." or --files-from; see tusup --help`)
	case s.FilesFrom == "-" && slices.Contains(args, "-"):
		return usagef("--files-from -: standard input is the list, and cannot be uploaded as well")
	case s.NUL && s.FilesFrom == "":
		return usagef("--null requires --files-from")
	}
	return nil
}

// selectFiles returns the files to upload, of args and of --files-from. It reports those that cannot be uploaded before
// any request.
func (s *selection) selectFiles(ctx context.Context, args []string, out *output) ([]file, error) {
	list, err := s.readList(ctx, out)
	if err != nil {
		return nil, err
	}
	selected, err := files.Select(ctx, args, files.Options{
		List: list, Filter: s.filter(), FollowLinks: s.Follow, SkipSpecial: s.Special == "skip",
	})
	if err != nil {
		return nil, err
	}
	for _, e := range selected.Errors {
		out.result(file{path: e.Path}, &tus.Result{}, e.Err)
	}
	if text := selected.Skipped.String(); text != "" {
		out.logf("skipped: %s", text)
	}
	var all []file
	for _, f := range selected.Files {
		all = append(all, file{path: f.Path, relative: f.Relative, stdin: f.Stdin, size: f.Size, number: len(all)})
	}
	if len(all) == 0 && len(selected.Errors) == 0 {
		out.logf("no files to upload")
	}
	return all, nil
}

// withoutManifest returns the files without that of --manifest.
func (u *uploadCommand) withoutManifest(all []file, out *output) []file {
	all = slices.DeleteFunc(all, func(f file) bool {
		if f.stdin || !u.isManifest(f.path) {
			return false
		}
		out.logf("skipped: %s is the manifest", f.path)
		return true
	})
	for i := range all {
		all[i].number = i
	}
	return all
}

// readList reads the list of --files-from.
func (s *selection) readList(ctx context.Context, out *output) ([]string, error) {
	separator := files.Newline
	if s.NUL {
		separator = files.NUL
	}
	switch s.FilesFrom {
	case "":
		return nil, nil
	case "-":
		return readInput(ctx, out.stdin, func(r io.Reader) ([]string, error) {
			list, err := files.ReadList(r, separator)
			return list, listError("-", err)
		})
	}
	f, err := os.Open(s.FilesFrom)
	if err != nil {
		return nil, usagef("--files-from: %w", err)
	}
	defer f.Close()
	list, err := files.ReadList(f, separator)
	return list, listError(s.FilesFrom, err)
}

func listError(name string, err error) error {
	if err == nil {
		return nil
	}
	return usagef("--files-from %s: %w", name, err)
}

// readInput calls read for standard input. It returns when ctx ends, even if read blocks.
func readInput[T any](ctx context.Context, stdin *os.File, read func(io.Reader) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := read(stdin)
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// streamLast returns files with standard input at the end: the type of its content is
// detected before its upload starts, and other uploads do not wait for that.
func streamLast(all []file) []file {
	i := slices.IndexFunc(all, func(f file) bool { return f.stdin })
	if i < 0 {
		return all
	}
	return append(slices.Concat(all[:i], all[i+1:]), all[i])
}

// Package files selects the files to upload: those that are named, those of directories,
// and standard input.
//
// Nothing is omitted silently: a [Selection] has an error for each path that cannot be
// uploaded, and counts what its options skip.
package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file to upload, or standard input.
type File struct {
	// Path is as named, or the named directory joined with Relative. It is empty for
	// standard input.
	Path string
	// Relative is the path relative to the named directory; "" for a file that is named
	// itself.
	Relative string
	// Stdin is set for standard input.
	Stdin bool
	// Size is the size in bytes, -1 for standard input.
	Size int64
}

// Options controls Select. The zero value selects all regular files, follows no links to
// directories, and fails for special files.
type Options struct {
	// List has paths in addition to the arguments. In it, "-" is a file of this name.
	List []string
	// Filter applies to files in directories, and to files that are named themselves: their
	// paths then take the place of the relative ones. It does not apply to standard input,
	// to named directories and to hidden files that are named.
	Filter Filter
	// FollowLinks follows links to directories inside directories. A link to a directory
	// that contains it is skipped.
	FollowLinks bool
	// SkipSpecial skips named pipes, sockets and devices inside directories, which are
	// errors otherwise.
	SkipSpecial bool
}

// PathError is a path that cannot be uploaded.
type PathError struct {
	Path string
	Err  error // its text does not have the path
}

func (e *PathError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *PathError) Unwrap() error { return e.Err }

// Selection is the result of Select.
type Selection struct {
	// Files are in the order of the arguments, and sorted by name in each directory.
	Files []File
	// Errors are the paths that cannot be uploaded.
	Errors []*PathError
	// Skipped counts what was omitted.
	Skipped Skipped
}

// errStdinTwice is the error of the second "-".
var errStdinTwice = errors.New("standard input can be uploaded only once")

// Select returns the files of args, in which "-" is standard input. Each file is opened
// once, so that an unreadable one is reported before any request. The error is that of ctx.
func Select(ctx context.Context, args []string, opts Options) (Selection, error) {
	s := &selector{ctx: ctx, opts: opts, taken: map[string]string{}}
	stdin := false
	for _, arg := range args {
		switch {
		case arg != "-":
			s.named(arg)
		case stdin:
			s.fail(arg, errStdinTwice)
		default:
			stdin = true
			s.result.Files = append(s.result.Files, File{Stdin: true, Size: -1})
		}
	}
	for _, path := range opts.List {
		if path == "-" {
			path = "./-" // standard input is shown as "-"
		}
		s.named(path)
	}
	return s.result, ctx.Err()
}

type selector struct {
	ctx    context.Context
	opts   Options
	result Selection
	taken  map[string]string // clean absolute path to path
}

// named selects a path that was named itself.
func (s *selector) named(path string) {
	if s.ctx.Err() != nil {
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		s.fail(path, err)
	case info.IsDir():
		s.directory(directory{path: path, info: info})
	case !info.Mode().IsRegular():
		s.fail(path, irregular(path, info.Mode()))
	case !s.opts.Filter.matchNamed(path):
		s.result.Skipped.Filtered++
	default:
		s.add(File{Path: path, Size: info.Size()}, info)
	}
}

// add selects a regular file, unless it was selected before.
func (s *selector) add(file File, info fs.FileInfo) {
	key, err := filepath.Abs(file.Path)
	if err != nil {
		key = filepath.Clean(file.Path)
	}
	if first, ok := s.taken[key]; ok {
		// Behind a link to a directory, .. makes equal clean paths of different files.
		if other, err := os.Stat(first); err == nil && os.SameFile(other, info) {
			s.result.Skipped.Repeated++
			return
		}
	}
	f, err := os.Open(file.Path)
	if err != nil {
		s.fail(file.Path, err)
		return
	}
	f.Close()
	s.taken[key] = file.Path
	s.result.Files = append(s.result.Files, file)
}

// fail records an error.
func (s *selector) fail(path string, err error) {
	s.result.Errors = append(s.result.Errors, &PathError{path, WithoutPath(err)})
}

// WithoutPath returns err with a text that does not repeat the path of an error of package
// os.
func WithoutPath(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathless{pathErr}
	}
	return err
}

type pathless struct{ err *fs.PathError }

func (p pathless) Error() string { return p.err.Err.Error() }

func (p pathless) Unwrap() error { return p.err }

// irregular returns the error of a file that has no bytes of its own.
func irregular(path string, mode fs.FileMode) error {
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("is a %s, not a regular file", kind(mode))}
}

func kind(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

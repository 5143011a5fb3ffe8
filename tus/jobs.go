package tus

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
)

// FileJobs returns a job for each path, in this order. Its source is that of [File], and
// its Tag is the path.
func FileJobs(paths ...string) iter.Seq[Job] {
	return func(yield func(Job) bool) {
		for _, name := range paths {
			if !yield(Job{Source: File(name), Tag: name}) {
				return
			}
		}
	}
}

// DirOptions controls [DirJobs]. The zero value selects all files.
type DirOptions struct {
	// Filter, if not nil, reports whether a file is uploaded or a directory is entered.
	// name is the path below the root, with forward slashes. The root itself is not
	// passed. A Filter that returns false when a context has ended ends the walk.
	Filter func(name string, d fs.DirEntry) bool

	// FollowSymlinks uploads the files that symbolic links refer to, and enters the
	// directories, with the names of the links. They may be outside the root, unless the
	// file system prevents that, as [os.Root.FS] does. By default, links are skipped.
	FollowSymlinks bool

	// Options, if not nil, returns the options of a file; nil means the defaults. It is
	// called when the job is taken.
	Options func(name string, d fs.DirEntry) *UploadOptions
}

// DirJobs returns a job for each file in fsys, such as [os.DirFS] of a directory. Its
// source is that of [FSFile], and its Tag is the path below the root, a string with
// forward slashes on all systems. The path is also the metadata "filename", unless
// [DirOptions.Options] returns other metadata. Jobs are sorted by name in each directory.
//
// A directory is read when the jobs before it have been taken: memory use depends on the
// number of entries in the current directory and those above it, not on the number of files.
//
// A directory that cannot be read is a job that fails with the error, and so is a
// file that is not regular, a broken link, and a link to a directory that contains it. The
// other files follow. If FollowSymlinks is set, links to directories are errors in file
// systems other than those of the operating system, in which loops are not detected.
func DirJobs(fsys fs.FS, opts *DirOptions) iter.Seq[Job] {
	if opts == nil {
		opts = &DirOptions{}
	}
	return func(yield func(Job) bool) {
		w := &dirWalk{fsys: fsys, opts: *opts, yield: yield}
		if fsys == nil {
			w.fail(".", fmt.Errorf("%w: file system of DirJobs is nil", ErrInvalidInput))
			return
		}
		w.dir(".")
	}
}

// dirWalk is one use of DirJobs. Its methods return false if the walk ends.
type dirWalk struct {
	fsys  fs.FS
	opts  DirOptions
	yield func(Job) bool
}

func (w *dirWalk) dir(name string) bool {
	entries, err := fs.ReadDir(w.fsys, name)
	for _, d := range entries { // those before an error
		if !w.entry(path.Join(name, d.Name()), d) {
			return false
		}
	}
	return err == nil || w.fail(name, err)
}

func (w *dirWalk) entry(name string, d fs.DirEntry) bool {
	var err error
	if d.Type()&fs.ModeSymlink != 0 {
		if !w.opts.FollowSymlinks {
			return true
		}
		d, err = w.follow(name, d)
	}
	switch {
	case w.opts.Filter != nil && !w.opts.Filter(name, d):
		return true
	case err != nil:
		return w.fail(name, err)
	case d.IsDir():
		return w.dir(name)
	}
	return w.yield(w.job(name, d))
}

// follow returns what a link refers to, with the name of the link.
func (w *dirWalk) follow(name string, link fs.DirEntry) (fs.DirEntry, error) {
	info, err := fs.Stat(w.fsys, name)
	if err != nil {
		return link, err
	}
	target := fs.FileInfoToDirEntry(info)
	switch {
	case !info.IsDir():
		return target, nil
	case !ofSystem(info):
		return target, fmt.Errorf("%w: %s is a link to a directory, in a file system in which loops are not detected", ErrInvalidInput, name)
	case w.contains(info, name):
		return target, fmt.Errorf("%w: %s is a link to a directory that contains it", ErrInvalidInput, name)
	}
	return target, nil
}

// contains reports whether dir is a directory in the path name.
func (w *dirWalk) contains(dir fs.FileInfo, name string) bool {
	for name != "." {
		name = path.Dir(name)
		if info, err := fs.Stat(w.fsys, name); err == nil && os.SameFile(info, dir) {
			return true
		}
	}
	return false
}

func (w *dirWalk) job(name string, d fs.DirEntry) Job {
	var opts UploadOptions
	if w.opts.Options != nil {
		if o := w.opts.Options(name, d); o != nil {
			opts = *o
		}
	}
	if opts.Metadata == nil {
		opts.Metadata = Metadata{"filename": name}
	}
	return Job{Source: FSFile(w.fsys, name), Options: &opts, Tag: name}
}

// fail yields a job that fails, so that the error has a result among the others.
func (w *dirWalk) fail(name string, err error) bool {
	return w.yield(Job{Source: failedSource{err}, Tag: name})
}

// failedSource is the source of a job that could not be prepared.
type failedSource struct{ err error }

func (s failedSource) Stat(context.Context) (SourceInfo, error) { return SourceInfo{}, s.err }

func (s failedSource) Open(context.Context, int64) (io.ReadCloser, error) { return nil, s.err }

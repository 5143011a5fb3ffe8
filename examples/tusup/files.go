package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-175555ba/tus-go/tus"
)

// file is a file to upload, or standard input.
type file struct {
	path     string
	relative string // to the directory on the command line
	stdin    bool
	size     int64 // -1 if unknown
	number   int   // index: one path may occur twice
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

// collect returns the files of the arguments. Files of a directory are sorted by name. It
// reports files that cannot be uploaded before any request, and omits them.
func collect(args []string, out *output) []file {
	var files []file
	fail := func(path string, err error) {
		out.result(file{path: path}, &tus.Result{}, err)
	}
	stdin := false
	for _, arg := range args {
		if arg == "-" {
			if stdin {
				fail(arg, errors.New("standard input can be uploaded only once"))
				continue
			}
			stdin = true
			files = append(files, file{stdin: true, size: -1})
			continue
		}
		info, err := os.Stat(arg)
		switch {
		case err != nil:
			fail(arg, err)
		case info.IsDir():
			files = append(files, listDir(arg, fail)...)
		default:
			if f, err := regular(arg, info); err != nil {
				fail(arg, err)
			} else {
				files = append(files, f)
			}
		}
	}
	for i := range files {
		files[i].number = i
	}
	return files
}

// listDir returns the files below root. It follows links to files, but not to
// directories, so that it terminates.
func listDir(root string, fail func(string, error)) []file {
	var files []file
	// With the separator, WalkDir enters a root that is a link.
	err := filepath.WalkDir(root+string(filepath.Separator), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			fail(path, err)
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			return nil
		}
		var f file
		if err == nil {
			f, err = regular(path, info)
		}
		if err != nil {
			fail(path, err)
			return nil
		}
		if f.relative, err = filepath.Rel(root, path); err != nil {
			f.relative = filepath.Base(path)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		fail(root, err)
	}
	return files
}

// regular returns an error if path is not a regular file that can be read.
func regular(path string, info fs.FileInfo) (file, error) {
	if !info.Mode().IsRegular() {
		return file{}, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return file{}, err
	}
	return file{path: path, size: info.Size()}, f.Close()
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-175555ba/tus-go/tus"
)

// file is one thing to upload.
type file struct {
	path     string
	relative string // path from the folder on that the command line names
	stdin    bool
	size     int64 // -1 if unknown
	number   int   // among those to upload, as a file may be named twice
}

// name is what the user calls it.
func (f file) name() string {
	if f.stdin {
		return "-"
	}
	return f.path
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// collect lists what the arguments name, with the files of folders in the order
// of their names. What cannot be uploaded is told before anything is sent; the
// rest goes on.
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
			files = append(files, folder(arg, fail)...)
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

// folder lists the files below root. Links are followed to files, not to
// folders, so that the walk ends.
func folder(root string, fail func(string, error)) []file {
	var files []file
	// The separator makes the walk go into a root that is a link itself.
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

// regular makes sure that a file can be read.
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

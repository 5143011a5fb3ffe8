package manifest

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Writable returns an error if Write cannot create path.
func Writable(path string) error {
	f, _, err := create(path)
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// Write writes a manifest to path. It replaces an existing file at once: path never has a
// part of the manifest.
func Write(path string, entries []Entry) error {
	f, target, err := create(path)
	if err != nil {
		return err
	}
	err = write(f, entries)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), target)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func write(f *os.File, entries []Entry) error {
	w := bufio.NewWriter(f)
	for _, e := range entries {
		if _, err := w.WriteString(e.String()); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// create creates a temporary file beside path. target is path, or the file that path links
// to.
func create(path string) (f *os.File, target string, err error) {
	mode := fs.FileMode(0o666)
	target = path
	switch info, err := os.Stat(path); {
	case err == nil && !info.Mode().IsRegular():
		return nil, "", fmt.Errorf("%s is not a regular file", path)
	case err == nil:
		mode = info.Mode().Perm()
		if target, err = filepath.EvalSymlinks(path); err != nil {
			return nil, "", err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, "", err
	}
	dir, name := filepath.Split(target)
	f, err = os.OpenFile(filepath.Join(dir, "."+name+"."+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	return f, target, err
}

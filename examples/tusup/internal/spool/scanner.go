package spool

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// scanner lists the files of a directory.
type scanner struct {
	dir      string
	follow   bool
	excluded []string      // names of directories that are not entered
	targets  []fs.FileInfo // directories that are not entered, whatever their names
}

// sighting is what is at a name.
type sighting struct {
	kind fileKind
	name string
	file File  // if kind is regularFile
	err  error // if kind is unknown
}

type fileKind int

const (
	regularFile fileKind = iota
	directory
	ignoredLink  // a symbolic link that is not followed
	ignoredOther // a pipe, socket or device
	gone
	unknown // cannot be read
)

// isTemporary reports whether a file is not complete under its name: its last element
// begins with a dot, or ends like those that programs use for unfinished files.
func isTemporary(name string) bool {
	base := strings.ToLower(filepath.Base(name))
	return strings.HasPrefix(base, ".") || slices.Contains([]string{".part", ".tmp", ".crdownload"}, filepath.Ext(base))
}

// excludes reports whether a directory is not part of the spool.
func (s *scanner) excludes(name string) bool {
	return name != "." && (isTemporary(name) || slices.Contains(s.excluded, name))
}

// contains reports whether no directory above name is excluded.
func (s *scanner) contains(name string) bool {
	for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
		if s.excludes(dir) {
			return false
		}
	}
	return true
}

// look returns what is at name.
func (s *scanner) look(name string) sighting {
	info, err := s.lstat(name)
	return s.sighted(name, info, err)
}

// lstat is like os.Lstat, but finds nothing below a symbolic link: it may have replaced a
// directory, and then leads to files that are not of the spool.
func (s *scanner) lstat(name string) (fs.FileInfo, error) {
	if name == "." {
		return os.Stat(s.dir)
	}
	for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
		if info, err := os.Lstat(filepath.Join(s.dir, dir)); err == nil && !info.IsDir() {
			return nil, &fs.PathError{Op: "lstat", Path: dir, Err: fs.ErrNotExist}
		}
	}
	return os.Lstat(filepath.Join(s.dir, name))
}

// isTarget reports whether a directory receives files of the spool. Its name may differ from
// the configured one in case, or be that of a mount.
func (s *scanner) isTarget(dir fs.FileInfo) bool {
	return slices.ContainsFunc(s.targets, func(target fs.FileInfo) bool { return os.SameFile(target, dir) })
}

func (s *scanner) sighted(name string, info fs.FileInfo, err error) sighting {
	link := err == nil && info.Mode()&fs.ModeSymlink != 0
	if link {
		if !s.follow {
			return sighting{kind: ignoredLink, name: name}
		}
		info, err = os.Stat(filepath.Join(s.dir, name))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && info.IsDir() && s.isTarget(info):
		return sighting{kind: gone, name: name}
	case err != nil:
		return sighting{kind: unknown, name: name, err: err}
	case info.IsDir() && link:
		return sighting{kind: ignoredLink, name: name}
	case info.IsDir():
		return sighting{kind: directory, name: name}
	case !info.Mode().IsRegular():
		return sighting{kind: ignoredOther, name: name}
	}
	f := File{Name: name, Size: info.Size(), ModTime: info.ModTime(), id: identityOf(info), link: link}
	return sighting{kind: regularFile, name: name, file: f}
}

// scanBatch is how many entries of a directory are in memory at once.
const scanBatch = 512

// walk visits the directory name and all below it. It passes over what it cannot read, and
// returns the first error.
func (s *scanner) walk(ctx context.Context, name string, visit func([]sighting)) error {
	var first error
	visit([]sighting{{kind: directory, name: name}})
	for dirs := []string{name}; len(dirs) > 0 && ctx.Err() == nil; {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		err := s.list(ctx, dir, func(batch []sighting) {
			for _, found := range batch {
				if found.kind == directory {
					dirs = append(dirs, found.name)
				}
			}
			visit(batch)
		})
		if first == nil && (dir == "." || !errors.Is(err, fs.ErrNotExist)) {
			first = err
		}
	}
	return first
}

// list visits the entries of a directory that are not temporary or excluded.
func (s *scanner) list(ctx context.Context, dir string, visit func([]sighting)) error {
	f, err := os.Open(filepath.Join(s.dir, dir))
	if err != nil {
		return err
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	if info, err := s.lstat(dir); err != nil || !os.SameFile(info, opened) {
		return err // a link that replaced the directory
	}
	for ctx.Err() == nil {
		entries, err := f.ReadDir(scanBatch)
		var batch []sighting
		for _, entry := range entries {
			name := filepath.Join(dir, entry.Name())
			if isTemporary(name) {
				continue
			}
			info, err := entry.Info()
			found := s.sighted(name, info, err)
			if found.kind != directory || !s.excludes(name) {
				batch = append(batch, found)
			}
		}
		visit(batch)
		if err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
	return ctx.Err()
}

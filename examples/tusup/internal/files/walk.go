package files

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// directory is a directory in a walk.
type directory struct {
	path   string
	rel    string // "" for the named directory; with forward slashes
	info   fs.FileInfo
	parent *directory // nil for the named directory
}

// contains reports whether d, or a directory above it in the walk, is the directory info.
func (d *directory) contains(info fs.FileInfo) bool {
	for ; d != nil; d = d.parent {
		if os.SameFile(d.info, info) {
			return true
		}
	}
	return false
}

// directory selects the files in d.
func (s *selector) directory(d directory) {
	entries, err := os.ReadDir(d.path) // sorted by name
	if err != nil {
		s.fail(d.path, err)
	} else if len(entries) == 0 {
		s.result.Skipped.EmptyDirectories++
	}
	for _, entry := range entries {
		if s.ctx.Err() != nil {
			return
		}
		s.entry(&d, entry)
	}
}

// entry selects an entry of a directory. Links to files are followed.
func (s *selector) entry(d *directory, entry fs.DirEntry) {
	path, rel := join(d.path, entry.Name()), entry.Name()
	if d.rel != "" {
		rel = d.rel + "/" + rel
	}
	info, err := os.Stat(path)
	isLink := entry.Type()&fs.ModeSymlink != 0
	isDir := entry.IsDir() || err == nil && info.IsDir()
	// The filter comes before the errors: a file that is excluded may be unreadable.
	switch {
	case isDir && !s.opts.Filter.MatchDir(rel), !isDir && !s.opts.Filter.Match(rel):
		s.filtered(rel)
	case err != nil:
		s.fail(path, err)
	case isDir && isLink && !s.opts.FollowLinks:
		s.result.Skipped.Links++
	case isDir && s.opts.FollowLinks && d.contains(info):
		s.result.Skipped.Loops++
	case isDir:
		s.directory(directory{path, rel, info, d})
	case info.Mode().IsRegular():
		s.add(File{Path: path, Relative: filepath.FromSlash(rel), Size: info.Size()}, info)
	case s.opts.SkipSpecial:
		s.result.Skipped.special(info.Mode())
	default:
		s.fail(path, irregular(path, info.Mode()))
	}
}

// filtered counts an entry that the filter omits.
func (s *selector) filtered(rel string) {
	if s.opts.Filter.SkipHidden && hidden(rel) {
		s.result.Skipped.Hidden++
		return
	}
	s.result.Skipped.Filtered++
}

// join joins a directory and a name. It keeps "..", which filepath.Join removes together
// with the element before it: if that is a link, the result is another file.
func join(dir, name string) string {
	if strings.Contains(dir, "..") {
		return strings.TrimRight(dir, string(filepath.Separator)) + string(filepath.Separator) + name
	}
	return filepath.Join(dir, name)
}

package files

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
)

// Filter selects files by their names. The zero value selects all.
//
// A pattern is a doublestar glob: * and ? match within a name, ** matches any number of
// directories, and [a-z], {a,b} and \ work as in bash. A pattern with a slash is matched
// against the path relative to the directory argument, with forward slashes on all
// systems. A pattern without one is matched against the base name at any depth; a leading
// slash binds it to the top. A pattern that matches a directory applies to all that is in
// it, and one that ends with a slash matches directories only. Case matters.
type Filter struct {
	// Include, if not empty, selects only files that match one of these patterns.
	Include []string
	// Exclude omits files that match one of these patterns, even if one of Include
	// matches as well.
	Exclude []string
	// SkipHidden omits files and directories whose names begin with a dot.
	SkipHidden bool
}

// Validate returns an error for the first invalid pattern.
func (f Filter) Validate() error {
	for _, pattern := range slices.Concat(f.Include, f.Exclude) {
		if err := validate(pattern); err != nil {
			return err
		}
	}
	return nil
}

func validate(pattern string) error {
	if strings.Trim(pattern, "/") == "" {
		return errors.New("pattern is empty")
	}
	if !doublestar.ValidatePattern(pattern) {
		return fmt.Errorf("pattern %q is invalid", pattern)
	}
	return nil
}

// Match reports whether the file at rel is selected. rel is relative to the directory
// argument and has forward slashes.
func (f Filter) Match(rel string) bool {
	if f.SkipHidden && hidden(rel) || matchesAny(f.Exclude, rel, false) {
		return false
	}
	return len(f.Include) == 0 || matchesAny(f.Include, rel, false)
}

// MatchDir reports whether files in the directory at rel may be selected.
func (f Filter) MatchDir(rel string) bool {
	return !(f.SkipHidden && hidden(rel)) && !matchesAny(f.Exclude, rel, true)
}

// matchNamed reports whether a file that is named itself is selected. Its path takes the
// place of the relative one, but the directories above it do not count: /tmp/a is not
// excluded by tmp. Hidden files are selected.
func (f Filter) matchNamed(name string) bool {
	rel := strings.TrimLeft(filepath.ToSlash(filepath.Clean(name)), "/")
	matched := func(pattern string) bool { return matches(pattern, rel, false) }
	if slices.ContainsFunc(f.Exclude, matched) {
		return false
	}
	return len(f.Include) == 0 || slices.ContainsFunc(f.Include, matched)
}

// hidden reports whether a name in rel begins with a dot.
func hidden(rel string) bool {
	for name := range strings.SplitSeq(rel, "/") {
		if strings.HasPrefix(name, ".") && name != "." && name != ".." {
			return true
		}
	}
	return false
}

// matchesAny reports whether one of the patterns matches rel or a directory above it.
func matchesAny(patterns []string, rel string, dir bool) bool {
	for _, pattern := range patterns {
		for end := range len(rel) + 1 {
			if end < len(rel) && rel[end] != '/' {
				continue
			}
			if matches(pattern, rel[:end], dir || end < len(rel)) {
				return true
			}
		}
	}
	return false
}

// matches matches a pattern against one path.
func matches(pattern, rel string, dir bool) bool {
	if trimmed := strings.TrimSuffix(pattern, "/"); trimmed != pattern {
		if !dir {
			return false
		}
		pattern = trimmed
	}
	if trimmed := strings.TrimPrefix(pattern, "/"); trimmed != pattern {
		pattern = trimmed
	} else if !strings.Contains(pattern, "/") {
		rel = path.Base(rel)
	}
	return doublestar.MatchUnvalidated(valid(pattern), valid(rel))
}

// valid returns s with each byte that is not UTF-8 replaced by a private character of its
// own: doublestar does not distinguish such bytes.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	const private = 0x10FF00
	var b strings.Builder
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(r)) {
			r = private + rune(s[i])
		}
		b.WriteRune(r)
	}
	return b.String()
}

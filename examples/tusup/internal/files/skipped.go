package files

import (
	"fmt"
	"io/fs"
	"strings"
)

// Skipped counts what a selection omits.
type Skipped struct {
	// Links are links to directories that were not followed, and Loops those that were
	// not followed because they lead to a directory above them.
	Links, Loops int
	// NamedPipes, Sockets, Devices and Others are special files.
	NamedPipes, Sockets, Devices, Others int
	// EmptyDirectories are directories without entries.
	EmptyDirectories int
	// Filtered and Hidden are files and directories that the filter omits. The files of
	// such a directory are not counted.
	Filtered, Hidden int
	// Repeated are files that were selected before.
	Repeated int
}

// special counts a special file.
func (s *Skipped) special(mode fs.FileMode) {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		s.NamedPipes++
	case mode&fs.ModeSocket != 0:
		s.Sockets++
	case mode&fs.ModeDevice != 0:
		s.Devices++
	default:
		s.Others++
	}
}

// String returns a list such as "1 named pipe, 2 empty directories", "" for none.
func (s Skipped) String() string {
	var texts []string
	count := func(n int, one, many, remark string) {
		switch {
		case n == 1:
			texts = append(texts, "1 "+one+remark)
		case n > 1:
			texts = append(texts, fmt.Sprintf("%d %s%s", n, many, remark))
		}
	}
	count(s.Links, "link to a directory", "links to directories", " (--follow uploads them)")
	count(s.Loops, "link to a directory above it", "links to directories above them", "")
	count(s.NamedPipes, "named pipe", "named pipes", "")
	count(s.Sockets, "socket", "sockets", "")
	count(s.Devices, "device", "devices", "")
	count(s.Others, "special file", "special files", "")
	count(s.EmptyDirectories, "empty directory", "empty directories", "")
	count(s.Filtered, "entry", "entries", " by --include and --exclude")
	count(s.Hidden, "hidden entry", "hidden entries", "")
	count(s.Repeated, "file", "files", " named twice")
	return strings.Join(texts, ", ")
}

//go:build unix

package files

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

func TestSelect_SpecialFiles(t *testing.T) {
	root := tree(t, "a")
	pipe := filepath.Join(root, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	t.Chdir(root) // the path of a socket is limited to about 100 bytes
	ln, err := net.Listen("unix", "socket")
	if err != nil {
		t.Skip(err)
	}
	defer ln.Close()
	s := selected(t, Options{}, root)
	wantFiles(t, s, "a")
	if len(s.Errors) != 2 || s.Errors[0].Error() != pipe+": is a named pipe, not a regular file" {
		t.Errorf("errors are %v", s.Errors)
	}
	s = selected(t, Options{SkipSpecial: true}, root)
	wantFiles(t, s, "a")
	if len(s.Errors) != 0 || s.Skipped != (Skipped{NamedPipes: 1, Sockets: 1}) {
		t.Errorf("skipped %+v, errors %v", s.Skipped, s.Errors)
	}
	if s = selected(t, Options{SkipSpecial: true}, pipe); len(s.Errors) != 1 {
		t.Errorf("a named pipe on the command line has the errors %v", s.Errors)
	}
}

//go:build unix

package tus_test

import "syscall"

// makePipe makes a named pipe. Nobody will ever write to it: whoever opens it
// hangs.
func makePipe(path string) error { return syscall.Mkfifo(path, 0o600) }

//go:build unix

package tus_test

import "syscall"

// makePipe creates a named pipe. It has no writer, so opening it hangs.
func makePipe(path string) error { return syscall.Mkfifo(path, 0o600) }

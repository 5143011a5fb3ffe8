//go:build unix

package tus

import (
	"errors"
	"syscall"
)

// processExists reports whether pid is a process of this machine. A process of
// another user exists as well.
func processExists(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

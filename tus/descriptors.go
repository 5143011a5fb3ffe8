package tus

import (
	"errors"
	"syscall"
)

// outOfDescriptors reports whether err says that the process or the system had no free
// file descriptor, for the source, a connection or the store. The next moment may have
// one. An error of a hook is the caller's, whatever it says.
func outOfDescriptors(err error) bool {
	return (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) && !isHookError(err)
}

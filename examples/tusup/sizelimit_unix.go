//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// ignoreSizeLimit makes writes beyond the size limit of files (RLIMIT_FSIZE) fail like those
// on a full disk. The signal would end the process.
func ignoreSizeLimit() { signal.Ignore(syscall.SIGXFSZ) }

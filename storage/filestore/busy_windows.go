package filestore

import (
	"errors"
	"syscall"
)

// busy reports whether err is because another process has the file open.
func busy(err error) bool {
	const sharingViolation = syscall.Errno(32)
	return errors.Is(err, sharingViolation) || errors.Is(err, syscall.ERROR_ACCESS_DENIED)
}

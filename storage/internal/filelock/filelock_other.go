//go:build !unix && !windows

package filelock

import (
	"errors"
	"os"
)

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func waitLock(*os.File) error { return errors.ErrUnsupported }

// Unlock fails as Lock does.
func Unlock(*os.File) error { return errors.ErrUnsupported }

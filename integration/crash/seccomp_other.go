//go:build !linux

package crash

import "errors"

func forbidLargeWrites() error { return errors.ErrUnsupported }

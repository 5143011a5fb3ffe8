//go:build unix && !linux

package fleet

import (
	"errors"
	"syscall"
	"time"
)

// machineAttributes returns nil: there are no namespaces.
func machineAttributes() *syscall.SysProcAttr { return nil }

func enterMachine(string) error { return errors.ErrUnsupported }

func machineName() string { return "" }

func setClock(time.Duration) error { return errors.ErrUnsupported }

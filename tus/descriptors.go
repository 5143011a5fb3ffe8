package tus

import (
	"errors"
	"syscall"
	"time"
)

// outOfDescriptors reports whether err says that the process or the system had no free
// file descriptor, for the source, a connection or the store. The next moment may have
// one. An error of a hook is the caller's, whatever it says.
func outOfDescriptors(err error) bool {
	return (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) && !ofHook(err)
}

// spend is [budget.next], but for a failure that only says that other requests of the
// client hold the file descriptors: they give them back, so it does not count.
func (c *Client) spend(b *budget, err error) (wait time.Duration, ok bool) {
	if outOfDescriptors(err) && c.inFlight.Load() > 0 && b.policy.maxRetries() > 0 {
		return b.wait(err)
	}
	return b.next(err)
}

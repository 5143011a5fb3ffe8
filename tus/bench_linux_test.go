package tus_test

import (
	"context"
	"net"
	"net/http"
	"syscall"
)

// withoutPacing sets the default congestion control of Linux for new connections. BBR,
// the default of some machines, paces packets by measurements of the path. On loopback
// these measure the scheduler, and the time of an upload varies by a factor of two.
func withoutPacing(t *http.Transport) {
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			return nil, err
		}
		err = raw.Control(func(fd uintptr) {
			for _, algorithm := range []string{"cubic", "reno"} {
				if syscall.SetsockoptString(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CONGESTION, algorithm) == nil {
					break
				}
			}
		})
		return c, err
	}
}

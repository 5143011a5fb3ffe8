package tus_test

import (
	"context"
	"net"
	"net/http"
	"syscall"
)

// withoutPacing gives new connections the congestion control that Linux has by
// default. BBR, which some machines have, waits between packets by what it has
// seen of the path: on a loopback interface that is the scheduler, and the same
// upload takes twice as long in one run as in the next.
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

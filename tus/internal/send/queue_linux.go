package send

import (
	"net"
	"syscall"
	"unsafe"
)

// unsentBytes returns how many bytes of the send queue the peer has not acknowledged
// (SIOCOUTQ), or -1 if that is unknown.
func unsentBytes(c net.Conn) int {
	if wrapped, ok := c.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		c = wrapped.NetConn()
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return -1
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1
	}
	queued := int32(-1)
	err = raw.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&queued)))
		if errno != 0 {
			queued = -1
		}
	})
	if err != nil {
		return -1
	}
	return int(queued)
}

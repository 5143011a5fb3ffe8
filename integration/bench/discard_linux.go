package main

import (
	"io"
	"net"
	"syscall"
)

// discarding returns a listener whose connections do not copy the bytes of bodies.
func discarding(l net.Listener) net.Listener { return discardListener{l} }

type discardListener struct{ net.Listener }

func (l discardListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return discardConn{tcp}, nil
	}
	return c, err
}

type discardConn struct{ *net.TCPConn }

// Read lets the kernel drop the bytes if the buffer is large, and leaves its content
// undefined. Only bodies are read so: net/http has a buffer of 4 KiB.
func (c discardConn) Read(p []byte) (n int, err error) {
	if len(p) < discardSize {
		return c.TCPConn.Read(p)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	waited := raw.Read(func(fd uintptr) (done bool) {
		for {
			n, _, err = syscall.Recvfrom(int(fd), p, syscall.MSG_TRUNC)
			if err != syscall.EINTR {
				return err != syscall.EAGAIN
			}
		}
	})
	switch {
	case waited != nil:
		return 0, waited
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

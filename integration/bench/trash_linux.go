package main

import (
	"io"
	"net"
	"syscall"
)

// trash accepts connections that do not copy what nobody will look at.
func trash(l net.Listener) net.Listener { return trashListener{l} }

type trashListener struct{ net.Listener }

func (l trashListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return trashConn{tcp}, nil
	}
	return c, err
}

type trashConn struct{ *net.TCPConn }

// Read lets the kernel drop what is read into a large buffer, whose content is
// then undefined. Only bodies are read so: net/http has a buffer of 4 KiB.
func (c trashConn) Read(p []byte) (n int, err error) {
	if len(p) < trashSize {
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

package send

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// NewTransport returns a transport for HTTP/1.1 on whose connections the kernel sends bodies
// that are files.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 15 * time.Second}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	buffers := new(sync.Pool)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if tcp, ok := c.(*net.TCPConn); ok {
				return &conn{tcp, buffers}, nil
			}
			return c, err
		},
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    15 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		WriteBufferSize:        64 << 10,
		ReadBufferSize:         4 << 10,
	}
}

// conn is a TCP connection on which the kernel sends a body that is a file. net/http copies
// any body except an *os.File through memory, 32 KiB at a time, and an *os.File cannot be a
// chunk: the transport reads it to its end and fails if there is more than Content-Length.
type conn struct {
	*net.TCPConn
	buffers *sync.Pool // of *[copyBuffer]byte, for bodies that are copied
}

// copyBuffer is the size of the buffer that io.Copy would allocate for each request.
const copyBuffer = 32 << 10

// ReadFrom sends r. The transport calls it with a body inside an io.LimitedReader.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return c.TCPConn.ReadFrom(r)
	}
	b, ok := limited.R.(*body)
	switch {
	case !ok:
		return c.TCPConn.ReadFrom(r)
	case b.file == nil:
		return c.copyFrom(r)
	}
	n, err := b.sendTo(c.TCPConn, limited.N)
	limited.N -= n
	if err != errCopied {
		return n, err
	}
	b.file = nil
	copied, err := c.copyFrom(r)
	return n + copied, err
}

// copyFrom copies r through a buffer of the pool.
func (c *conn) copyFrom(r io.Reader) (int64, error) {
	buffer, ok := c.buffers.Get().(*[copyBuffer]byte)
	if !ok {
		buffer = new([copyBuffer]byte)
	}
	defer c.buffers.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{c.TCPConn}, r, buffer[:])
}

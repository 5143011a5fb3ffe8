package faults

import (
	"context"
	"errors"
	"net"
	"sync"
)

// PipeListener is a net.Listener whose connections are in memory, for synctest bubbles.
type PipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewPipeListener returns a PipeListener. The caller must close it.
func NewPipeListener() *PipeListener {
	return &PipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Dial is the DialContext of an http.Transport. It connects to the listener.
func (l *PipeListener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept returns the next connection.
func (l *PipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and Dial return an error. It may be called more than once.
func (l *PipeListener) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

// Addr returns a constant.
func (l *PipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

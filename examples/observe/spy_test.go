package main

import (
	"context"
	"fmt"
	"io"
	"net"
)

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// spying calls saw with the type of each body that is passed to a connection.
func spying(dial dialer, saw func(body string)) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &spy{c, saw}, nil
	}
}

type spy struct {
	net.Conn
	saw func(string)
}

// ReadFrom is called by net/http with a body in an io.LimitedReader.
func (s *spy) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		s.saw(fmt.Sprintf("%T", limited.R))
	}
	return io.Copy(s.Conn, r)
}

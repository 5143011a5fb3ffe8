package servers

import (
	"context"
	"errors"
	"io"
)

// ErrNotInstalled is returned when a program of a server or proxy is neither installed nor can
// be installed. Its column in the matrix is empty then.
var ErrNotInstalled = errors.New("not installed")

// Server is a server that the matrix has a column for.
type Server struct {
	// Name is the heading in docs/servers.md, such as "tusd, file store".
	Name string
	// Version returns the version of what is installed, or an error matching ErrNotInstalled.
	Version func() (string, error)
	// Start starts the server on a loopback port. dir is an empty directory for its storage and
	// configuration. It returns an error matching ErrNotInstalled if the server cannot be had.
	Start func(ctx context.Context, dir string) (*Running, error)
	// Expiring, if non-nil, starts the server so that unfinished uploads expire after a second.
	Expiring func(ctx context.Context, dir string) (*Running, error)
	// Setup is one line for users: what to set in the client and in the server.
	Setup string
	// Command is one line that shows how the server is started; "" for a script.
	Command string
	// Scripted reports that it is not the real server, but a script of its known behavior.
	Scripted bool
}

// Running is a started server, or a proxy before one.
type Running struct {
	// Endpoint is the upload creation URL.
	Endpoint string
	// Content returns what the server holds for an upload URL, read from its storage and not by
	// the protocol. Only the last path element of the URL counts, so a proxy can pass on the
	// function of its server. "" means the newest upload, for a server that returned no URL.
	Content func(ctx context.Context, uploadURL string) (io.ReadCloser, error)
	// Kill kills the server like kill -9, and waits for its end. For a proxy this is the server
	// behind it. It is nil if the server keeps uploads in memory.
	Kill func() error
	// Restart starts the server again after Kill, on the same port and storage.
	Restart func(ctx context.Context) error
	// Close ends all processes.
	Close func()
	// CAFile, if non-empty, is a PEM file with the certificate authority of an https Endpoint.
	CAFile string
	// Headers are header fields that the server requires, such as "Authorization: Bearer x".
	Headers []string
	// Flags are other flags that uploads to this server require, such as --metadata.
	Flags []string
	// ChunkSize is the only chunk size in bytes that the server accepts; 0 means any.
	ChunkSize int64
}

// Proxy is a proxy that the matrix has a column for.
type Proxy struct {
	// Name is the heading in docs/servers.md, such as "nginx, defaults".
	Name string
	// Version returns the version of what is installed, or an error matching ErrNotInstalled.
	Version func() (string, error)
	// Start starts the proxy on a loopback port before backend. dir is an empty directory for its
	// configuration. Closing the result leaves the backend running. It returns an error matching
	// ErrNotInstalled if the proxy is not installed.
	Start func(ctx context.Context, dir string, backend *Running) (*Running, error)
	// Setup is one line for users: what to set in the client and in the proxy.
	Setup string
	// Command is one line that shows how the proxy is started.
	Command string
}

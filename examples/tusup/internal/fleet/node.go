package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

const (
	// nodeRetry is the time between attempts to become the process with the server.
	nodeRetry = 200 * time.Millisecond
	// nodeStart is how long a process waits for a server of the directory.
	nodeStart = 15 * time.Second
	// maxPayload is enough for the record of an upload in 10,000 parts.
	maxPayload = 8 << 20
)

// node keeps an embedded server running in a directory. Of the processes that share the
// directory, the one with the lock has the server; when it ends, another one starts the server
// again, with the same data.
type node struct {
	dir   string
	lock  *flock.Flock
	logf  func(format string, args ...any)
	stop  chan struct{}
	ended chan struct{}
}

// openNode returns when a server of the directory accepts connections.
func openNode(ctx context.Context, dir string, logf func(string, ...any)) (*node, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	n := &node{
		dir: dir, lock: flock.New(filepath.Join(dir, "lock")), logf: logf,
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	failed := make(chan error, 1)
	go n.run(failed)
	deadline := time.NewTimer(nodeStart)
	defer deadline.Stop()
	var err error
	for {
		var conn net.Conn
		if conn, err = n.Dial("tcp", ""); err == nil {
			conn.Close()
			return n, nil
		}
		select {
		case <-time.After(nodeRetry / 10):
			continue
		case err = <-failed:
		case <-deadline.C:
			err = fmt.Errorf("the embedded NATS in %s does not start: %w", dir, err)
		case <-ctx.Done():
			err = ctx.Err()
		}
		n.close()
		return nil, err
	}
}

// run becomes the process with the server when there is no other. It sends the error of a
// server that cannot start.
func (n *node) run(failed chan<- error) {
	defer close(n.ended)
	for {
		locked, err := n.lock.TryLock()
		if err == nil && locked {
			err = n.serve()
		}
		if err != nil {
			select {
			case failed <- err:
			default:
				n.logf("warning: %v; retrying", err)
			}
		}
		select {
		case <-n.stop:
			return
		case <-time.After(nodeRetry):
		}
	}
}

// serve runs the server until the node is closed.
func (n *node) serve() error {
	defer n.lock.Unlock()
	s, err := n.start()
	if err != nil {
		return fmt.Errorf("embedded NATS in %s: %w", n.dir, err)
	}
	<-n.stop
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// start starts the server, on the port of the last one if that is free.
func (n *node) start() (*server.Server, error) {
	token, port := rand.Text(), server.RANDOM_PORT
	if last, err := n.url(); err == nil {
		token = last.User.Username()
		if p, err := strconv.Atoi(last.Port()); err == nil && isFree(last.Host) {
			port = p
		}
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "tusup", Host: "127.0.0.1", Port: port, Authorization: token, MaxPayload: maxPayload,
		JetStream: true, StoreDir: filepath.Join(n.dir, "data"), SyncAlways: true,
		NoLog: true, NoSigs: true, DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(nodeStart) || !s.JetStreamEnabled() {
		s.Shutdown()
		return nil, errors.New("the server is not ready")
	}
	u := url.URL{Scheme: "nats", User: url.User(token), Host: s.Addr().String()}
	if err := n.writeURL(u.String()); err != nil {
		s.Shutdown()
		return nil, err
	}
	return s, nil
}

func isFree(address string) bool {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// urlFile is the name of the file with the URL of the server. The URL has a token, so that
// other users of the machine cannot connect.
const urlFile = "nats.url"

// IsEmbedded reports whether a directory has the data of an embedded server.
func IsEmbedded(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, urlFile))
	return err == nil
}

// url returns the URL of the server, which may have ended.
func (n *node) url() (*url.URL, error) {
	text, err := os.ReadFile(filepath.Join(n.dir, urlFile))
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(string(text))
	if err != nil || u.User == nil || u.Host == "" {
		return nil, fmt.Errorf("%s in %s is not the URL of a server", urlFile, n.dir)
	}
	return u, nil
}

func (n *node) writeURL(text string) error {
	path := filepath.Join(n.dir, urlFile)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Dial connects to the server that runs now: it implements nats.CustomDialer.
func (n *node) Dial(network, _ string) (net.Conn, error) {
	u, err := n.url()
	if err != nil {
		return nil, err
	}
	return net.DialTimeout(network, u.Host, time.Second)
}

func (n *node) close() {
	close(n.stop)
	<-n.ended
}

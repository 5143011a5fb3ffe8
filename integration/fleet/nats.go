//go:build unix

package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/integration/postgres"
	"github.com/seed-175555ba/tus-go/storage/natsstore"
)

const natsRole = "fleet-nats"

// natsConfig is the configuration of a node.
type natsConfig struct {
	Dir     string
	Name    string
	Port    int
	Cluster int   // the port for the other nodes
	Routes  []int // ports of all nodes
}

// runNATS is the process of a node, which writes to disk before it responds.
func runNATS(ctx context.Context, encoded []byte, emit func(any)) error {
	var c natsConfig
	if err := json.Unmarshal(encoded, &c); err != nil {
		return err
	}
	opts := &server.Options{
		ServerName: c.Name, Host: "127.0.0.1", Port: c.Port, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: c.Dir, SyncAlways: true,
	}
	if len(c.Routes) > 1 {
		opts.Cluster = server.ClusterOpts{Name: "fleet", Host: "127.0.0.1", Port: c.Cluster}
		for _, port := range c.Routes {
			opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", port)})
		}
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return errors.New("the server is not ready")
	}
	emit(os.Getpid())
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// natsCluster is a cluster of one or three nodes.
type natsCluster struct {
	t     testing.TB
	nodes []natsConfig
	procs []*child.Process
	next  int // the node to kill
}

func newNATS(t testing.TB, nodes int) engine {
	t.Helper()
	c := &natsCluster{t: t, procs: make([]*child.Process, nodes)}
	var routes []int
	for i := range c.procs {
		routes = append(routes, postgres.FreePort(t))
		c.nodes = append(c.nodes, natsConfig{Dir: t.TempDir(), Name: fmt.Sprint("node", i), Port: postgres.FreePort(t), Cluster: routes[i]})
	}
	for i := range c.nodes {
		c.nodes[i].Routes = routes
		if err := c.start(i); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// The bucket exists before the workers start.
	for {
		_, end, err := openReplicated(ctx, c.url(), nodes)
		if err == nil {
			end()
			return c
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func (c *natsCluster) start(i int) error {
	started := make(chan struct{}, 1)
	p, err := child.Start(c.t, natsRole, c.nodes[i], func(json.RawMessage) { started <- struct{}{} })
	if err != nil {
		return err
	}
	c.procs[i] = p
	select {
	case <-started:
		return nil
	case <-p.Done():
		return fmt.Errorf("NATS ended: %w", p.Wait(context.Background()))
	}
}

func (c *natsCluster) name() string { return engineNATS }

func (c *natsCluster) url() string {
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, fmt.Sprint("nats://127.0.0.1:", n.Port))
	}
	return strings.Join(urls, ",")
}

// fail kills one node after the other.
func (c *natsCluster) fail(down time.Duration) error {
	i := c.next % len(c.procs)
	c.next++
	c.procs[i].Kill()
	time.Sleep(down)
	return c.start(i)
}

func (c *natsCluster) signal(s syscall.Signal) {
	for _, p := range c.procs {
		_ = p.Signal(s)
	}
}

// openNATS opens the store of a bucket that exists.
func openNATS(ctx context.Context, url string) (sharedStore, func(), error) {
	return openReplicated(ctx, url, 0)
}

// openReplicated opens the store with the options of the connection that natsstore recommends.
func openReplicated(ctx context.Context, url string, replicas int) (sharedStore, func(), error) {
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.PingInterval(time.Second))
	if err != nil {
		return nil, nil, err
	}
	store, err := natsstore.Open(ctx, conn, &natsstore.Options{Replicas: replicas})
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return store, conn.Close, nil
}

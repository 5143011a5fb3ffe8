package natsstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-175555ba/tus-go/integration/child"
)

// cluster is a cluster of servers in other processes.
type cluster struct {
	t       testing.TB
	configs []serverConfig
	servers []*child.Process
}

// newCluster starts a cluster of three servers.
func newCluster(t testing.TB, syncAlways bool) *cluster {
	t.Helper()
	c := &cluster{t: t}
	ports := freePorts(t, 6)
	for i := range 3 {
		c.configs = append(c.configs, serverConfig{
			Dir: t.TempDir(), Name: fmt.Sprint("server", i), SyncAlways: syncAlways,
			Port: ports[i], Cluster: ports[3+i], Routes: ports[3:],
		})
		c.servers = append(c.servers, nil)
	}
	for i := range c.configs {
		c.start(i)
	}
	c.waitForPeers()
	return c
}

// freePorts returns ports that are not in use.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// start starts a server and waits until it accepts connections.
func (c *cluster) start(i int) {
	c.t.Helper()
	started := make(chan struct{}, 1)
	p, err := child.Start(c.t, "nats-server", c.configs[i], func(json.RawMessage) { started <- struct{}{} })
	if err != nil {
		c.t.Fatal(err)
	}
	c.servers[i] = p
	select {
	case <-started:
	case <-p.Done():
		c.t.Fatal("server ended:", p.Wait(context.Background()))
	}
}

func (c *cluster) url(i int) string { return fmt.Sprint("nats://127.0.0.1:", c.configs[i].Port) }

// urls returns the URLs of all servers.
func (c *cluster) urls() string { return strings.Join([]string{c.url(0), c.url(1), c.url(2)}, ",") }

// waitForPeers waits until the cluster can create a stream with three replicas.
func (c *cluster) waitForPeers() {
	c.t.Helper()
	js := c.jetStream()
	var err error
	for range 100 {
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
		if _, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "ready", Replicas: 3}); err == nil {
			err = js.DeleteStream(ctx, "ready")
		}
		cancel()
		if err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.t.Fatal("the cluster is not ready:", err)
}

func (c *cluster) jetStream() jetstream.JetStream {
	c.t.Helper()
	js, err := jetstream.New(connect(c.t, c.urls(), nats.RetryOnFailedConnect(true)))
	if err != nil {
		c.t.Fatal(err)
	}
	return js
}

// leader returns the number of the server that leads the bucket.
func (c *cluster) leader(bucket string) int {
	c.t.Helper()
	stream, err := c.jetStream().Stream(c.t.Context(), "KV_"+bucket)
	if err != nil {
		c.t.Fatal(err)
	}
	for i, config := range c.configs {
		if config.Name == stream.CachedInfo().Cluster.Leader {
			return i
		}
	}
	c.t.Fatal("no leader")
	return 0
}

// waitForReplicas waits until all replicas of the bucket are current.
func (c *cluster) waitForReplicas(bucket string) {
	c.t.Helper()
	js := c.jetStream()
	for range 300 {
		current := 0
		if stream, err := js.Stream(c.t.Context(), "KV_"+bucket); err == nil {
			for _, replica := range stream.CachedInfo().Cluster.Replicas {
				if replica.Current {
					current++
				}
			}
		}
		if current == 2 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.t.Fatal("the replicas are not current")
}

package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-175555ba/tus-go/storage/natsstore"
)

const (
	// clusterReplicas is the number of servers of a cluster that keep everything.
	clusterReplicas = 3
	// openTimeout bounds the requests of Open and OpenQueue.
	openTimeout = 20 * time.Second
)

// Engine is a connection to NATS.
type Engine struct {
	// Store has the records of uploads.
	Store *natsstore.Store

	address Address
	conn    *nats.Conn
	js      jetstream.JetStream
	node    *node // nil without an embedded server
}

// Open connects to the servers, and creates the bucket of the records if it does not exist.
// name is that of the connection. The servers are required: if none responds, Open fails.
// Errors do not have credentials.
func Open(ctx context.Context, a Address, name string, logf func(format string, args ...any)) (*Engine, error) {
	e := &Engine{address: a}
	if err := e.open(ctx, name, logf); err != nil {
		e.Close()
		return nil, fmt.Errorf("NATS at %v: %w", a, err)
	}
	return e, nil
}

func (e *Engine) open(ctx context.Context, name string, logf func(string, ...any)) error {
	options := nats.Options{
		Servers: e.address.servers, Name: "tusup " + name, AllowReconnect: true, MaxReconnect: -1, IgnoreAuthErrorAbort: true,
		ReconnectWait: 100 * time.Millisecond, ReconnectJitter: 100 * time.Millisecond, ReconnectJitterTLS: 100 * time.Millisecond,
		Timeout: 5 * time.Second, PingInterval: 5 * time.Second, MaxPingsOut: 2,
		ReconnectBufSize: nats.DefaultReconnectBufSize, DrainTimeout: nats.DefaultDrainTimeout,
		SubChanLen: nats.DefaultMaxChanLen, FlusherTimeout: nats.DefaultFlusherTimeout,
	}
	if e.address.Dir != "" {
		var err error
		if e.node, err = openNode(ctx, e.address.Dir, logf); err != nil {
			return err
		}
		u, err := e.node.url()
		if err != nil {
			return err
		}
		options.Servers, options.CustomDialer, options.IgnoreDiscoveredServers = []string{u.String()}, e.node, true
	}
	for _, apply := range e.address.options() {
		if err := apply(&options); err != nil {
			return err
		}
	}
	var err error
	if e.conn, err = options.Connect(); err != nil {
		return err
	}
	if e.js, err = jetstream.New(e.conn); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	replicas, err := e.replicasOf(ctx, "KV_"+e.address.bucket)
	if err != nil {
		return err
	}
	e.Store, err = natsstore.Open(ctx, e.conn, &natsstore.Options{Bucket: e.address.bucket, Replicas: replicas})
	return err
}

// options returns what the query of the address sets.
func (a Address) options() []nats.Option {
	var options []nats.Option
	if a.creds != "" {
		options = append(options, nats.UserCredentials(a.creds))
	}
	if a.ca != "" {
		options = append(options, nats.RootCAs(a.ca))
	}
	return options
}

// replicasOf returns the number of replicas of a stream: 0 if it exists and the address has
// none.
func (e *Engine) replicasOf(ctx context.Context, stream string) (int, error) {
	if e.address.replicas > 0 {
		return e.address.replicas, nil
	}
	err := retried(ctx, func(ctx context.Context) error {
		_, err := e.js.Stream(ctx, stream)
		return err
	})
	switch {
	case err == nil:
		return 0, nil
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return 0, err
	case e.conn.ConnectedClusterName() != "":
		return clusterReplicas, nil
	}
	return 1, nil
}

// Close closes the connection, and ends an embedded server of this process.
func (e *Engine) Close() {
	if e.conn != nil {
		e.conn.Close()
	}
	if e.node != nil {
		e.node.close()
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// nodeArgument is the argument of a process with a NATS server, which can be killed.
const nodeArgument = "nats-node"

// nodeConfig is the standard input of such a process.
type nodeConfig struct {
	Name, Dir     string
	Port, Cluster int
	Routes        []int // ports of all servers for each other
}

// runNode runs a NATS server until standard input ends.
func runNode(stdin io.Reader) error {
	input := json.NewDecoder(stdin)
	var c nodeConfig
	if err := input.Decode(&c); err != nil {
		return err
	}
	opts := &server.Options{
		ServerName: c.Name, Host: "127.0.0.1", Port: c.Port, JetStream: true, StoreDir: c.Dir, SyncAlways: true, NoLog: true, NoSigs: true,
		Cluster: server.ClusterOpts{Name: "demo", Host: "127.0.0.1", Port: c.Cluster},
	}
	for _, port := range c.Routes {
		opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", port)})
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.Start()
	_, err = io.Copy(io.Discard, stdin)
	s.Shutdown()
	return err
}

// startNodes starts three NATS servers, and returns when they have a leader.
func (f *fleet) startNodes(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ports, err := freePorts(6)
	if err != nil {
		return err
	}
	f.nodes = map[string]*exec.Cmd{}
	var servers []string
	for i := range 3 {
		c := nodeConfig{Name: fmt.Sprint("nats-", i+1), Port: ports[i], Cluster: ports[3+i], Routes: ports[3:]}
		c.Dir = filepath.Join(f.dir, c.Name)
		servers = append(servers, fmt.Sprint("127.0.0.1:", c.Port))
		cmd := exec.CommandContext(ctx, self, nodeArgument)
		cmd.Stderr = os.Stderr
		stdin, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err == nil {
			err = json.NewEncoder(stdin).Encode(c)
		}
		if err != nil {
			return err
		}
		f.nodes[c.Name] = cmd
	}
	f.state = "nats://" + servers[0] + "," + servers[1] + "," + servers[2]
	return f.withCluster(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.AccountInfo(ctx)
		return err
	})
}

// freePorts returns ports on which no server listens.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// withCluster calls do until it succeeds, with a connection to the cluster.
func (f *fleet) withCluster(ctx context.Context, do func(context.Context, jetstream.JetStream) error) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := errors.New("no attempt")
	for ctx.Err() == nil {
		if err = f.withConnection(ctx, do); err == nil {
			return nil
		}
		_ = sleep(ctx, 100*time.Millisecond)
	}
	return fmt.Errorf("NATS: %w", err)
}

func (f *fleet) withConnection(ctx context.Context, do func(context.Context, jetstream.JetStream) error) error {
	conn, err := nats.Connect(f.state)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return do(ctx, js)
}

// killLeader kills the server that leads the stream of the queue.
func (f *fleet) killLeader(ctx context.Context) error {
	leader := ""
	err := f.withCluster(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, "tus-uploads-jobs")
		if err != nil {
			return err
		}
		if leader = stream.CachedInfo().Cluster.Leader; f.nodes[leader] == nil {
			return errors.New("the queue has no leader")
		}
		return nil
	})
	if err != nil {
		return err
	}
	say("Killing %s, the leader of the queue", leader)
	kill(f.nodes[leader])
	f.killed = append(f.killed, leader)
	return nil
}

package natsstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func runServer(ctx context.Context, config []byte, emit func(any)) error {
	var c serverConfig
	if err := json.Unmarshal(config, &c); err != nil {
		return err
	}
	opts := options(c.Dir)
	opts.ServerName, opts.Port, opts.SyncAlways = c.Name, c.Port, c.SyncAlways
	if c.Cluster != 0 {
		opts.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: c.Cluster}
		for _, port := range c.Routes {
			opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", port)})
		}
	}
	if c.MemoryLimit > 0 {
		debug.SetMemoryLimit(c.MemoryLimit)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return errors.New("the server is not ready")
	}
	emit(os.Getpid()) // accepts connections
	<-ctx.Done()
	stop(s)
	return nil
}

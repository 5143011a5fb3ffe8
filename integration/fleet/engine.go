//go:build unix

package fleet

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/postgres"
)

// engine is what keeps the state of uploads.
type engine interface {
	name() string
	// url is what a worker connects to.
	url() string
	// fail kills a server, and repairs the engine: after the time down, another server can
	// take over.
	fail(down time.Duration) error
	// signal sends a signal to all servers.
	signal(syscall.Signal)
}

const (
	engineNATS     = "NATS"
	enginePostgres = "PostgreSQL"
)

// openEngine opens the store of an engine and returns a function that closes it.
func openEngine(ctx context.Context, engine, url string) (sharedStore, func(), error) {
	if engine == engineNATS {
		return openNATS(ctx, url)
	}
	return openPostgres(ctx, url)
}

// eachEngine runs a test with all engines at the same time, whatever the number of processors:
// the tests mostly wait. nodes is the number of nodes of a cluster of NATS.
func eachEngine(t *testing.T, nodes int, test func(*testing.T, engine)) {
	var tests sync.WaitGroup
	tests.Go(func() {
		t.Run(engineNATS, func(t *testing.T) { test(t, newNATS(t, nodes)) })
	})
	tests.Go(func() {
		t.Run(enginePostgres, func(t *testing.T) {
			postgres.Need(t)
			test(t, newPostgres(t))
		})
	})
	tests.Wait()
}

// Package natsstore_test tests package natsstore with servers. They are in this module so
// that the module of the package does not require the server.
package natsstore_test

import (
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/natsstore"
	"github.com/seed-175555ba/tus-go/storage/storagetest"
)

func TestStore_PassesStoreTests(t *testing.T) {
	t.Parallel()
	opts := options(t.TempDir())
	opts.SyncAlways = false // there are many changes, and no failure
	url := start(t, opts).ClientURL()
	openNamed := func(t *testing.T, name string) storage.Store {
		return open(t, url, &natsstore.Options{Bucket: name})
	}
	storagetest.Run(t, func(t *testing.T) storage.Store { return openNamed(t, "run"+storage.NewID()) })
	storagetest.RunDurable(t, openNamed)
	if !testing.Short() { // the cluster has these tests
		storagetest.RunShared(t, openNamed)
	}
}

func TestCluster_PassesStoreTests(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute under the race detector; other tests of the cluster run")
	}
	t.Parallel()
	c := newCluster(t, false)
	calls := 0
	openNamed := func(t *testing.T, name string) storage.Store {
		calls++
		return open(t, c.url(calls%3), &natsstore.Options{Bucket: name, Replicas: 3})
	}
	storagetest.RunShared(t, openNamed)
}

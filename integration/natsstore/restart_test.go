package natsstore_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/natsstore"
)

// renewals renew records in the background, each in its own goroutine.
type renewals struct {
	t     *testing.T
	store storage.Store
	stop  chan struct{}
	group sync.WaitGroup

	acknowledged atomic.Int64
	mu           sync.Mutex
	records      map[string]storage.Record // as acknowledged
	last         time.Time                 // when any renewal was acknowledged
	gap          time.Duration             // the longest time without one
}

// renew creates n records and renews them every pause until finish is called.
func renew(t *testing.T, s storage.Store, n int, pause time.Duration) *renewals {
	t.Helper()
	r := &renewals{t: t, store: s, stop: make(chan struct{}), records: map[string]storage.Record{}, last: time.Now()}
	for i := range n {
		rec := put(t, s, record(fmt.Sprint("key ", i)))
		r.group.Go(func() {
			for {
				select {
				case <-r.stop:
					return
				case <-time.After(pause):
				}
				rec.Size++
				stored, err := s.Put(t.Context(), rec)
				if err != nil || stored.Revision != rec.Revision+1 {
					t.Errorf("renewal of revision %d: %d, %v", rec.Revision, stored.Revision, err)
					return
				}
				rec = stored
				r.note(rec)
			}
		})
	}
	return r
}

func (r *renewals) note(rec storage.Record) {
	r.acknowledged.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records[rec.ID] = rec
	r.gap = max(r.gap, time.Since(r.last))
	r.last = time.Now()
}

// waitFor waits for more acknowledged renewals.
func (r *renewals) waitFor(n int64) {
	r.t.Helper()
	want := r.acknowledged.Load() + n
	for end := time.Now().Add(time.Minute); r.acknowledged.Load() < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) || r.t.Failed() {
			r.t.Fatalf("%d of %d renewals", r.acknowledged.Load(), want)
		}
	}
}

// finish stops the renewals and compares the records with those in a store.
func (r *renewals) finish(s storage.Store) {
	r.t.Helper()
	close(r.stop)
	r.group.Wait()
	lost, stored := 0, 0
	for rec, err := range s.All(r.t.Context()) {
		if err != nil {
			r.t.Fatal(err)
		}
		stored++
		if want := r.records[rec.ID]; rec.Revision != want.Revision || rec.Size != want.Size {
			r.t.Errorf("record %s is at revision %d, acknowledged is %d", rec.ID, rec.Revision, want.Revision)
			lost++
		}
	}
	if stored != len(r.records) {
		r.t.Errorf("%d records, want %d", stored, len(r.records))
	}
	r.t.Logf("%d acknowledged revisions, of which %d lost; longest time without one %v", r.acknowledged.Load(), lost, r.gap.Round(time.Millisecond))
}

// A server that is stopped and started again has all records, and the calls in flight succeed.
func TestStore_ServerRestarts(t *testing.T) {
	t.Parallel()
	opts := options(t.TempDir())
	opts.Port = freePorts(t, 1)[0]
	srv := start(t, opts)
	s := open(t, srv.ClientURL(), nil)
	r := renew(t, s, 10, 5*time.Millisecond)
	for range 2 {
		r.waitFor(50)
		stop(srv)
		time.Sleep(300 * time.Millisecond)
		srv = start(t, opts.Clone())
	}
	r.waitFor(50)
	r.finish(open(t, srv.ClientURL(), nil))
}

// A server that writes to disk before it responds loses nothing if it is killed.
func TestStore_ServerIsKilled(t *testing.T) {
	t.Parallel()
	config := serverConfig{Dir: t.TempDir(), Name: "server", Port: freePorts(t, 1)[0], SyncAlways: true}
	_, server := startAlone(t, config)
	url := fmt.Sprint("nats://127.0.0.1:", config.Port)
	r := renew(t, open(t, url, nil), 10, 5*time.Millisecond)
	for range 3 {
		r.waitFor(50)
		server.Kill()
		_, server = startAlone(t, config)
	}
	r.waitFor(50)
	r.finish(open(t, url, nil))
}

// A server that is killed rebuilds its state from its files. Deleted records must be deleted
// there, as their markers have expired.
func TestDelete_RecordStaysDeletedIfServerIsKilled(t *testing.T) {
	t.Parallel()
	config := serverConfig{Dir: t.TempDir(), Name: "server", Port: freePorts(t, 1)[0]}
	_, server := startAlone(t, config)
	url := fmt.Sprint("nats://127.0.0.1:", config.Port)
	s := open(t, url, nil)
	for i := range 10 {
		put(t, s, record("kept"))
		rec := put(t, s, record("deleted"))
		for range i { // each revision must be gone
			rec = put(t, s, rec)
		}
		if err := s.Delete(t.Context(), rec.ID, rec.Revision); err != nil {
			t.Fatal(err)
		}
	}
	waitForMessages(t, url, 10)
	server.Kill()
	startAlone(t, config)
	for fingerprint, want := range map[string]int{"kept": 10, "deleted": 0} {
		if found, err := s.Find(t.Context(), fingerprint); len(found) != want || err != nil {
			t.Errorf("found %d records %s, %v, want %d", len(found), fingerprint, err, want)
		}
	}
	waitForMessages(t, url, 10)
}

// Three servers keep three replicas. The one that leads the bucket is killed.
func TestCluster_LeaderIsKilled(t *testing.T) {
	t.Parallel()
	c := newCluster(t, true)
	s := open(t, c.urls(), &natsstore.Options{Replicas: 3})
	r := renew(t, s, 50, 50*time.Millisecond)
	for range 2 {
		r.waitFor(200)
		leader := c.leader("tus-uploads")
		c.servers[leader].Kill()
		r.waitFor(200)
		c.start(leader)
		c.waitForReplicas("tus-uploads")
	}
	r.waitFor(100)
	r.finish(s)
}

// All servers are killed at the same time. They sync each change, so no acknowledged one is
// lost, and deleted records stay deleted.
func TestCluster_AllServersAreKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	c := newCluster(t, true)
	s := open(t, c.urls(), &natsstore.Options{Replicas: 3})
	for range 10 {
		rec := put(t, s, record("deleted"))
		if err := s.Delete(t.Context(), rec.ID, rec.Revision); err != nil {
			t.Fatal(err)
		}
	}
	waitForMessages(t, c.url(0), 0)
	r := renew(t, s, 20, 20*time.Millisecond)
	r.waitFor(200)
	for _, server := range c.servers {
		server.Kill()
	}
	for i := range c.servers {
		c.start(i)
	}
	r.waitFor(100)
	if found, err := s.Find(t.Context(), "deleted"); len(found) != 0 || err != nil {
		t.Errorf("found %d deleted records, %v", len(found), err)
	}
	r.finish(s)
}

// Workers that start at the same time create the bucket once.
func TestOpen_ManyAtOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t, false)
	for name, replicas := range map[string]int{"single": 1, "replicated": 3} {
		var group sync.WaitGroup
		begin := make(chan struct{})
		stores := make([]session, 20)
		for i := range stores {
			conn := connect(t, c.url(i%3))
			group.Go(func() {
				<-begin
				s, err := natsstore.Open(t.Context(), conn, &natsstore.Options{Bucket: name, Replicas: replicas})
				if err != nil {
					t.Errorf("worker %d: %v", i, err)
				}
				stores[i] = session{s, conn}
			})
		}
		close(begin)
		group.Wait()
		if t.Failed() {
			return
		}
		rec := put(t, stores[0], record("key"))
		for _, s := range stores {
			if found, err := s.Find(t.Context(), "key"); err != nil || len(found) != 1 || found[0].ID != rec.ID {
				t.Errorf("found %v, %v", found, err)
			}
		}
		contend(t, stores, rec)
	}
}

// contend puts one revision over all stores at the same time. One must succeed.
func contend(t *testing.T, stores []session, rec storage.Record) {
	t.Helper()
	var group sync.WaitGroup
	var succeeded atomic.Int32
	for _, s := range stores {
		group.Go(func() {
			if _, err := s.Put(t.Context(), rec); err == nil {
				succeeded.Add(1)
			} else if !errors.Is(err, storage.ErrConflict) {
				t.Errorf("Put: %v, want ErrConflict", err)
			}
		})
	}
	group.Wait()
	if n := succeeded.Load(); n != 1 {
		t.Errorf("%d of %d calls of Put succeeded, want 1", n, len(stores))
	}
}

// Of several records with one ID and different fingerprints, one is stored, whether the ID is
// new or was deleted.
func TestCluster_IDIsCreatedOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t, false)
	var stores []session
	for i := range 3 {
		stores = append(stores, open(t, c.url(i), &natsstore.Options{Replicas: 3}))
	}
	rec := record("")
	for range 30 {
		var group sync.WaitGroup
		var succeeded atomic.Int32
		for i := range 12 {
			rec := rec
			rec.Fingerprint = fmt.Sprint("key ", i)
			group.Go(func() {
				if _, err := stores[i%3].Put(t.Context(), rec); err == nil {
					succeeded.Add(1)
				} else if !errors.Is(err, storage.ErrConflict) {
					t.Errorf("Put: %v, want ErrConflict", err)
				}
			})
		}
		group.Wait()
		stored := 0
		for got, err := range stores[0].All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			stored++
			if err := stores[1].Delete(t.Context(), got.ID, got.Revision); err != nil {
				t.Fatal(err)
			}
		}
		if n := succeeded.Load(); n != 1 || stored != 1 {
			t.Fatalf("%d calls of Put succeeded, %d records are stored, want 1", n, stored)
		}
	}
}

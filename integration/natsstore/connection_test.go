package natsstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/seed-175555ba/tus-go/integration/netfault"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/natsstore"
)

// through starts a server, and returns its URL and a proxy before it.
func through(t *testing.T) (url string, proxy *netfault.Proxy) {
	t.Helper()
	url = start(t, options(t.TempDir())).ClientURL()
	return url, netfault.New(t, strings.TrimPrefix(url, "nats://"))
}

// The response to a change is lost, and the connection with it.
func TestPut_ResponseIsLost(t *testing.T) {
	t.Parallel()
	url, proxy := through(t)
	lose := netfault.Plan{Faults: []netfault.Fault{{In: netfault.Down, Since: []string{`{"stream":"KV_`}, Do: netfault.Reset}}}
	lost := 0
	s := func() session {
		proxy.Next(lose)
		lost++
		return open(t, proxy.Through(url), nil)
	}
	rec := put(t, s(), record("key"))
	if rec.Revision != 1 {
		t.Errorf("revision %d after the creation, want 1", rec.Revision)
	}
	first := rec
	rec = put(t, s(), rec)
	if rec.Revision != 2 {
		t.Errorf("revision %d after an update, want 2", rec.Revision)
	}
	if _, err := s().Put(t.Context(), first); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("Put of the old revision: %v, want ErrConflict", err)
	}
	lost-- // it was refused, and nothing was stored
	before := lastSequence(t, url)
	if err := s().Delete(t.Context(), rec.ID, rec.Revision); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if found, err := open(t, url, nil).Find(t.Context(), "key"); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v after Delete", found, err)
	}
	// If the server was killed, the first marker may not have removed the record on disk.
	if n := lastSequence(t, url) - before; n != 2 {
		t.Errorf("%d markers are stored, want 2", n)
	}
	if proxy.Fired() < lost {
		t.Errorf("%d responses were lost, want %d", proxy.Fired(), lost)
	}
}

// lastSequence returns the sequence of the last message in the bucket.
func lastSequence(t *testing.T, url string) uint64 {
	t.Helper()
	bucket, err := jetStream(t, url).Stream(t.Context(), "KV_tus-uploads")
	if err != nil {
		t.Fatal(err)
	}
	return bucket.CachedInfo().State.LastSeq
}

// The connection stays open, but no byte passes. The client notices that, and connects again.
func TestPut_ConnectionFreezes(t *testing.T) {
	t.Parallel()
	url, proxy := through(t)
	for _, test := range []struct {
		name  string
		fault netfault.Fault
	}{
		{"before the message", netfault.Fault{In: netfault.Up, Since: []string{"HPUB $KV."}, Do: netfault.Stall}},
		{"before the response", netfault.Fault{In: netfault.Down, Since: []string{`{"stream":"KV_`}, Do: netfault.Stall}},
	} {
		t.Run(test.name, func(t *testing.T) {
			proxy.Next(netfault.Plan{Faults: []netfault.Fault{test.fault}})
			s := open(t, proxy.Through(url), nil)
			begin := time.Now()
			if rec := put(t, s, record(test.name)); rec.Revision != 1 {
				t.Errorf("revision %d, want 1", rec.Revision)
			}
			t.Logf("Put took %v", time.Since(begin).Round(time.Millisecond))
		})
	}
}

// While a connection is frozen, each method ends with its context.
func TestStore_FrozenConnectionEndsWithContext(t *testing.T) {
	t.Parallel()
	for name, freeze := range map[string]netfault.Fault{
		"in the handshake":    {In: netfault.Up, Since: []string{"PING"}, Do: netfault.Stall},
		"after the handshake": {In: netfault.Down, Since: []string{"PONG\r\n"}, Do: netfault.Stall},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testFrozen(t, netfault.Plan{Faults: []netfault.Fault{freeze}})
		})
	}
}

func testFrozen(t *testing.T, freeze netfault.Plan) {
	url, proxy := through(t)
	direct := open(t, url, nil)
	rec := put(t, direct, record("key"))
	for name, call := range calls(rec) {
		proxy.Next(netfault.Plan{})
		conn := connect(t, proxy.Through(url), nats.PingInterval(time.Minute), nats.Timeout(time.Second))
		s, err := natsstore.Open(t.Context(), conn, nil)
		if err != nil {
			t.Fatal(err)
		}
		fired := proxy.Fired()
		proxy.Always(freeze)
		proxy.ResetAll()
		for proxy.Fired() == fired {
			time.Sleep(time.Millisecond)
		}
		wantDeadline(t, name, func(ctx context.Context) error { return call(ctx, s) })
		conn.Close()
	}
}

// calls returns a call of each method that returns an error.
func calls(rec storage.Record) map[string]func(context.Context, *natsstore.Store) error {
	return map[string]func(context.Context, *natsstore.Store) error{
		"Find": func(ctx context.Context, s *natsstore.Store) error {
			_, err := s.Find(ctx, rec.Fingerprint)
			return err
		},
		"Put": func(ctx context.Context, s *natsstore.Store) error {
			_, err := s.Put(ctx, rec)
			return err
		},
		"Delete": func(ctx context.Context, s *natsstore.Store) error { return s.Delete(ctx, rec.ID, rec.Revision) },
		"All": func(ctx context.Context, s *natsstore.Store) error {
			for _, err := range s.All(ctx) {
				return err
			}
			return nil
		},
		"Now": func(ctx context.Context, s *natsstore.Store) error {
			_, err := s.Now(ctx)
			return err
		},
	}
}

// wantDeadline calls f with a context that ends, by its deadline and by a cancellation. f must
// return the error of the context soon after.
func wantDeadline(t *testing.T, name string, f func(context.Context) error) {
	t.Helper()
	const wait = 200 * time.Millisecond
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	err := f(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s: %v, want DeadlineExceeded", name, err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(wait, cancel)
	if err := f(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%s: %v, want Canceled", name, err)
	}
	if d := time.Since(begin); d > 2*wait+500*time.Millisecond {
		t.Errorf("%s took %v", name, d)
	}
}

// Without a server, each method ends by itself. The errors have no credentials.
func TestStore_ServerIsAway(t *testing.T) {
	t.Parallel()
	opts := options(t.TempDir())
	opts.Username, opts.Password = "user", "secret"
	srv := start(t, opts)
	url := strings.Replace(srv.ClientURL(), "//", "//user:secret@", 1)
	s := open(t, url, nil)
	rec := put(t, s, record("key"))
	stop(srv)
	var group sync.WaitGroup
	for name, call := range calls(rec) {
		group.Go(func() {
			begin := time.Now()
			err := call(t.Context(), s.Store)
			var failure *storage.Error
			if !errors.As(err, &failure) || errors.Is(err, storage.ErrConflict) || errors.Is(err, storage.ErrClosed) {
				t.Errorf("%s: %v, want another *storage.Error", name, err)
			}
			if strings.Contains(fmt.Sprint(err), "secret") {
				t.Errorf("%s: the error has the password: %v", name, err)
			}
			if d := time.Since(begin); d < 14*time.Second || d > 17*time.Second {
				t.Errorf("%s ended after %v, want 15s: %v", name, d, err)
			}
		})
		wantDeadline(t, name, func(ctx context.Context) error { return call(ctx, s.Store) })
	}
	group.Wait()
}

// Renewals go on while connections are cut.
func TestPut_ConnectionIsCutRepeatedly(t *testing.T) {
	t.Parallel()
	url, proxy := through(t)
	s := open(t, proxy.Through(url), nil)
	rec := put(t, s, record("key"))
	stopCutting := make(chan struct{})
	cutting := make(chan struct{})
	go func() {
		defer close(cutting)
		for {
			select {
			case <-stopCutting:
				return
			case <-time.After(300 * time.Millisecond):
				proxy.ResetAll()
			}
		}
	}()
	for want := int64(2); want < 80; want++ {
		time.Sleep(10 * time.Millisecond)
		if rec = put(t, s, rec); rec.Revision != want {
			t.Fatalf("revision %d, want %d", rec.Revision, want)
		}
	}
	close(stopCutting)
	<-cutting
	if n := proxy.Accepted(); n < 3 {
		t.Errorf("%d connections, want more", n)
	}
}

func TestStore_ClosedConnectionIsErrClosed(t *testing.T) {
	t.Parallel()
	url := start(t, options(t.TempDir())).ClientURL()
	for name, end := range map[string]func(*nats.Conn){
		"closed":  (*nats.Conn).Close,
		"drained": func(c *nats.Conn) { c.Drain() },
	} {
		s := open(t, url, nil)
		rec := put(t, s, record("key"))
		end(s.conn)
		for call, f := range calls(rec) {
			if err := f(t.Context(), s.Store); !errors.Is(err, storage.ErrClosed) {
				t.Errorf("%s of a store with a %s connection: %v, want ErrClosed", call, name, err)
			}
		}
	}
}

// A server does not respond to a request that the user has no permission for.
func TestPut_MissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	opts := options(t.TempDir())
	opts.Users = []*server.User{
		{Username: "admin", Password: "x"},
		{Username: "reader", Password: "x", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*"}}}},
	}
	srv := start(t, opts)
	rec := put(t, open(t, strings.Replace(srv.ClientURL(), "//", "//admin:x@", 1), nil), record("key"))
	s := open(t, strings.Replace(srv.ClientURL(), "//", "//reader:x@", 1), nil)
	if found, err := s.Find(t.Context(), "key"); len(found) != 1 || err != nil {
		t.Errorf("Find: %v, %v", found, err)
	}
	if _, err := s.Put(t.Context(), rec); !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("Put: %v, want ErrPermissionViolation", err)
	}
}

// A Put that failed while the connection was lost is not sent when it is back.
func TestPut_FailedIsNotSentLater(t *testing.T) {
	t.Parallel()
	opts := options(t.TempDir())
	opts.Port = freePorts(t, 1)[0]
	srv := start(t, opts)
	s := open(t, srv.ClientURL(), nil)
	stop(srv)
	for s.conn.IsConnected() {
		time.Sleep(time.Millisecond)
	}
	wantDeadline(t, "Put", func(ctx context.Context) error {
		_, err := s.Put(ctx, record("key"))
		return err
	})
	start(t, opts.Clone())
	put(t, s, record("other key"))
	if found, err := s.Find(t.Context(), "key"); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
}

package natsstore_test

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/natsstore"
)

func TestMain(m *testing.M) {
	child.Main(serverRole())
	flag.Parse()
	flag.Set("test.parallel", "8") // most tests wait for timeouts and elections
	os.Exit(m.Run())
}

// options are the options of a server for tests that writes to disk before it responds.
func options(dir string) *server.Options {
	return &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: dir, SyncAlways: true,
	}
}

// start starts a server in this process.
func start(t testing.TB, opts *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { stop(s) })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	return s
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// connect connects to a server with the options that the package comment recommends.
func connect(t testing.TB, url string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	opts = append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.PingInterval(time.Second),
	}, opts...)
	conn, err := nats.Connect(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// session is a store that closes its connection.
type session struct {
	*natsstore.Store
	conn *nats.Conn
}

func (s session) Close() error {
	s.conn.Close()
	return nil
}

// open opens a bucket over a new connection.
func open(t testing.TB, url string, opts *natsstore.Options) session {
	t.Helper()
	conn := connect(t, url)
	s, err := natsstore.Open(t.Context(), conn, opts)
	if err != nil {
		t.Fatal(err)
	}
	return session{s, conn}
}

// serverConfig is the configuration of a server in another process.
type serverConfig struct {
	Dir        string
	Name       string
	Port       int
	Cluster    int   // the port for the other servers; 0 without a cluster
	Routes     []int // ports of the other servers
	SyncAlways bool

	MemoryLimit int64 // as GOMEMLIMIT sets it; 0 means none
}

// serverRole runs a server in another process, which can be killed.
func serverRole() child.Role {
	return child.Role{Name: "nats-server", Run: runServer}
}

func record(fingerprint string) storage.Record {
	return storage.Record{
		ID: storage.NewID(), Fingerprint: fingerprint, Endpoint: "https://example.org/files/",
		UploadURL: "https://example.org/files/" + storage.NewID(), Size: 1 << 30,
		Created: time.Now(), Updated: time.Now(),
	}
}

func put(t testing.TB, s storage.Store, rec storage.Record) storage.Record {
	t.Helper()
	stored, err := s.Put(t.Context(), rec)
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	return stored
}

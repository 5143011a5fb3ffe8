package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-175555ba/tus-go/examples/fleet/internal/halfway"
	"github.com/seed-175555ba/tus-go/storage/natsstore"
	"github.com/seed-175555ba/tus-go/tus"
)

// workerVariable makes the test binary a worker process.
const workerVariable = "JETSTREAM_TEST_WORKER"

// lease is the minimum.
const lease = 5 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(workerVariable) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := run(ctx, lease, os.Args[1:]); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// startNATS starts a server, sets NATS_URL and returns a connection.
func startNATS(t *testing.T) *nats.Conn {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server is not ready")
	}
	t.Setenv("NATS_URL", s.ClientURL())
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// startWorker runs a worker in this process. stop ends it as SIGTERM does.
func startWorker(t *testing.T, files ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		if err := run(ctx, lease, files); err != nil {
			t.Errorf("worker: %v", err)
		}
	}()
	stop = func() {
		t.Helper()
		cancel()
		halfway.Receive(t, ended, "the worker does not stop")
	}
	t.Cleanup(stop)
	return stop
}

// queueInfo returns the state of the queue, which the first worker creates.
func queueInfo(t *testing.T, conn *nats.Conn) *jetstream.ConsumerInfo {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	queue, err := js.Consumer(t.Context(), "uploads", "workers")
	if err != nil {
		return &jetstream.ConsumerInfo{}
	}
	info, err := queue.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// waitForJobs waits until n jobs are acknowledged, and none is left.
func waitForJobs(t *testing.T, conn *nats.Conn, n uint64) {
	t.Helper()
	halfway.Eventually(t, "the jobs are acknowledged", func() bool {
		info := queueInfo(t, conn)
		return info.AckFloor.Stream == n && info.NumAckPending == 0 && info.NumPending == 0
	})
}

func TestWorker_KilledIsTakenOver(t *testing.T) {
	server, conn := halfway.NewServer(t), startNATS(t)
	first := exec.Command(os.Args[0], server.File)
	first.Env = append(os.Environ(), workerVariable+"=1")
	first.Stderr = os.Stderr
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Process.Kill() })
	server.Wait(t)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	server.Cut()

	startWorker(t)
	waitForJobs(t, conn, 1)
	server.CheckSentOnce(t)
}

func TestWorker_StoppedIsTakenOverAtOnce(t *testing.T) {
	server, conn := halfway.NewServer(t), startNATS(t)
	stop := startWorker(t, server.File)
	server.Wait(t)
	stop()
	server.Cut()

	stopped := time.Now()
	startWorker(t)
	waitForJobs(t, conn, 1)
	server.CheckSentOnce(t)
	if waited := time.Since(stopped); waited >= lease {
		t.Errorf("the second worker was done after %v: it waited for the queue or a lease", waited)
	}
	if n := queueInfo(t, conn).Delivered.Consumer; n != 2 {
		t.Errorf("the job was delivered %d times, want 2", n)
	}
}

// The holder of the lease is an uploader in this process, which renews it.
func TestWork_LiveLeaseReturnsJob(t *testing.T) {
	server, conn := halfway.NewServer(t), startNATS(t)
	store, err := natsstore.Open(t.Context(), conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tus.NewClientFromEnv(&tus.Options{Store: store, RequireStore: true, Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = client.UploadFile(ctx, server.File, &tus.UploadOptions{CreationLimit: -1}) // canceled
	}()
	server.Wait(t)

	startWorker(t, server.File)
	deliveries := func() uint64 { return queueInfo(t, conn).Delivered.Consumer }
	halfway.Eventually(t, "the job is delivered", func() bool { return deliveries() > 0 })
	began := time.Now()
	halfway.Eventually(t, "the job is delivered again", func() bool { return deliveries() > 1 })
	if waited := time.Since(began); waited < lease/3 {
		t.Errorf("the job is delivered again after %v, although the lease runs", waited)
	}
	cancel()
	halfway.Receive(t, ended, "the upload is not canceled")
	server.Cut()
	waitForJobs(t, conn, 1)
	server.CheckSentOnce(t)
}

func TestWorker_RepeatedJobSendsNothing(t *testing.T) {
	server, conn := halfway.NewServer(t), startNATS(t)
	server.Cut()
	stop := startWorker(t, server.File)
	waitForJobs(t, conn, 1)
	stop()
	before := len(server.Requests())

	startWorker(t, server.File)
	waitForJobs(t, conn, 2)
	if n := len(server.Requests()); n != before {
		t.Errorf("the repeated job made %d requests", n-before)
	}
}

// A job whose upload takes longer than the acknowledgment may take is not delivered again.
func TestWorker_HeartbeatKeepsJob(t *testing.T) {
	server, conn := halfway.NewServer(t), startNATS(t)
	startWorker(t, server.File)
	server.Wait(t)
	startWorker(t)
	time.Sleep(lease + time.Second) // the acknowledgment wait is counted by the server
	if n := queueInfo(t, conn).Delivered.Consumer; n != 1 {
		t.Errorf("the job was delivered %d times", n)
	}
	server.Cut()
	waitForJobs(t, conn, 1)
	server.CheckSentOnce(t)
}

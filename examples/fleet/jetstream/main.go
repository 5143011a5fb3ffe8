// Command jetstream uploads files in jobs of a work queue of NATS JetStream, which also has the
// state of the uploads. Run it on any number of machines with the same files; the arguments are
// added as jobs.
//
//	NATS_URL=nats://… TUS_ENDPOINT=https://example.org/files/ go run ./fleet/jetstream FILE...
//
// When a worker is killed:
//
//   - before or during the upload: its heartbeats end, and the queue delivers the job to another
//     worker after the time of a lease. If the lease of the upload still runs, the job goes back
//     to the queue until it ends. Otherwise the upload resumes at the offset of the server.
//   - after the upload, before the job is acknowledged: the next worker sends nothing, because
//     the store remembers the completed upload.
//
// SIGTERM pauses the upload, releases its lease and returns the job: another worker resumes it at
// once. A worker that was suspended or cut off for longer than its lease loses it, and its upload
// ends there. Only a server that locks uploads, or compares tus.Options.FenceHeader, refuses the
// rest of a request that was in flight.
//
// The command "tusup worker" of this repository is such a worker, with several uploads at a time,
// metrics, and a list of jobs that failed.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-175555ba/tus-go/storage/natsstore"
	"github.com/seed-175555ba/tus-go/tus"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, time.Minute, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

// run adds jobs for files, and works jobs until ctx is done.
func run(ctx context.Context, lease time.Duration, files []string) error {
	conn, err := nats.Connect(os.Getenv("NATS_URL"), nats.MaxReconnects(-1), nats.PingInterval(10*time.Second))
	if err != nil {
		return err
	}
	defer conn.Close()
	const replicas = 1 // 3 in a cluster
	store, err := natsstore.Open(ctx, conn, &natsstore.Options{Replicas: replicas})
	if err != nil {
		return err
	}
	client, err := tus.NewClientFromEnv(&tus.Options{
		Store: store, RequireStore: true, Lease: lease, RememberCompleted: 7 * 24 * time.Hour,
	})
	if err != nil {
		return err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: "uploads", Subjects: []string{"uploads"}, Retention: jetstream.WorkQueuePolicy, Replicas: replicas,
	})
	if err != nil {
		return err
	}
	for _, path := range files { // the same on all machines
		if _, err := js.Publish(ctx, "uploads", []byte(path)); err != nil {
			return err
		}
	}
	queue, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{Durable: "workers", AckWait: lease, MaxDeliver: -1})
	if err != nil {
		return err
	}
	u := &uploader{client: client, clock: store, heartbeat: lease / 4}
	u.run(ctx, queue)
	return nil
}

// Command river uploads files in jobs of River (https://riverqueue.com), with the jobs and the
// state of the uploads in one PostgreSQL database. Run it on any number of machines with the
// same files; the arguments are added as jobs.
//
//	DATABASE_URL=postgres://… TUS_ENDPOINT=https://example.org/files/ go run ./fleet/river FILE...
//
// River has no heartbeats: it rescues the job of a dead worker after a time that has to be
// longer than any job runs. Therefore an attempt of a job lasts at most one turn. Then the
// upload pauses, and continues in the next attempt, on any worker.
//
// When a worker is killed:
//
//   - before or during the upload: River rescues the job after a turn and a minute. If the lease
//     of the upload still runs, the job is snoozed until it ends. Otherwise the upload resumes
//     at the offset of the server.
//   - after the upload, before the job is completed: the next attempt sends nothing, because
//     the store remembers the completed upload.
//
// SIGTERM pauses the uploads, releases their leases and returns the jobs: other workers resume
// them at once. A worker that was suspended or cut off for longer than its lease loses it, and its
// upload ends there. Only a server that locks uploads, or compares tus.Options.FenceHeader,
// refuses the rest of a request that was in flight.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/seed-175555ba/tus-go/storage/pgstore"
	"github.com/seed-175555ba/tus-go/tus"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, 10*time.Minute, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

// run adds jobs for files, and works jobs until ctx is done.
func run(ctx context.Context, turn time.Duration, files []string) error {
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer pool.Close()
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	store, err := pgstore.Open(ctx, pool, &pgstore.Options{Create: true})
	if err != nil {
		return err
	}
	client, err := tus.NewClientFromEnv(&tus.Options{Store: store, RequireStore: true, RememberCompleted: 7 * 24 * time.Hour})
	if err != nil {
		return err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &uploader{client: client, clock: store})
	jobs, err := river.NewClient(driver, &river.Config{
		Workers: workers, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}},
		JobTimeout: turn, RescueStuckJobsAfter: turn + time.Minute, SoftStopTimeout: time.Second,
	})
	if err != nil {
		return err
	}
	for _, path := range files {
		if _, err := jobs.Insert(ctx, uploadJob{path}, nil); err != nil {
			return err
		}
	}
	if err := jobs.Start(ctx); err != nil {
		return err
	}
	<-jobs.Stopped()
	return nil
}

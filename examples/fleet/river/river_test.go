package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/examples/fleet/internal/halfway"
	"github.com/seed-175555ba/tus-go/storage/pgstore"
	"github.com/seed-175555ba/tus-go/tus"
)

// workerVariable makes the test binary a worker process.
const workerVariable = "RIVER_TEST_WORKER"

// turn is longer than a test.
const turn = 10 * time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(workerVariable) != "" {
		main()
		return
	}
	os.Exit(runTests(m))
}

// startWorker runs a worker in this process. stop ends it as SIGTERM does.
func startWorker(t *testing.T, turn time.Duration, files ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		if err := run(ctx, turn, files); err != nil {
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

// job is a row of River.
type job struct {
	State   string
	Attempt int
	Snoozes int
	Errors  int
}

// jobs returns all jobs. There is no table before the first worker starts.
func jobs(t *testing.T, pool *pgxpool.Pool) []job {
	t.Helper()
	rows, _ := pool.Query(t.Context(), `SELECT state, attempt, coalesce((metadata->>'snoozes')::int, 0) AS snoozes,
		coalesce(array_length(errors, 1), 0) AS errors FROM river_job`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[job]) // returns the error of Query as well
	var noTable *pgconn.PgError
	if err != nil && !(errors.As(err, &noTable) && noTable.Code == "42P01") {
		t.Fatal(err)
	}
	return all
}

// waitForJobs waits until there are n jobs that satisfy a condition.
func waitForJobs(t *testing.T, pool *pgxpool.Pool, n int, what string, ok func(job) bool) {
	t.Helper()
	halfway.Eventually(t, what, func() bool {
		all := jobs(t, pool)
		return len(all) == n && !slices.ContainsFunc(all, func(j job) bool { return !ok(j) })
	})
}

func completed(j job) bool { return j.State == "completed" }

func snoozed(j job) bool { return j.Snoozes > 0 }

func TestWorker_KilledIsTakenOver(t *testing.T) {
	server, pool := halfway.NewServer(t), newDatabase(t)
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
	if j := jobs(t, pool)[0]; j.State != "running" {
		t.Fatalf("the job of the killed worker is %s", j.State)
	}
	// A turn and a minute pass, for River: its leader was the killed worker.
	execute(t, os.Getenv("DATABASE_URL"), "UPDATE river_job SET attempted_at = attempted_at - interval '12 minutes'")
	execute(t, os.Getenv("DATABASE_URL"), "DELETE FROM river_leader")

	startWorker(t, turn)
	waitForJobs(t, pool, 1, "the job is completed", completed)
	server.CheckSentOnce(t)
}

func TestWorker_StoppedIsTakenOverAtOnce(t *testing.T) {
	server, pool := halfway.NewServer(t), newDatabase(t)
	stop := startWorker(t, turn, server.File)
	server.Wait(t)
	stop()
	server.Cut()
	if j := jobs(t, pool)[0]; j.State != "available" || j.Attempt != 0 {
		t.Errorf("the job of the stopped worker is %+v", j)
	}

	startWorker(t, turn)
	waitForJobs(t, pool, 1, "the job is completed", completed)
	server.CheckSentOnce(t)
	if j := jobs(t, pool)[0]; j.Snoozes != 1 || j.Errors != 0 {
		t.Errorf("the job waited for a lease, or failed: %+v", j)
	}
}

// The holder of the lease is an uploader in this process, which renews it.
func TestWorker_LiveLeaseSnoozesJob(t *testing.T) {
	server, pool := halfway.NewServer(t), newDatabase(t)
	store, err := pgstore.Open(t.Context(), pool, &pgstore.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	client, err := tus.NewClientFromEnv(&tus.Options{Store: store, RequireStore: true, Lease: 5 * time.Second})
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

	startWorker(t, turn, server.File)
	waitForJobs(t, pool, 1, "the job is snoozed", snoozed)
	cancel()
	halfway.Receive(t, ended, "the upload is not canceled")
	server.Cut()
	waitForJobs(t, pool, 1, "the job is completed", completed)
	server.CheckSentOnce(t)
	if j := jobs(t, pool)[0]; j.Errors != 0 {
		t.Errorf("the job failed: %+v", j)
	}
}

func TestWorker_TurnEndsAndUploadContinues(t *testing.T) {
	server, pool := halfway.NewServer(t), newDatabase(t)
	startWorker(t, time.Second, server.File)
	server.Wait(t)
	waitForJobs(t, pool, 1, "the job is snoozed", snoozed)
	server.Cut()
	waitForJobs(t, pool, 1, "the job is completed", completed)
	server.CheckSentOnce(t)
	if j := jobs(t, pool)[0]; j.Errors != 0 {
		t.Errorf("the job failed: %+v", j)
	}
}

func TestWorker_RepeatedJobSendsNothing(t *testing.T) {
	server, pool := halfway.NewServer(t), newDatabase(t)
	server.Cut()
	stop := startWorker(t, turn, server.File)
	waitForJobs(t, pool, 1, "the job is completed", completed)
	stop()
	before := len(server.Requests())

	startWorker(t, turn, server.File)
	waitForJobs(t, pool, 2, "both jobs are completed", completed)
	if n := len(server.Requests()); n != before {
		t.Errorf("the repeated job made %d requests", n-before)
	}
}

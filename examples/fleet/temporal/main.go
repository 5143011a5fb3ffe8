// Command temporal uploads files in workflows of Temporal (https://temporal.io). It needs no
// store: the heartbeats of the activity carry the token of the upload (tus.Uploader.Token). Run
// it on any number of machines with the same files; the arguments are uploaded.
//
//	TEMPORAL_ADDRESS=HOST:7233 TUS_ENDPOINT=https://example.org/files/ go run ./fleet/temporal FILE...
//
// When a worker is killed:
//
//   - before the upload: the next attempt begins it.
//   - during the upload: Temporal starts the next attempt, on any worker, after HeartbeatTimeout.
//     It gets the token and resumes at the offset of the server.
//   - after the upload, before the activity is completed: the next attempt requests the offset
//     and sends nothing.
//
// SIGTERM pauses the uploads and fails the attempts, which are repeated on other workers a second
// later. A worker that is cut off from Temporal ends its attempts after HeartbeatTimeout. One
// that was suspended for longer detects it late, and may send to an upload that another one has
// resumed: use a server that locks uploads, or set Store, RequireStore and RememberCompleted of
// tus.Options, as the other recipes do. With a store, the worker loses the lease of the upload,
// and a completed upload is not repeated after the server has deleted it.
package main

import (
	"context"
	"log"
	"os"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/seed-175555ba/tus-go/tus"
)

const taskQueue = "uploads"

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

// run starts workflows for files, and works until a signal arrives.
func run(ctx context.Context, files []string) error {
	temporal, err := client.Dial(client.Options{HostPort: os.Getenv("TEMPORAL_ADDRESS")})
	if err != nil {
		return err
	}
	defer temporal.Close()
	uploads, err := tus.NewClientFromEnv(nil)
	if err != nil {
		return err
	}
	for _, path := range files { // the same on all machines
		_, err := temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "upload " + path, TaskQueue: taskQueue}, UploadFile, path)
		if err != nil {
			return err
		}
	}
	w := worker.New(temporal, taskQueue, worker.Options{WorkerStopTimeout: 30 * time.Second})
	w.RegisterWorkflow(UploadFile)
	w.RegisterActivity(&Activities{Client: uploads})
	return w.Run(worker.InterruptCh())
}

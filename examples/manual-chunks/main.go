// Command manual-chunks sends an upload step by step with Uploader.Step, and chooses
// the delay after a failure itself.
//
//	go run ./manual-chunks ENDPOINT FILE
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: manual-chunks ENDPOINT FILE")
	}
	if err := upload(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func upload(ctx context.Context, endpoint, path string) error {
	client, err := tus.NewClient(endpoint, nil)
	if err != nil {
		return err
	}
	u, err := client.NewUploader(tus.File(path), &tus.UploadOptions{ChunkSize: 4 << 20})
	if err != nil {
		return err
	}
	for u.State() != tus.StateComplete {
		err := u.Step(ctx) // one request, one transition
		switch {
		case err == nil:
			fmt.Printf("%v at byte %d\n", u.State(), u.Offset())
		case u.State().Final(), !tus.IsRetryable(err):
			return err
		default:
			fmt.Printf("%v, retrying: %v\n", u.State(), err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	fmt.Println(u.URL())
	return nil
}

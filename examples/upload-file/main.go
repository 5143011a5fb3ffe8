// Command upload-file uploads one file, and resumes an interrupted upload when it is
// run again. It is the minimal resumable program.
//
//	go run ./upload-file ENDPOINT FILE
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: upload-file ENDPOINT FILE")
	}
	if err := upload(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func upload(endpoint, path string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	store, err := boltstore.Open("uploads.db", nil)
	if err != nil {
		return err
	}
	defer store.Close()
	client, err := tus.NewClient(endpoint, &tus.Options{Store: store})
	if err != nil {
		return err
	}
	result, err := client.UploadFile(ctx, path, nil)
	if err != nil {
		return fmt.Errorf("%d bytes are acknowledged, run again to resume: %w", result.Offset, err)
	}
	fmt.Printf("%s has %d bytes, resumed from %d\n", result.URL, result.Size, result.Stats.ResumedFrom)
	return nil
}

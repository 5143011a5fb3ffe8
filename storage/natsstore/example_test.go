package natsstore_test

import (
	"context"
	"log"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed-175555ba/tus-go/storage/natsstore"
	"github.com/seed-175555ba/tus-go/tus"
)

// Workers on several machines share the state of their uploads.
func Example() {
	ctx := context.Background()
	conn, err := nats.Connect("nats://a.example.org,nats://b.example.org,nats://c.example.org",
		nats.MaxReconnects(-1), nats.PingInterval(10*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	store, err := natsstore.Open(ctx, conn, &natsstore.Options{Bucket: "uploads", Replicas: 3})
	if err != nil {
		log.Fatal(err)
	}
	client, err := tus.NewClient("https://example.org/files/", &tus.Options{Store: store, RequireStore: true})
	if err != nil {
		log.Fatal(err)
	}
	// If another machine began this upload and ended, it is resumed where it stopped.
	if _, err := client.UploadFile(ctx, "/shared/movie.mp4", nil); err != nil {
		log.Fatal(err)
	}
}

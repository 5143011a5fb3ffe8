package pgstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/pgstore"
	"github.com/seed-175555ba/tus-go/tus"
)

// Workers on several machines share a primary and its standbys.
func Example() {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig("postgres://worker:password@db1,db2/uploads?target_session_attrs=read-write&connect_timeout=3")
	if err != nil {
		log.Fatal(err)
	}
	config.PingTimeout = 2 * time.Second
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	store, err := pgstore.Open(ctx, pool, &pgstore.Options{Create: true})
	if err != nil {
		log.Fatal(err)
	}
	client, err := tus.NewClient("https://example.org/files/", &tus.Options{Store: store, RequireStore: true})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.UploadFile(ctx, "movie.mp4", nil); err != nil {
		log.Fatal(err)
	}
}

// A migration creates the table.
func ExampleSchema() {
	fmt.Print(pgstore.Schema("uploads.records"))
	// Output:
	// CREATE TABLE IF NOT EXISTS "uploads"."records" (
	// 	id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9_-]{1,64}$'),
	// 	key bytea NOT NULL,
	// 	revision bigint NOT NULL,
	// 	token bytea NOT NULL,
	// 	record bytea NOT NULL
	// ) WITH (fillfactor = 80);
	// CREATE INDEX IF NOT EXISTS "records_key" ON "uploads"."records" (key);
}

// Expired records are deleted by the clock of the server. Run it from time to time, by one
// worker or by all.
func ExampleStore_Now() {
	deleteExpired := func(ctx context.Context, store *pgstore.Store) (int, error) {
		now, err := store.Now(ctx)
		if err != nil {
			return 0, err
		}
		return storage.DeleteExpired(ctx, store, now)
	}
	_ = deleteExpired
}

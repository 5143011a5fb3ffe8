package tus_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

// BenchmarkSmallFiles uploads 2,000 files of 4 KiB, where opening, stat and closing
// dominate.
func BenchmarkSmallFiles(b *testing.B) {
	const files, size = 2000, 4 << 10
	dir := b.TempDir()
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), randomBytes(size), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for name, store := range map[string]storage.Store{"no store": nil, "store": &storage.Memory{}} {
		b.Run(name, func(b *testing.B) {
			srv := httptest.NewServer(&discard{extensions: "creation,creation-with-upload"})
			defer srv.Close()
			client, err := tus.NewClient(srv.URL+"/files/", &tus.Options{Store: store})
			if err != nil {
				b.Fatal(err)
			}
			defer client.CloseIdleConnections()
			b.SetBytes(files * size)
			for b.Loop() {
				for i := range files {
					if _, err := client.UploadFile(context.Background(), filepath.Join(dir, fmt.Sprint(i)), nil); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

package pgstore_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/storage/pgstore"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// One worker fails, and another resumes its upload over its own connection. The connections
// of both break before each request.
func TestUpload_ResumesOverAnotherConnection(t *testing.T) {
	handler := tustest.NewHandler(nil)
	p, url := newProxy(t, serverURL(t))
	handler.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Action: tustest.Respond(500, "failure")})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.cut()
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	data := bytes.Repeat([]byte("0123456789"), 30_000)
	path := filepath.Join(t.TempDir(), "movie.mp4")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}

	table := newTable(t)
	var resumedAt []int64
	upload := func() (*pgstore.Store, *tus.Result, error) {
		s := openStore(t, newPool(t, url, func(c *pgxpool.Config) { c.MaxConns = 2 }), table)
		client, err := tus.NewClient(server.URL+"/files/", &tus.Options{
			Store: s, RequireStore: true, Retry: tus.RetryPolicy{MaxRetries: -1},
			Hooks: tus.Hooks{OnResumed: func(_ *tus.Uploader, r tus.Resumed) { resumedAt = append(resumedAt, r.Offset) }},
		})
		if err != nil {
			t.Fatal(err)
		}
		result, err := client.UploadFile(t.Context(), path, &tus.UploadOptions{ChunkSize: 100_000, CreationLimit: -1})
		return s, result, err
	}
	if _, _, err := upload(); err == nil {
		t.Fatal("the first worker does not fail")
	}
	s, result, err := upload()
	if err != nil {
		t.Fatal(err)
	}
	if len(resumedAt) != 1 || resumedAt[0] != 200_000 {
		t.Errorf("resumed at %v, want 200000", resumedAt)
	}
	if stored, ok := handler.Upload(result.URL); !ok || !bytes.Equal(stored.Data, data) {
		t.Error("the server has other data")
	}
	for rec, err := range s.All(t.Context()) {
		t.Errorf("the store has %+v, %v after the upload", rec, err)
	}
}

package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/pgstore"
)

const (
	// serverVariable is the connection string of the server for the tests that do not stop
	// it, for a superuser. If it is empty, TestMain starts a server.
	serverVariable = "TUS_TEST_POSTGRES"
	// requireVariable makes tests fail that would be skipped because PostgreSQL or PgBouncer
	// is not installed. CI sets it.
	requireVariable = "TUS_REQUIRE_POSTGRES"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(serverVariable) == "" {
		url, stop, err := startServer()
		switch {
		case err == nil:
			defer stop()
			os.Setenv(serverVariable, url)
		case !errors.Is(err, exec.ErrNotFound):
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// missing skips the test, or fails it where all tests must run.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(requireVariable) != "" {
		t.Fatalf("%s is missing, and %s is set", what, requireVariable)
	}
	t.Skipf("NOTICE: %s is missing", what)
}

// serverURL returns the connection string of a server that the tests share.
func serverURL(t testing.TB) string {
	t.Helper()
	url := os.Getenv(serverVariable)
	if url == "" {
		missing(t, "PostgreSQL")
	}
	return url
}

// newPool returns a pool that is closed after the test.
func newPool(t testing.TB, url string, changes ...func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		change(config)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// newTable returns the name of a table that is dropped after the test, and of no table yet.
func newTable(t testing.TB) string {
	table := "t" + storage.NewID()
	pool := newPool(t, serverURL(t))
	t.Cleanup(func() { execute(t, pool, "DROP TABLE IF EXISTS "+table) })
	return table
}

// openStore opens a store, whose table it creates.
func openStore(t testing.TB, pool *pgxpool.Pool, table string) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(context.Background(), pool, &pgstore.Options{Table: table, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newStore returns an empty store on the shared server.
func newStore(t testing.TB) (s *pgstore.Store, pool *pgxpool.Pool, table string) {
	t.Helper()
	pool, table = newPool(t, serverURL(t)), newTable(t)
	return openStore(t, pool, table), pool, table
}

func execute(t testing.TB, pool *pgxpool.Pool, statement string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(context.Background(), statement, args...); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
}

func put(t testing.TB, s *pgstore.Store, rec storage.Record) storage.Record {
	t.Helper()
	stored, err := s.Put(context.Background(), rec)
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	return stored
}

// wantStored tests that the store has exactly this record with its fingerprint.
func wantStored(t testing.TB, s *pgstore.Store, want storage.Record) {
	t.Helper()
	found, err := s.Find(context.Background(), want.Fingerprint)
	if err != nil || len(found) != 1 || found[0].ID != want.ID || found[0].Revision != want.Revision || found[0].UploadURL != want.UploadURL {
		t.Errorf("found %+v, %v, want %+v", found, err, want)
	}
}

func wantError(t testing.TB, call string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %q", call, err, want)
	}
	wantStorageError(t, call, err)
}

// wantStorageError tests that the error is a *storage.Error and contains no password.
func wantStorageError(t testing.TB, call string, err error) {
	t.Helper()
	var failure *storage.Error
	if !errors.As(err, &failure) {
		t.Errorf("%s: %v is not a *storage.Error", call, err)
		return
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err)} {
		if strings.Contains(text, "s3cret") {
			t.Errorf("%s: the error contains the password: %s", call, text)
		}
	}
}

func record(fingerprint string) storage.Record {
	return storage.Record{ID: storage.NewID(), Fingerprint: fingerprint, UploadURL: "https://example.org/files/1", Size: 1 << 20}
}

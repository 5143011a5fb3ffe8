package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/storage"
)

const (
	// serverVariable is the URL of a PostgreSQL server for tests, for a superuser. If it is
	// empty, TestMain starts a server.
	serverVariable = "TUS_TEST_POSTGRES"
	// requireVariable makes tests fail that would be skipped because PostgreSQL is not
	// installed. CI sets it.
	requireVariable = "TUS_REQUIRE_POSTGRES"
)

// runTests runs the tests with a server, if there is one.
func runTests(m *testing.M) int {
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

// newDatabase creates an empty database, which is dropped after the test, and sets
// DATABASE_URL.
func newDatabase(t *testing.T) *pgxpool.Pool {
	t.Helper()
	server := os.Getenv(serverVariable)
	switch {
	case server == "" && os.Getenv(requireVariable) != "":
		t.Fatalf("PostgreSQL is missing, and %s is set", requireVariable)
	case server == "":
		t.Skip("NOTICE: PostgreSQL is missing")
	}
	name := "river" + storage.NewID()
	execute(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	t.Setenv("DATABASE_URL", u.String())
	pool, err := pgxpool.New(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func execute(t *testing.T, url, statement string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
}

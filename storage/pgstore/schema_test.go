package pgstore_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/pgstore"
)

// wantOpenError tests that Open returns an error with this text.
func wantOpenError(t *testing.T, pool *pgxpool.Pool, opts *pgstore.Options, want string) {
	t.Helper()
	_, err := pgstore.Open(context.Background(), pool, opts)
	if err == nil {
		t.Errorf("Open succeeds, want an error with %q", want)
		return
	}
	wantStorageError(t, "Open", err)
	if !strings.Contains(err.Error(), want) {
		t.Errorf("Open: %v, want an error with %q", err, want)
	}
}

func TestOpen_MissingTableIsNotCreated(t *testing.T) {
	pool, table := newPool(t, serverURL(t)), newTable(t)
	for range 2 {
		wantOpenError(t, pool, &pgstore.Options{Table: table}, `table "`+table+`" does not exist`)
	}
	execute(t, pool, pgstore.Schema(table))
	execute(t, pool, pgstore.Schema(table)) // does nothing
	if _, err := pgstore.Open(t.Context(), pool, &pgstore.Options{Table: table}); err != nil {
		t.Error(err)
	}
}

// Workers start at the same time.
func TestOpen_CreateIsConcurrent(t *testing.T) {
	for range 5 {
		pool, table := newPool(t, serverURL(t)), newTable(t)
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				s, err := pgstore.Open(t.Context(), pool, &pgstore.Options{Table: table, Create: true})
				if err == nil {
					_, err = s.Put(t.Context(), record("key"))
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
}

func TestOpen_UnsuitableTableIsNamed(t *testing.T) {
	for want, change := range map[string]string{
		"has no column token bytea":            "ALTER TABLE %s DROP COLUMN token",
		"has no column revision bigint":        "ALTER TABLE %s ALTER COLUMN revision TYPE integer",
		"has no unique index of the column id": "ALTER TABLE %s DROP CONSTRAINT %s_pkey",
		"begins with the column key":           "DROP INDEX %s_key",
		"a crash deletes its records":          "ALTER TABLE %s SET UNLOGGED",
	} {
		t.Run(want, func(t *testing.T) {
			_, pool, table := newStore(t)
			execute(t, pool, strings.ReplaceAll(change, "%s", table))
			wantOpenError(t, pool, &pgstore.Options{Table: table, Create: true}, want)
		})
	}
}

func TestOpen_MissingPrivilegeIsNamed(t *testing.T) {
	_, pool, table := newStore(t)
	role := "r" + storage.NewID()
	execute(t, pool, "CREATE ROLE "+role+" LOGIN PASSWORD 's3cret-pa55word'")
	t.Cleanup(func() { execute(t, newPool(t, serverURL(t)), "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	execute(t, pool, "GRANT SELECT, INSERT ON "+table+" TO "+role)
	login := newPool(t, serverURL(t), func(c *pgxpool.Config) {
		c.ConnConfig.User, c.ConnConfig.Password = role, "s3cret-pa55word"
	})
	opts := &pgstore.Options{Table: table, Create: true}
	wantOpenError(t, login, opts, "lacks the privileges UPDATE, DELETE")

	// The privilege to create tables is not needed if the table exists.
	execute(t, pool, "GRANT UPDATE, DELETE ON "+table+" TO "+role)
	if _, err := pgstore.Open(t.Context(), login, opts); err != nil {
		t.Error(err)
	}
	schema := newSchema(t, pool)
	execute(t, pool, "GRANT USAGE ON SCHEMA "+schema+" TO "+role)
	wantOpenError(t, login, &pgstore.Options{Table: schema + ".uploads", Create: true}, "permission denied for schema")
}

// newSchema returns the name of a new schema, which is dropped after the test.
func newSchema(t *testing.T, pool *pgxpool.Pool) string {
	schema := "s" + storage.NewID()
	execute(t, pool, "CREATE SCHEMA "+schema)
	t.Cleanup(func() { execute(t, newPool(t, serverURL(t)), "DROP SCHEMA "+schema+" CASCADE") })
	return schema
}

func TestOpen_TableNameIsQuoted(t *testing.T) {
	pool := newPool(t, serverURL(t))
	schema := newSchema(t, pool)
	names := []string{"select", `a "b"; DROP TABLE c; --`, "Uploads", "uploads", "ü", strings.Repeat("x", 59), strings.Repeat("x", 58) + "y", "TABLE", "$1"}
	for _, name := range names {
		put(t, openStore(t, pool, schema+"."+name), record(name))
	}
	for _, name := range names {
		s := openStore(t, pool, schema+"."+name)
		if found, err := s.Find(t.Context(), name); err != nil || len(found) != 1 {
			t.Errorf("table %q: found %v, %v", name, found, err)
		}
		n := 0
		for range s.All(t.Context()) {
			n++
		}
		if n != 1 {
			t.Errorf("table %q has %d records, want 1", name, n)
		}
	}
}

func TestOpen_InvalidOptionsAreNamed(t *testing.T) {
	pool := newPool(t, "postgres://user:s3cret@127.0.0.1:1/uploads")
	for _, table := range []string{".", "a.", ".a", "a.b.c", "a\x00", "\xff", strings.Repeat("x", 60)} {
		wantOpenError(t, pool, &pgstore.Options{Table: table}, "Options.Table")
	}
	wantOpenError(t, nil, nil, "pool is nil")
}

// With several hosts, the driver would connect to a standby as well.
func TestOpen_HostsNeedTargetSessionAttrs(t *testing.T) {
	const hosts = "postgres://user:s3cret@127.0.0.1:1,127.0.0.1:2/uploads"
	wantOpenError(t, newPool(t, hosts), nil, "target_session_attrs=read-write")
	for _, attrs := range []string{"read-write", "primary"} {
		wantOpenError(t, newPool(t, hosts+"?target_session_attrs="+attrs), nil, "refused")
	}
	wantOpenError(t, newPool(t, "postgres://user:s3cret@127.0.0.1:1/uploads?sslmode=prefer"), nil, "refused")
}

func TestOpen_ReadOnlyServerIsRefused(t *testing.T) {
	_, _, table := newStore(t)
	pool := newPool(t, serverURL(t), func(c *pgxpool.Config) {
		c.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	})
	wantOpenError(t, pool, &pgstore.Options{Table: table}, "only allows reading")
}

func TestOpen_WrongPasswordIsNotInError(t *testing.T) {
	pool := newPool(t, serverURL(t), func(c *pgxpool.Config) { c.ConnConfig.Password = "s3cret-but-wrong" })
	wantOpenError(t, pool, nil, "28P01")
}

package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/pgstore"
)

// noPing makes the pool not notice a lost connection before the store uses it.
func noPing(c *pgxpool.Config) {
	c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
}

// proxied returns an empty store over a proxy.
func proxied(t *testing.T, changes ...func(*pgxpool.Config)) (*pgstore.Store, *proxy) {
	t.Helper()
	p, url := newProxy(t, serverURL(t))
	return openStore(t, newPool(t, url, changes...), newTable(t)), p
}

// The server has stored or deleted the record, and the client does not know it.
func TestStore_LostResponseIsNoConflict(t *testing.T) {
	t.Parallel()
	s, p := proxied(t, noPing)
	rec := record("key")
	lose := func(n int, call func() error) {
		t.Helper()
		p.loseResponses(n)
		if err := call(); err != nil {
			t.Fatal(err)
		}
		if !p.lost() {
			t.Fatal("no response was lost")
		}
	}
	for n := range 3 {
		lose(n, func() (err error) { rec, err = s.Put(t.Context(), rec); return err })
		if rec.Revision != 1 {
			t.Fatalf("revision %d of a new record", rec.Revision)
		}
		for want := range int64(3) {
			rec.UploadURL += "x"
			lose(n, func() (err error) { rec, err = s.Put(t.Context(), rec); return err })
			if rec.Revision != want+2 {
				t.Fatalf("revision %d, want %d", rec.Revision, want+2)
			}
			wantStored(t, s, rec)
		}
		lose(n, func() error { _, err := s.Now(t.Context()); return err })
		lose(n, func() error { return s.Delete(t.Context(), rec.ID, rec.Revision) })
		if found, err := s.Find(t.Context(), "key"); len(found) != 0 || err != nil {
			t.Fatalf("found %v, %v after Delete", found, err)
		}
		rec.Revision = 0
	}
}

// Only the caller of Put knows that a later call means the same.
func TestPut_RepeatedCallConflicts(t *testing.T) {
	s, _, _ := newStore(t)
	rec := record("key")
	for range 2 {
		stored := put(t, s, rec)
		_, err := s.Put(t.Context(), rec)
		wantError(t, "Put again", err, storage.ErrConflict)
		wantStored(t, s, stored)
		rec = stored
	}
}

func TestStore_CutConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*pgxpool.Config){"ping": func(*pgxpool.Config) {}, "no ping": noPing} {
		t.Run(name, func(t *testing.T) {
			s, p := proxied(t, change)
			rec := put(t, s, record("key"))
			for range 5 {
				p.cut()
				rec = put(t, s, rec)
				p.cut()
				wantStored(t, s, rec)
				p.cut()
				n := 0
				for rec, err := range s.All(t.Context()) {
					if n++; err != nil {
						t.Errorf("All yields %+v, %v", rec, err)
					}
				}
				if n != 1 {
					t.Errorf("All yields %d records, want 1", n)
				}
			}
		})
	}
}

func TestStore_FrozenConnectionEndsWithContext(t *testing.T) {
	s, p := proxied(t, noPing)
	rec := put(t, s, record("key"))
	p.freeze(true)
	for name, call := range map[string]func(context.Context) error{
		"Find":   func(ctx context.Context) error { _, err := s.Find(ctx, "key"); return err },
		"Put":    func(ctx context.Context) error { _, err := s.Put(ctx, rec); return err },
		"Delete": func(ctx context.Context) error { return s.Delete(ctx, rec.ID, rec.Revision) },
		"Now":    func(ctx context.Context) error { _, err := s.Now(ctx); return err },
		"All": func(ctx context.Context) error {
			var last error
			for _, err := range s.All(ctx) {
				last = err
			}
			return last
		},
	} {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		wantError(t, name, call(ctx), context.DeadlineExceeded)
		cancel()
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s returned after %v", name, took)
		}
	}
	p.cut()
	wantStored(t, s, put(t, s, rec))
}

// A server whose machine vanished closes no connections.
func TestStore_FrozenConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	s, p := proxied(t, noPing, func(c *pgxpool.Config) { c.MaxConns = 1 })
	rec := put(t, s, record("key"))
	p.freeze(false)
	wantStored(t, s, put(t, s, rec))
}

func TestStore_UnreachableServerIsReported(t *testing.T) {
	t.Parallel()
	s, p := proxied(t)
	p.listen.Close()
	p.cut()
	start := time.Now()
	_, err := s.Find(t.Context(), "key")
	wantStorageError(t, "Find", err)
	if took := time.Since(start); errors.Is(err, context.DeadlineExceeded) || took < 5*time.Second || took > 20*time.Second {
		t.Errorf("Find returned %v after %v", err, took)
	}
}

// A statement that waits for a lock is canceled on the server too.
func TestPut_CanceledContextIsReturned(t *testing.T) {
	s, pool, table := newStore(t)
	rec := put(t, s, record("key"))
	tx, err := pool.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(context.Background(), fmt.Sprintf("SELECT FROM %s FOR UPDATE", table)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err = s.Put(ctx, rec)
	wantError(t, "Put", err, context.Canceled)
	for waiting := 1; waiting > 0; {
		const statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'"
		if err := pool.QueryRow(t.Context(), statement, table).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Rollback(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantStored(t, s, rec)
	wantStored(t, s, put(t, s, rec))
}

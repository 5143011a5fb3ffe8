package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/pgstore"
	"github.com/seed-175555ba/tus-go/storage/storagetest"
)

// closing is a store that closes its pool.
type closing struct {
	*pgstore.Store
	pool *pgxpool.Pool
}

func (c closing) Close() error {
	c.pool.Close()
	return nil
}

// openNamed returns a function for package storagetest that opens a store in the table with
// a name, over a new connection.
func openNamed(url string, changes ...func(*pgxpool.Config)) func(*testing.T, string) storage.Store {
	return func(t *testing.T, name string) storage.Store {
		pool := newPool(t, url, changes...)
		return closing{openStore(t, pool, name), pool}
	}
}

func TestStore_PassesStoreTests(t *testing.T) {
	t.Parallel()
	open := openNamed(serverURL(t))
	if !testing.Short() { // RunShared runs the same tests
		storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, newTable(t)) })
	}
	storagetest.RunDurable(t, open)
	storagetest.RunShared(t, open)
}

// With serializable transactions, statements fail that would change what another transaction
// changed.
func TestStore_SessionSettingsDoNotMatter(t *testing.T) {
	t.Parallel()
	open := openNamed(serverURL(t), func(c *pgxpool.Config) {
		for name, value := range map[string]string{
			"bytea_output": "escape", "client_encoding": "LATIN1", "DateStyle": "German", "timezone": "Asia/Tokyo",
			"standard_conforming_strings": "off", "synchronous_commit": "off", "default_transaction_isolation": "serializable",
		} {
			c.ConnConfig.RuntimeParams[name] = value
		}
	})
	storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, newTable(t)) })
}

// The loop uses the only connection.
func TestAll_HoldsNoConnectionDuringLoop(t *testing.T) {
	s := openStore(t, newPool(t, serverURL(t), func(c *pgxpool.Config) { c.MaxConns = 1 }), newTable(t))
	for range 3 {
		put(t, s, record("key"))
	}
	for rec, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, rec)
	}
}

func TestStore_UnreadableRecordIsReported(t *testing.T) {
	ctx := context.Background()
	for name, damage := range map[string]struct {
		change string
		want   error
	}{
		"record":   {"record = 'x'", storage.ErrCorrupt},
		"revision": {"revision = 7", storage.ErrCorrupt},
		"one byte": {"record = set_byte(record, 60, get_byte(record, 60) # 1)", storage.ErrCorrupt},
		"version":  {`record = '{"version":2,"crc32c":"66650640","record":{}}'`, storage.ErrNewerVersion},
	} {
		t.Run(name, func(t *testing.T) {
			s, pool, table := newStore(t)
			broken, whole := put(t, s, record("key")), put(t, s, record("key"))
			execute(t, pool, "UPDATE "+table+" SET "+damage.change+" WHERE id = $1", broken.ID)

			wantReport := func(call string, err error) {
				t.Helper()
				wantError(t, call, err, damage.want)
				var failure *storage.Error
				if !errors.As(err, &failure) || failure.ID != broken.ID {
					t.Errorf("%s: error %v is not about %s", call, err, broken.ID)
				}
			}
			found, err := s.Find(ctx, "key")
			if len(found) != 1 || found[0].ID != whole.ID {
				t.Errorf("found %+v, want the other record", found)
			}
			wantReport("Find", err)
			yielded, errs := 0, 0
			for rec, err := range s.All(ctx) {
				if err != nil {
					errs++
					wantReport("All", err)
				} else if yielded++; rec.ID != whole.ID {
					t.Errorf("All yields %+v", rec)
				}
			}
			if yielded != 1 || errs != 1 {
				t.Errorf("All yields %d records and %d errors, want 1 of each", yielded, errs)
			}

			for _, revision := range []int64{1, 7} {
				wantReport(fmt.Sprint("Delete of revision ", revision), s.Delete(ctx, broken.ID, revision))
			}
			if err := s.Delete(ctx, broken.ID, 0); err != nil {
				t.Errorf("Delete of revision 0: %v", err)
			}
			wantStored(t, s, whole)
		})
	}
}

// A page of All has 4 MiB, but at least one record.
func TestAll_LargeRecordsAreYielded(t *testing.T) {
	s, _, _ := newStore(t)
	want := map[string]bool{}
	for i := range 5 {
		rec := record("key")
		rec.Metadata = map[string]string{"large": strings.Repeat("\x01", i*200_000)} // each byte is encoded as 6
		want[put(t, s, rec).ID] = true
	}
	n := 0
	for rec, err := range s.All(t.Context()) {
		if err != nil || !want[rec.ID] {
			t.Fatalf("All yields %s, %v", rec.ID, err)
		}
		n++
	}
	if n != len(want) {
		t.Errorf("All yields %d records, want %d", n, len(want))
	}
}

func TestPut_LargestRecordIsStored(t *testing.T) {
	if testing.Short() {
		t.Skip("it has 24 MiB")
	}
	s, _, _ := newStore(t)
	rec := record("k")
	rec.UploadURL = ""
	rec.Metadata = map[string]string{"a": string(make([]byte, 4<<20-2))}
	stored := put(t, s, rec)
	wantStored(t, s, stored)
}

// The pool is of the caller, who closes it.
func TestStore_ClosedPoolIsErrClosed(t *testing.T) {
	s, pool, _ := newStore(t)
	pool.Close()
	_, err := s.Now(context.Background())
	wantError(t, "Now", err, storage.ErrClosed)
	_, err = pgstore.Open(context.Background(), pool, nil)
	wantError(t, "Open", err, storage.ErrClosed)
}

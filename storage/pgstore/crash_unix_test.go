//go:build unix

package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/pgstore"
)

// writers renews records, each in a goroutine of its own, until stop is called.
type writers struct {
	group sync.WaitGroup
	done  atomic.Bool
	puts  atomic.Int64
	mu    sync.Mutex
	acked map[string]storage.Record // the last acknowledged revision, by ID
}

// write starts n writers.
func write(t *testing.T, s *pgstore.Store, n int) *writers {
	w := &writers{acked: map[string]storage.Record{}}
	t.Cleanup(w.stop)
	for i := range n {
		w.group.Go(func() {
			rec := record(fmt.Sprint("key ", i))
			for !w.done.Load() {
				rec.UploadURL = fmt.Sprint("https://example.org/files/", rec.Revision)
				stored, err := s.Put(context.Background(), rec)
				if err != nil {
					t.Logf("Put: %v", err)
					if stored, err = readAgain(s, rec, err); err != nil {
						t.Error(err)
						return
					}
				}
				rec = stored
				w.puts.Add(1)
				w.mu.Lock()
				w.acked[rec.ID] = rec
				w.mu.Unlock()
			}
		})
	}
	return w
}

// readAgain returns what is stored after a Put failed, such as when the server takes longer
// than the retries. A conflict is an error, because nobody else writes.
func readAgain(s *pgstore.Store, rec storage.Record, err error) (storage.Record, error) {
	var failure *storage.Error
	for range 10 {
		if errors.Is(err, storage.ErrConflict) || !errors.As(err, &failure) {
			break
		}
		var found []storage.Record
		if found, err = s.Find(context.Background(), rec.Fingerprint); err != nil {
			continue
		}
		if len(found) == 0 && rec.Revision == 0 {
			return rec, nil
		}
		if len(found) != 1 || found[0].Revision != rec.Revision && found[0].Revision != rec.Revision+1 {
			return rec, fmt.Errorf("found %+v after the Put of revision %d failed", found, rec.Revision)
		}
		return found[0], nil
	}
	return rec, err
}

// waitForPuts waits for n more successful Puts.
func (w *writers) waitForPuts(t *testing.T, n int64) {
	t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for want := w.puts.Load() + n; w.puts.Load() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %d Puts in 90 seconds", n)
		}
	}
}

func (w *writers) stop() {
	w.done.Store(true)
	w.group.Wait()
}

// wantAcknowledged tests that the store has every acknowledged revision, once the writers
// have stopped.
func (w *writers) wantAcknowledged(t *testing.T, s *pgstore.Store) {
	t.Helper()
	w.stop()
	for _, rec := range w.acked {
		if rec.Revision == 0 {
			continue
		}
		wantStored(t, s, rec)
	}
	t.Logf("%d acknowledged revisions of %d records", w.puts.Load(), len(w.acked))
}

// The role may not wait for the disk by default, and the server writes after 10 seconds.
func TestPut_AcknowledgedRevisionSurvivesKill(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "synchronous_commit=off", "wal_writer_delay=10s")
	pool := newPool(t, c.url())
	s := openStore(t, pool, "tus_uploads")
	deleted := put(t, s, record("deleted"))
	w := write(t, s, 8)
	for range 3 {
		w.waitForPuts(t, 200)
		c.kill()
		time.Sleep(100 * time.Millisecond) // attempts fail
		if err := c.start(); err != nil {
			t.Fatal(err)
		}
	}
	w.waitForPuts(t, 200)
	w.wantAcknowledged(t, s)

	if err := s.Delete(t.Context(), deleted.ID, deleted.Revision); err != nil {
		t.Fatal(err)
	}
	last := put(t, s, record("last"))
	c.kill()
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	wantStored(t, s, last)
	if found, err := s.Find(t.Context(), "deleted"); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v after Delete", found, err)
	}
	w.wantAcknowledged(t, s)
}

// The statements of the store must not lower the setting.
func TestPut_StrongerCommitIsKept(t *testing.T) {
	_, pool, table := newStore(t)
	// A trigger at commit reports the setting.
	execute(t, pool, fmt.Sprintf(`CREATE TABLE %[1]s_commits (setting text);
		CREATE FUNCTION %[1]s_note() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN INSERT INTO %[1]s_commits VALUES (current_setting(''synchronous_commit'')); RETURN NULL; END';
		CREATE CONSTRAINT TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON %[1]s
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION %[1]s_note()`, table))
	t.Cleanup(func() {
		execute(t, newPool(t, serverURL(t)), fmt.Sprintf("DROP TABLE %[1]s_commits; DROP FUNCTION %[1]s_note CASCADE", table))
	})
	for setting, want := range map[string]string{"off": "on", "local": "on", "remote_write": "on", "on": "on", "remote_apply": "remote_apply"} {
		s := openStore(t, newPool(t, serverURL(t), func(c *pgxpool.Config) {
			c.ConnConfig.RuntimeParams["synchronous_commit"] = setting
		}), table)
		rec := put(t, s, put(t, s, record("key")))
		if err := s.Delete(t.Context(), rec.ID, rec.Revision); err != nil {
			t.Fatal(err)
		}
		var commits, same int
		if err := pool.QueryRow(t.Context(), fmt.Sprintf("WITH c AS (DELETE FROM %s_commits RETURNING setting) SELECT count(*), count(*) FILTER (WHERE setting = $1) FROM c", table), want).Scan(&commits, &same); err != nil {
			t.Fatal(err)
		}
		if commits != 3 || same != 3 {
			t.Errorf("%d of %d commits are %s with the default %s, want 3", same, commits, want, setting)
		}
	}
}

// waitForStandby lets commits wait for the standby. It restarts the server, because a reload
// takes effect later.
func waitForStandby(t *testing.T, c *cluster) {
	t.Helper()
	c.stop()
	c.args = append(c.args, "synchronous_standby_names=standby")
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
}

// The primary of a pair is killed and the standby promoted.
func TestPut_AcknowledgedRevisionSurvivesFailover(t *testing.T) {
	t.Parallel()
	needPrograms(t, "pg_basebackup")
	primary := startCluster(t)
	standby, err := primary.newStandby(serverDir(t))
	if err != nil {
		t.Fatal(err)
	}
	waitForStandby(t, primary)
	startForTest(t, standby)
	// The standby comes first: the driver must not use it before it is the primary.
	pool := newPool(t, urlAt(standby.port, primary.port)+"&target_session_attrs=read-write&connect_timeout=2")
	s := openStore(t, pool, "tus_uploads")
	_, err = pgstore.Open(t.Context(), newPool(t, standby.url()), nil)
	if err == nil {
		t.Error("Open succeeds on a standby")
	}
	wantStorageError(t, "Open of a standby", err)

	w := write(t, s, 16)
	w.waitForPuts(t, 1000)
	primary.kill()
	time.Sleep(500 * time.Millisecond) // who watches the primary takes a moment
	if err := standby.exec("SELECT pg_promote()"); err != nil {
		t.Fatal(err)
	}
	w.waitForPuts(t, 1000)
	w.wantAcknowledged(t, s)
	if err := primary.exec("SELECT 1"); err == nil {
		t.Error("the old primary still runs")
	}
}

// A commit waits for the standby. If the client gives up, the commit may be lost.
func TestPut_MissingStandbyIsNoSuccess(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	s := openStore(t, newPool(t, c.url()), "tus_uploads")
	rec := put(t, s, record("key"))
	waitForStandby(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := s.Put(ctx, rec); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Put without the standby: %v", err)
	}
}

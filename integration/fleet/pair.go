//go:build unix

package fleet

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/integration/postgres"
	"github.com/seed-175555ba/tus-go/storage/pgstore"
)

// postgresPair is a primary with a synchronous standby.
type postgresPair struct {
	primary, standby *postgres.Cluster
	address          string
}

func newPostgres(t testing.TB) engine {
	t.Helper()
	p := &postgresPair{primary: postgres.New(t)}
	if err := p.primary.Start(); err != nil {
		t.Fatal(err)
	}
	p.standby = postgres.NewStandby(t, p.primary)
	if err := p.join(); err != nil {
		t.Fatal(err)
	}
	p.address = postgres.URL(p.primary, p.standby) + "&target_session_attrs=read-write&connect_timeout=2"
	_, end, err := openStore(t.Context(), enginePostgres, p.address)
	if err != nil {
		t.Fatal(err)
	}
	end()
	return p
}

// join starts the standby, and makes commits wait for it.
func (p *postgresPair) join() error {
	if err := p.standby.Start(); err != nil {
		return err
	}
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()"} {
		if err := p.primary.Exec(statement); err != nil {
			return err
		}
	}
	for range 600 {
		state, err := p.primary.Query("SELECT state || ' ' || sync_state FROM pg_stat_replication")
		if err != nil {
			return err
		}
		if state == "streaming sync" {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the standby does not follow")
}

func (p *postgresPair) name() string { return enginePostgres }

func (p *postgresPair) url() string { return p.address }

// fail kills the primary, promotes the standby after a while, and rebuilds the other one. The
// new primary does not wait for a standby until it has one: nobody kills it before.
func (p *postgresPair) fail(down time.Duration) error {
	p.primary.Kill()
	time.Sleep(down)
	if err := p.standby.Exec("SELECT pg_promote()"); err != nil {
		return err
	}
	p.primary, p.standby = p.standby, p.primary
	if err := p.standby.CopyFrom(p.primary); err != nil {
		return err
	}
	return p.join()
}

func (p *postgresPair) signal(s syscall.Signal) {
	p.primary.Signal(s)
	p.standby.Signal(s)
}

func openPostgres(ctx context.Context, url string) (sharedStore, func(), error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	store, err := pgstore.Open(ctx, pool, &pgstore.Options{Create: true})
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return store, pool.Close, nil
}

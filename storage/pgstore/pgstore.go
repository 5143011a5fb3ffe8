package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/storage"
)

const defaultTable = "tus_uploads"

// Options are the options of [Open]. The zero value is ready to use.
type Options struct {
	// Table is the name of the table, or the names of schema and table with a dot between
	// them, such as "uploads.records". The names are quoted, so case matters, and must not
	// have dots themselves or more than 59 bytes. Without a schema, the search path of the connection applies.
	// Empty means "tus_uploads". Stores with the same table share their records.
	Table string

	// Create makes Open create the table if it does not exist, with the statements of
	// [Schema]. The role needs the privilege to create tables only if the table does not
	// exist. Several processes may create it at the same time. Leave Create unset
	// if migrations create tables.
	Create bool
}

// Store is a [storage.Store] in a table of a PostgreSQL database. Create it with [Open].
// All methods are safe for concurrent use. A Store has no resources of its own: it needs no
// Close. After Close of the pool, all methods return an error matching [storage.ErrClosed].
type Store struct {
	pool       *pgxpool.Pool
	table      string // quoted
	statements statements
}

var (
	_ storage.Store = (*Store)(nil)
	_ storage.Clock = (*Store)(nil)
)

// Open returns the store in a table of the database that pool connects to. The caller closes
// the pool when the store is no longer used. opts may be nil.
//
// Open connects to the database once and returns an error if it cannot, if the table does not
// exist or lacks a column or index of [Schema], if the table does not survive a crash, if
// the role lacks a privilege, and if the server only allows reading, as a standby does. With
// several hosts, the pool must connect to the primary: the connection string needs
// target_session_attrs=read-write or primary. Errors are an [*storage.Error] and have no
// password.
func Open(ctx context.Context, pool *pgxpool.Pool, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	s, err := open(ctx, pool, o)
	if err != nil {
		return nil, &storage.Error{Err: err}
	}
	return s, nil
}

func open(ctx context.Context, pool *pgxpool.Pool, o Options) (*Store, error) {
	if pool == nil {
		return nil, errors.New("the pool is nil")
	}
	if o.Table == "" {
		o.Table = defaultTable
	}
	if !validTable(o.Table) {
		return nil, fmt.Errorf("Options.Table %q is not the name of a table, or those of schema and table, of at most %d bytes each", o.Table, maxName)
	}
	if err := checkHosts(pool); err != nil {
		return nil, err
	}
	table := quote(o.Table)
	s := &Store{pool: pool, table: table, statements: newStatements(table)}
	err := s.check(ctx)
	if errors.Is(err, errNoTable) && o.Create {
		creating := s.create(ctx, o.Table)
		// If another process creates it at the same time, PostgreSQL returns one of several
		// errors, although the statements have IF NOT EXISTS.
		if err = s.check(ctx); creating != nil && errors.Is(err, errNoTable) {
			err = creating
		}
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// checkHosts returns an error if the pool may connect to a standby, which has old records.
func checkHosts(pool *pgxpool.Pool) error {
	config := pool.Config().ConnConfig
	for _, other := range config.Fallbacks { // the same host again, without TLS, or another one
		if (other.Host != config.Host || other.Port != config.Port) && config.ValidateConnect == nil {
			return errors.New("the pool has several hosts and may connect to a standby: its connection string needs target_session_attrs=read-write")
		}
	}
	return nil
}

package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

const (
	// indexSuffix makes the name of the index of that of the table.
	indexSuffix = "_key"
	// maxName is the length of a name in bytes: PostgreSQL keeps 63 of that of the index.
	maxName = 63 - len(indexSuffix)
)

// columns are the columns of the table, with their types as the catalog has them.
var columns = [...]string{"id text", "key bytea", "revision bigint", "token bytea", "record bytea"}

// errNoTable is returned by check if the table does not exist.
var errNoTable = errors.New("does not exist")

// Schema returns the statements that create the table of a store and its index, for
// migrations and psql. An empty table means "tus_uploads". The statements do nothing if
// both exist.
func Schema(table string) string {
	table = cmp.Or(table, defaultTable)
	index := table[strings.LastIndexByte(table, '.')+1:] + indexSuffix
	// The ID orders All, and is unique. The key is the SHA-256 of the fingerprint, which
	// may be too large for an index. Its index is not unique, because only one unique index
	// works with ON CONFLICT. Every Put changes the token. The rest of a page is for new
	// versions of its rows, which then need no new index entries.
	return `CREATE TABLE IF NOT EXISTS ` + quote(table) + ` (
	id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9_-]{1,64}$'),
	key bytea NOT NULL,
	revision bigint NOT NULL,
	token bytea NOT NULL,
	record bytea NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX IF NOT EXISTS ` + quote(index) + ` ON ` + quote(table) + ` (key);
`
}

// validTable reports whether a name is that of a table, with or without a schema.
func validTable(name string) bool {
	names := strings.Split(name, ".")
	return len(names) <= 2 && !slices.ContainsFunc(names, func(n string) bool {
		return n == "" || len(n) > maxName || !utf8.ValidString(n) || strings.ContainsRune(n, 0)
	})
}

func quote(table string) string { return pgx.Identifier(strings.Split(table, ".")).Sanitize() }

// checking returns one row: whether the server is read-only, and the persistence, the
// columns, the indexes and the missing privileges of the table, each as text.
const checking = `
SELECT current_setting('transaction_read_only'), coalesce(c.relpersistence::text, ''),
	coalesce((SELECT string_agg(attname || ' ' || format_type(atttypid, NULL), ',')
		FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), ''),
	coalesce((SELECT string_agg(attname || CASE WHEN indisunique AND indnkeyatts = 1 THEN ' unique' ELSE '' END, ',')
		FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
		WHERE indrelid = c.oid AND indisvalid), ''),
	coalesce((SELECT string_agg(p, ', ') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
		WHERE NOT has_table_privilege(c.oid, p)), '')
FROM (SELECT to_regclass($1) AS oid) t LEFT JOIN pg_class c ON c.oid = t.oid`

// check returns an error if the store cannot work with the server or with the table.
func (s *Store) check(ctx context.Context) error {
	result, _, err := s.try(ctx, checking, text(s.table))
	if err != nil {
		return err
	}
	row := result.Rows[0]
	readOnly, persistence, missing := string(row[0]), string(row[1]), string(row[4])
	found, indexes := strings.Split(string(row[2]), ","), strings.Split(string(row[3]), ",")
	switch {
	case readOnly == "on":
		return errors.New("the server only allows reading: it may be a standby, and the connection string lacks target_session_attrs=read-write")
	case persistence == "":
		return fmt.Errorf("table %s %w: create it with the statements of pgstore.Schema, or set Options.Create", s.table, errNoTable)
	case persistence != "p":
		return fmt.Errorf("table %s is unlogged or temporary, so a crash deletes its records", s.table)
	case missing != "":
		return fmt.Errorf("the role lacks the privileges %s on table %s", missing, s.table)
	case !slices.Contains(indexes, "id unique"):
		return fmt.Errorf("table %s has no unique index of the column id: see pgstore.Schema", s.table)
	case !slices.Contains(indexes, "key"):
		return fmt.Errorf("table %s has no index that begins with the column key: see pgstore.Schema", s.table)
	}
	for _, column := range columns {
		if !slices.Contains(found, column) {
			return fmt.Errorf("table %s has no column %s: see pgstore.Schema", s.table, column)
		}
	}
	return nil
}

// create creates the table and its index.
func (s *Store) create(ctx context.Context, table string) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return clean(ctx, err)
	}
	defer conn.Release()
	if _, err = conn.Conn().PgConn().Exec(ctx, Schema(table)).ReadAll(); err != nil { // one transaction
		return fmt.Errorf("creating table %s: %w", s.table, clean(ctx, err))
	}
	return nil
}

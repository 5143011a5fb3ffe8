package pgstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

const (
	// pageOfAll is how many records, and bytesOfAll how many bytes of records, All reads
	// at once, but at least one record.
	pageOfAll  = 500
	bytesOfAll = 4 << 20
)

// statements are the statements of a store. Each is one transaction.
type statements struct {
	find, insert, update, read, remove, page string
}

// durable makes the commit of a statement wait for the disk, and for the synchronous standbys
// if there are any, although the database or the role may have a weaker default.
const durable = `set_config('synchronous_commit',
	CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)`

// newStatements returns the statements for a quoted table.
func newStatements(table string) statements {
	in := func(statement string) string { return strings.ReplaceAll(statement, "TABLE", table) }
	return statements{
		find: in(`SELECT id, key, revision, record FROM TABLE WHERE key = $1`),
		// If an earlier attempt of the same Put stored the row, it has the token. It is
		// stored again and not only read, because it may not be durable yet: after a crash,
		// PostgreSQL shows rows whose commit waited for a standby.
		insert: in(`INSERT INTO TABLE AS stored (id, key, revision, token, record) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (id) DO UPDATE SET record = excluded.record
			WHERE stored.revision = excluded.revision AND stored.token = excluded.token
			RETURNING ` + durable),
		update: in(`UPDATE TABLE SET revision = $3, token = $4, record = $5
			WHERE id = $1 AND key = $2 AND (revision = $3 - 1 OR revision = $3 AND token = $4)
			RETURNING ` + durable),
		read:   in(`SELECT id, key, revision, record, token FROM TABLE WHERE id = $1`),
		remove: in(`DELETE FROM TABLE WHERE id = $1 AND token = $2 RETURNING ` + durable),
		page: in(`SELECT id, key, revision, record FROM (
				SELECT *, row_number() OVER w AS number, sum(octet_length(record)) OVER w AS bytes FROM (
					SELECT id, key, revision, record FROM TABLE WHERE id > $1 ORDER BY id LIMIT $2
				) AS page WINDOW w AS (ORDER BY id)
			) AS numbered WHERE number = 1 OR bytes <= $3 ORDER BY id`),
	}
}

// Find implements [storage.Store].
func (s *Store) Find(ctx context.Context, fingerprint string) ([]storage.Record, error) {
	result, err := s.run(ctx, s.statements.find, bytea(keyOf(fingerprint)))
	if err != nil {
		return nil, &storage.Error{Err: err}
	}
	var found []storage.Record
	var unreadable []error
	for _, row := range result.Rows {
		rec, err := unpack(row)
		if err != nil {
			unreadable = append(unreadable, err)
			continue
		}
		found = append(found, rec)
	}
	slices.SortFunc(found, storage.MostRecentFirst)
	return found, errors.Join(unreadable...)
}

// Put implements [storage.Store]. If the connection is lost before the result arrives, Put
// stores the record again over another connection, which does not conflict with the lost
// attempt. It takes records of every size that [storage.Encode] allows.
func (s *Store) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	next := rec
	next.Revision++
	record, err := storage.Encode(next)
	if err != nil {
		return storage.Record{}, err
	}
	token := make([]byte, 16)
	rand.Read(token) // never fails
	statement := s.statements.update
	if rec.Revision == 0 {
		statement = s.statements.insert
	}
	result, err := s.run(ctx, statement, text(next.ID), bytea(keyOf(next.Fingerprint)), bigint(next.Revision), bytea(token), bytea(record))
	if err == nil && len(result.Rows) == 0 {
		err = storage.ErrConflict
	}
	if err != nil {
		return storage.Record{}, &storage.Error{ID: rec.ID, Err: err}
	}
	return next.Clone(), nil
}

// Delete implements [storage.Store].
func (s *Store) Delete(ctx context.Context, id string, revision int64) error {
	if err := ctx.Err(); err != nil {
		return &storage.Error{ID: id, Err: err}
	}
	if (storage.Record{ID: id, Fingerprint: "f"}).Validate() != nil {
		return nil // the table takes no other IDs
	}
	for {
		// What cannot be read is only known here, and the token identifies what was read.
		result, err := s.run(ctx, s.statements.read, text(id))
		if err != nil {
			return &storage.Error{ID: id, Err: err}
		}
		if len(result.Rows) == 0 {
			return nil
		}
		row := result.Rows[0]
		rec, err := unpack(row)
		switch {
		case err != nil && revision != 0:
			return err
		case err == nil && rec.Revision != revision:
			return &storage.Error{ID: id, Err: storage.ErrConflict}
		}
		result, err = s.run(ctx, s.statements.remove, text(id), bytea(row[4]))
		if err != nil {
			return &storage.Error{ID: id, Err: err}
		}
		if len(result.Rows) > 0 {
			return nil
		}
		// Another call changed or deleted it.
	}
}

// All implements [storage.Store]. It reads pages of records and holds neither a transaction
// nor a connection between them.
func (s *Store) All(ctx context.Context) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		last := ""
		for {
			result, err := s.run(ctx, s.statements.page, text(last), bigint(pageOfAll), bigint(bytesOfAll))
			if err != nil {
				yield(storage.Record{}, &storage.Error{Err: err})
				return
			}
			for _, row := range result.Rows {
				if err := ctx.Err(); err != nil {
					yield(storage.Record{}, &storage.Error{Err: err})
					return
				}
				last = string(row[0])
				if !yield(unpack(row)) {
					return
				}
			}
			if len(result.Rows) == 0 {
				return
			}
		}
	}
}

// Now implements [storage.Clock]. It returns the time of the server, in UTC.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	result, err := s.run(ctx, `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`)
	if err != nil {
		return time.Time{}, &storage.Error{Err: err}
	}
	return time.UnixMicro(integer(result.Rows[0][0])).UTC(), nil
}

// keyOf returns the key of a fingerprint in the index.
func keyOf(fingerprint string) []byte {
	sum := sha256.Sum256([]byte(fingerprint))
	return sum[:]
}

// unpack decodes the record in a row that begins with ID, key, revision and record.
func unpack(row [][]byte) (storage.Record, error) {
	id := string(row[0])
	rec, err := storage.Decode(row[3])
	switch {
	case err != nil:
		return storage.Record{}, &storage.Error{ID: id, Err: errors.Unwrap(err)}
	case rec.ID != id || rec.Revision != integer(row[2]) || !bytes.Equal(keyOf(rec.Fingerprint), row[1]):
		return storage.Record{}, &storage.Error{ID: id, Err: fmt.Errorf("%w: record does not match its row", storage.ErrCorrupt)}
	}
	return rec, nil
}

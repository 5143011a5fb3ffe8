package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/disk"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
)

// connection is the open file.
type connection struct {
	file      *os.File
	db        *bbolt.DB
	broken    atomic.Pointer[error] // why db is unusable
	readOnly  error                 // why the file cannot be written, or nil
	unindexed bool                  // the index is missing or wrong, and the file cannot be written
}

// connect opens, locks and checks the file, and lets bbolt use it. It returns the error of
// ctx if it is done before the file is locked.
func (s *Store) connect(ctx context.Context) error {
	deadline := time.Now().Add(max(s.opts.LockTimeout, 0))
	wait, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	for {
		valid, err := s.open(wait)
		switch {
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case err != nil && s.closing.Err() != nil:
			return s.failure(storage.ErrClosed)
		case err != nil || valid:
			return err
		}
		if err = s.load(); err == nil {
			return nil
		}
		if s.opts.Quarantine && s.readOnly == nil && errors.Is(err, storage.ErrCorrupt) { // a database of another program
			err = s.failure(s.quarantine(closer(s.disconnect), errors.Unwrap(err)))
		}
		s.disconnect()
		if err != nil {
			return err
		}
	}
}

// closer is a function as an io.Closer.
type closer func() error

func (f closer) Close() error { return f() }

// open opens the file, checks it, and lets bbolt use it. It returns true if the content
// is known to be valid.
func (s *Store) open(wait context.Context) (valid bool, err error) {
	s.broken.Store(nil)
	s.db, s.unindexed = nil, false
	// Not in OpenFile: it may call OnWarning, whose panics guard must not convert, and
	// bbolt waits only for the rest of the lock timeout.
	if valid, err = s.openFile(wait); err != nil {
		return false, s.failure(err)
	}
	if runtime.GOOS == "windows" {
		filelock.Unlock(s.file) // elsewhere, bbolt can lock what is locked
	}
	deadline, _ := wait.Deadline()
	opts := &bbolt.Options{
		Timeout:      max(time.Until(deadline), 1), // 0 would wait without limit
		FreelistType: bbolt.FreelistMapType,
		ReadOnly:     s.readOnly != nil,
		OpenFile:     func(string, int, fs.FileMode) (*os.File, error) { return s.file, nil },
	}
	if s.opts.Shared {
		opts.FreelistType = bbolt.FreelistArrayType // half the time to open a database
	}
	err = s.guard(func() (err error) {
		s.db, err = bbolt.Open(s.path, 0o600, opts)
		return err
	})
	if s.broken.Load() != nil {
		s.abandon()
	}
	return valid, err
}

// disconnect closes the file after the transactions in flight.
func (s *Store) disconnect() error {
	if s.broken.Load() != nil {
		s.abandon()
		return nil
	}
	return s.guard(s.db.Close)
}

// abandon unlocks and closes the file without bbolt, which after a panic may
// deadlock. The file stays mapped, so closing it alone does not unlock it.
func (s *Store) abandon() {
	if s.file != nil {
		filelock.Unlock(s.file)
		s.file.Close()
	}
}

// load checks that the file is a store. It prepares a new file, and the index of one that
// lost it.
func (s *Store) load() error {
	var found contents
	err := s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) (err error) {
			found, err = read(tx)
			return err
		})
	})
	if err == nil { // the file is a store or is empty
		err = s.tighten()
	}
	if err != nil {
		return err
	}
	s.leases.kept = found.shared || s.opts.Shared
	if found.indexed && found.shared == s.leases.kept {
		return nil
	}
	if s.readOnly != nil {
		if found.fresh {
			return s.failure(s.readOnly)
		}
		s.unindexed = !found.indexed
		return nil
	}
	err = s.guard(func() error { return s.db.Update(s.prepare) })
	if err != nil || !found.fresh {
		return err
	}
	return s.failure(disk.SyncDir(filepath.Dir(s.path)))
}

// tighten removes the permissions of other users from the file.
func (s *Store) tighten() error {
	restrict := disk.Tighten
	if s.readOnly != nil {
		restrict = func(f *os.File) (warning, err error) { return disk.Check(f, disk.Access) }
	}
	warning, err := restrict(s.file)
	if err != nil {
		return s.failure(err)
	}
	if warning != nil {
		s.opts.OnWarning(disk.ErrorAt(s.path, warning))
	}
	return nil
}

// contents is what read found in a file.
type contents struct {
	fresh   bool // no buckets
	indexed bool // the index is right
	shared  bool // the file was opened with Shared
}

// read checks that the file is a store.
func read(tx *bbolt.Tx) (contents, error) {
	if k, _ := tx.Cursor().First(); k == nil {
		return contents{fresh: true}, nil
	}
	schema := tx.Bucket([]byte(schemaBucket))
	if schema == nil {
		return contents{}, fmt.Errorf("%w: not a tus-go store", storage.ErrCorrupt)
	}
	version, err := parseSchema(schema.Get([]byte(versionKey)))
	if err != nil {
		return contents{}, err
	}
	if version > schemaVersion {
		return contents{}, fmt.Errorf("%w: layout version %d, newest supported is %d", storage.ErrNewerVersion, version, schemaVersion)
	}
	records := tx.Bucket([]byte(recordsBucket))
	if records == nil || version < 1 {
		return contents{}, fmt.Errorf("%w: no records bucket, or invalid layout version", storage.ErrCorrupt)
	}
	indexed, err := isIndexed(records)
	return contents{indexed: indexed, shared: schema.Get([]byte(sharedKey)) != nil}, err
}

// prepare writes what a file needs besides its records.
func (s *Store) prepare(tx *bbolt.Tx) error {
	schema, err := tx.CreateBucketIfNotExists([]byte(schemaBucket))
	if err != nil {
		return err
	}
	if err := schema.Put([]byte(versionKey), formatSchema(schemaVersion)); err != nil {
		return err
	}
	if s.leases.kept {
		if err := schema.Put([]byte(sharedKey), []byte("1")); err != nil {
			return err
		}
	}
	records, err := tx.CreateBucketIfNotExists([]byte(recordsBucket))
	if err != nil {
		return err
	}
	return buildIndex(records)
}

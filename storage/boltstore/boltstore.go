package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/disk"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
)

// defaultLockTimeout is enough for a process that is exiting.
const defaultLockTimeout = time.Second

// Options are the options of [Open]. The zero value is ready to use.
type Options struct {
	// LockTimeout is how long Open waits for another process to close the file.
	// 0 means 1 second; below 0 it does not wait.
	LockTimeout time.Duration

	// Quarantine makes Open rename a corrupt file, appending ".corrupt-" and the time
	// to its path, and create an empty store. The records in the file are not
	// recovered. Open also renames a valid file of another program, so choose a path
	// that no other program uses. The file itself is not changed, and not renamed while
	// it is locked, as a bbolt database in use is. Without Quarantine, Open returns an
	// error matching [storage.ErrCorrupt] and leaves the file as it is.
	Quarantine bool

	// OnWarning, if non-nil, is called by Open with an [*storage.Error]. If Open renamed
	// a corrupt file, the error matches [storage.ErrCorrupt] and has the new path.
	// Otherwise other users had access to the file: Open changed its mode to 0600, or
	// the file system cannot change it.
	OnWarning func(error)
}

// Store is a [storage.Store] in one file. Create it with [Open]. All methods,
// including Close, are safe for concurrent use.
type Store struct {
	path    string
	opts    Options // OnWarning is not nil
	db      *bbolt.DB
	file    *os.File // the one that db uses
	index   index
	changes *group
	broken  atomic.Pointer[error] // why the store is unusable
}

var _ storage.Store = (*Store)(nil)

// Open opens the store at path. If the file does not exist, Open creates it with mode
// 0600, and missing parent directories with mode 0700. If other users have access to
// the file, Open changes its mode, or fails if another user owns it. opts may be nil.
//
// Errors name the path. They match [storage.ErrLocked] if another process has the
// file open, [storage.ErrCorrupt] if the file is corrupt or of another kind, and
// [storage.ErrNewerVersion] if a newer release wrote it. Other errors are those of
// the file system.
func Open(path string, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.OnWarning == nil {
		o.OnWarning = func(error) {}
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = defaultLockTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), max(o.LockTimeout, 0))
	defer cancel()

	if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, disk.ErrorAt(path, err)
	}
	for {
		s := &Store{path: path, opts: o, index: index{ids: map[key][]string{}, put: map[string]int64{}}}
		s.changes = newGroup(s.commit)
		if err := s.open(ctx); err != nil {
			return nil, err
		}
		err := s.load()
		if err == nil {
			return s, nil
		}
		if o.Quarantine && errors.Is(err, storage.ErrCorrupt) { // a database of another program
			err = s.failure(s.quarantine(s, errors.Unwrap(err)))
		}
		s.Close()
		if err != nil {
			return nil, err
		}
	}
}

// open opens the file, checks it, and lets bbolt use it.
func (s *Store) open(ctx context.Context) error {
	// Not in OpenFile: it may call OnWarning, whose panics guard must not convert, and
	// bbolt waits only for the rest of the lock timeout.
	if err := s.openFile(ctx); err != nil {
		return s.failure(err)
	}
	deadline, _ := ctx.Deadline()
	opts := &bbolt.Options{
		Timeout:      max(time.Until(deadline), 1), // 0 would wait without limit
		FreelistType: bbolt.FreelistMapType,
		OpenFile:     func(string, int, fs.FileMode) (*os.File, error) { return s.file, nil },
	}
	err := s.guard(func() (err error) {
		s.db, err = bbolt.Open(s.path, 0o600, opts)
		return err
	})
	if s.broken.Load() != nil {
		s.abandon()
	}
	return err
}

// load builds the index, or creates the buckets of a new file.
func (s *Store) load() error {
	fresh := false
	err := s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			k, _ := tx.Cursor().First()
			if fresh = k == nil; fresh {
				return nil
			}
			return s.read(tx)
		})
	})
	if err == nil { // the file is a store or is empty
		err = s.tighten()
	}
	if err != nil || !fresh {
		return err
	}
	err = s.guard(func() error { return s.db.Update(create) })
	if err != nil {
		return err
	}
	return s.failure(disk.SyncDir(filepath.Dir(s.path)))
}

// tighten removes the permissions of other users from the file.
func (s *Store) tighten() error {
	warning, err := disk.Tighten(s.file)
	if err != nil {
		return s.failure(err)
	}
	if warning != nil {
		s.opts.OnWarning(disk.ErrorAt(s.path, warning))
	}
	return nil
}

func create(tx *bbolt.Tx) error {
	schema, err := tx.CreateBucket([]byte(schemaBucket))
	if err != nil {
		return err
	}
	if err := schema.Put([]byte(versionKey), formatSchema(schemaVersion)); err != nil {
		return err
	}
	_, err = tx.CreateBucket([]byte(recordsBucket))
	return err
}

// read checks that the file is a store, and builds the index.
func (s *Store) read(tx *bbolt.Tx) error {
	schema := tx.Bucket([]byte(schemaBucket))
	if schema == nil {
		return fmt.Errorf("%w: not a tus-go store", storage.ErrCorrupt)
	}
	version, err := parseSchema(schema.Get([]byte(versionKey)))
	if err != nil {
		return err
	}
	if version > schemaVersion {
		return fmt.Errorf("%w: layout version %d, newest supported is %d", storage.ErrNewerVersion, version, schemaVersion)
	}
	records := tx.Bucket([]byte(recordsBucket))
	if records == nil || version < 1 {
		return fmt.Errorf("%w: no records bucket, or invalid layout version", storage.ErrCorrupt)
	}
	ids := map[key][]string{}
	err = records.ForEach(func(id, value []byte) error {
		if value == nil {
			return fmt.Errorf("%w: nested bucket in records", storage.ErrCorrupt)
		}
		k := indexKey(id, value)
		ids[k] = append(ids[k], string(id))
		return nil
	})
	if err == nil {
		s.index.reset(ids)
	}
	return err
}

// Close waits for calls in flight and closes the file. Stop the uploads that use the
// store first: the next Open drops their leases. After Close, all methods return
// [storage.ErrClosed]. Closing again does nothing.
func (s *Store) Close() error {
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

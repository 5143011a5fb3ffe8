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
	"github.com/seed-175555ba/tus-go/storage/internal/durable"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
	"github.com/seed-175555ba/tus-go/storage/internal/private"
)

// defaultLockTimeout is long enough for a process that is about to end.
const defaultLockTimeout = time.Second

// Options says how to open a store. The zero value works.
type Options struct {
	// LockTimeout is how long Open waits for another process to close the file.
	// 0 means 1 second; below 0 it does not wait.
	LockTimeout time.Duration

	// OnCorrupt says what Open does with a damaged file.
	OnCorrupt CorruptPolicy

	// OnWarning, if not nil, is called by Open with an [*storage.Error] for what is
	// no failure: other users had access to the file, and the permissions were
	// changed to 0600, or cannot be changed on this file system.
	OnWarning func(error)
}

// CorruptPolicy is what to do with a file that is damaged, or that is no database
// of this package.
type CorruptPolicy int

const (
	// CorruptFails makes Open return an error matching [storage.ErrCorrupt], and
	// leaves the file as it is.
	CorruptFails CorruptPolicy = iota

	// CorruptMovedAside makes Open rename the file to its path with
	// ".corrupt-" and the time appended, and begin with an empty store. What was
	// known of uploads is lost with it. [Store.MovedAside] tells the new name.
	// That goes for a sound file of another program too, so the path should be
	// one that nobody else would use. The file is never changed, and never moved
	// while somebody has it locked, as bbolt does with a database in use.
	CorruptMovedAside
)

// Store is a [storage.Store] in one file. Make it with [Open]. Its methods may be
// called from any goroutine, Close included.
type Store struct {
	path    string
	db      *bbolt.DB
	file    *os.File // the one that db uses
	aside   string
	warn    func(error) // nil for nobody
	index   index
	session session
	changes group
	broken  atomic.Pointer[error] // why the store cannot be used any more
}

var _ interface {
	storage.Store
	storage.Expirer
} = (*Store)(nil)

// Open opens the store at path, and creates it, with mode 0600, if it does not
// exist. Missing parent folders are made with mode 0700. A file to which other users
// have access is made private; one that belongs to another user is an error. opts may
// be nil.
//
// Errors name the path. They match [storage.ErrLocked] if another process has the
// file open, [storage.ErrCorrupt] if it is damaged or some other kind of file,
// [storage.ErrNewerVersion] if a newer release wrote it, or are those of the file
// system.
func Open(path string, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.OnCorrupt != CorruptFails && o.OnCorrupt != CorruptMovedAside {
		return nil, fmt.Errorf("storage: unknown policy %d for corrupt files", o.OnCorrupt)
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = defaultLockTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), max(o.LockTimeout, 0))
	defer cancel()

	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, atPath(path, err)
	}
	aside := ""
	for {
		s := &Store{path: path, aside: aside, warn: o.OnWarning}
		s.changes.commit = s.commit
		again, err := s.begin(ctx, o.OnCorrupt)
		switch {
		case err != nil:
			return nil, err
		case !again:
			return s, nil
		}
		aside = s.aside
	}
}

// begin opens the file and reads what has to be known of it. It reports true, and
// leaves the file closed, if it found a file that is no longer at the path, as it
// had to be moved aside. After an error the file is closed too.
func (s *Store) begin(ctx context.Context, policy CorruptPolicy) (again bool, err error) {
	if err := s.inspect(ctx, policy); err != nil {
		return false, s.failure(err)
	}
	if err := s.open(ctx); err != nil {
		return false, err
	}
	err = s.load()
	if err == nil {
		return false, nil
	}
	defer s.Close()
	if policy != CorruptMovedAside || !errors.Is(err, storage.ErrCorrupt) {
		return false, err
	}
	if err := s.moveLoaded(); err != nil {
		return false, s.failure(err)
	}
	return true, nil
}

// open lets bbolt open the file, which was inspected or does not exist.
func (s *Store) open(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	opts := &bbolt.Options{
		Timeout:      max(time.Until(deadline), 1), // 0 would wait for ever
		FreelistType: bbolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode fs.FileMode) (f *os.File, err error) {
			s.file, err = os.OpenFile(name, flag, mode)
			return s.file, err
		},
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

// load reads what has to be known of the content, and prepares a new file.
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
	if err == nil { // it is ours, or about to be
		err = s.tighten()
	}
	if err != nil || !fresh {
		return err
	}
	err = s.guard(func() error { return s.db.Update(create) })
	if err != nil {
		return err
	}
	return s.failure(durable.SyncDir(filepath.Dir(s.path)))
}

// tighten takes the file's permissions from other users.
func (s *Store) tighten() error {
	warning, err := private.Tighten(s.file)
	if err != nil {
		return s.failure(err)
	}
	if warning != nil && s.warn != nil {
		s.warn(atPath(s.path, warning))
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

// read makes sure that the file is one of ours, and builds the index.
func (s *Store) read(tx *bbolt.Tx) error {
	schema := tx.Bucket([]byte(schemaBucket))
	if schema == nil {
		return fmt.Errorf("%w: a bbolt database of something else", storage.ErrCorrupt)
	}
	version, err := parseSchema(schema.Get([]byte(versionKey)))
	if err != nil {
		return err
	}
	if version > schemaVersion {
		return fmt.Errorf("%w: layout %d, this one knows %d", storage.ErrNewerVersion, version, schemaVersion)
	}
	records := tx.Bucket([]byte(recordsBucket))
	if records == nil || version < 1 {
		return fmt.Errorf("%w: no records", storage.ErrCorrupt)
	}
	ids := map[key][]string{}
	err = records.ForEach(func(id, value []byte) error {
		if value == nil {
			return fmt.Errorf("%w: a bucket among the records", storage.ErrCorrupt)
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

// MovedAside returns where Open has moved a damaged file to, or "" if it did not
// have to; see [CorruptMovedAside].
func (s *Store) MovedAside() string { return s.aside }

// Close waits for what is under way and closes the file. Uploads that use the store
// should have ended: their leases count no more in the next Open. Everything after it
// returns [storage.ErrClosed]; a second Close does nothing.
func (s *Store) Close() error {
	if s.broken.Load() != nil {
		s.abandon()
		return nil
	}
	return s.guard(s.db.Close)
}

// abandon frees the file for others without bbolt, which after a panic might wait
// for its own locks. As the file stays mapped, closing it does not unlock it.
func (s *Store) abandon() {
	if s.file != nil {
		filelock.New(s.file).Unlock()
		s.file.Close()
	}
}

package boltstore

import (
	"context"
	"path/filepath"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/disk"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
)

const (
	// defaultLockTimeout is enough for a process that is exiting.
	defaultLockTimeout = time.Second

	// defaultSharedTimeout is far longer than the transactions of many processes take.
	defaultSharedTimeout = 5 * time.Second
)

// Options are the options of [Open]. The zero value is ready to use.
type Options struct {
	// Shared shares the file with other processes, and other stores of this process, that
	// open it with Shared. Each transaction opens the file and closes it again, so the
	// file is locked for milliseconds. A call costs about 0.1 ms more than without
	// Shared. All programs that use the file should set it: see the package comment.
	//
	// If this process may only read the file, Find and All work, and Put and Delete
	// return the error of the file system.
	Shared bool

	// LockTimeout is how long Open waits for another process to close the file. With
	// Shared, each call waits at most as long. 0 means 1 second, or 5 seconds with Shared;
	// below 0 it does not wait.
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
	leases  leases
	changes *group

	// The open file. With Shared, it is only open while the semaphore of changes is held.
	connection

	// With Shared, seen is the last version of the file that is known to be valid.
	seen    version
	lock    *filelock.Queue
	closing context.Context // done when Close is called
	close   context.CancelFunc
}

var _ storage.Store = (*Store)(nil)

// Open opens the store at path. If the file does not exist, Open creates it with mode
// 0600, and missing parent directories with mode 0700. If other users have access to
// the file, Open changes its mode, or fails if another user owns it. opts may be nil.
//
// Errors name the path. They match [storage.ErrLocked] if another process has locked the
// file, [storage.ErrCorrupt] if the file is corrupt or of another kind, and
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
		if o.Shared {
			o.LockTimeout = defaultSharedTimeout
		}
	}
	if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, disk.ErrorAt(path, err)
	}
	s := &Store{path: path, opts: o, lock: filelock.NewQueue(), leases: leases{kept: o.Shared, put: map[string]int64{}}}
	s.closing, s.close = context.WithCancel(context.Background())
	s.changes = newGroup(s.begin, s.commit)
	if err := s.connect(context.Background()); err != nil {
		s.close()
		return nil, err
	}
	if o.Shared {
		s.end(true)
		s.opts.Quarantine, s.opts.OnWarning = false, func(error) {} // they are for Open
	}
	return s, nil
}

// Close waits for calls in flight and closes the file. Stop the uploads that use the
// store first: without Shared, the next Open drops their leases. After Close, all methods
// return [storage.ErrClosed]. Closing again does nothing.
func (s *Store) Close() error {
	s.close()
	if s.opts.Shared {
		s.changes.sem <- struct{}{}
		<-s.changes.sem
		return nil
	}
	return s.disconnect()
}

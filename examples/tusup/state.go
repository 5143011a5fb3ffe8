package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus"
)

// rememberCompleted is how long a complete upload is not repeated.
const rememberCompleted = 30 * 24 * time.Hour

// state is an open resume database.
type state struct {
	storage.Store
	// shared is set for a database on PostgreSQL or NATS, which is required: without it, two
	// machines could upload a file at the same time.
	shared bool
	close  func()
}

// fenceHeader is the default of examples/fence.
const fenceHeader = "Upload-Fence"

// options returns the options of clients that use the database; there may be none.
func (s *state) options(opts tus.Options) tus.Options {
	if s == nil {
		return opts
	}
	opts.Store, opts.RequireStore = s.Store, s.shared
	if s.shared {
		opts.FenceHeader = fenceHeader
	}
	return opts
}

// openState opens the resume database. It returns nil with --no-state, and if the database
// cannot be opened: that is an error only with --state, unless the disk is full or read-only.
func (c *common) openState(ctx context.Context, p *program) (*state, error) {
	if c.NoState {
		return nil, nil
	}
	if c.sharedState() {
		return c.openShared(ctx, p)
	}
	path, err := c.statePath()
	if err != nil {
		p.logf("continuing without resume database: %v", err)
		return nil, nil
	}
	store, err := openStore(p, path)
	if err != nil && (c.State == "" || isDiskError(err)) {
		p.logf("continuing without resume database: %v", err)
		return nil, nil
	}
	return store, err
}

// openRequiredState opens the resume database. It returns nil only with --no-state: without a
// database, a crash may upload a file twice.
func (c *common) openRequiredState(ctx context.Context, p *program) (*state, error) {
	if c.NoState {
		return nil, nil
	}
	if c.sharedState() {
		return c.openShared(ctx, p)
	}
	path, err := c.statePath()
	if err != nil {
		return nil, err
	}
	store, err := openStore(p, path)
	if err != nil {
		return nil, fmt.Errorf("%w; without a resume database (--no-state), a crash may upload files twice", err)
	}
	return store, nil
}

// statePath returns the path of the resume database.
func (c *common) statePath() (string, error) {
	if c.State != "" {
		return c.State, nil
	}
	return defaultState()
}

// isDiskError reports whether err is that of a full or read-only disk, which does not mean that
// --state is wrong.
func isDiskError(err error) bool {
	for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// openStore opens a database, which several tusup share, and logs its warnings.
func openStore(p *program, path string) (*state, error) {
	store, err := boltstore.Open(path, &boltstore.Options{Shared: true, OnWarning: func(err error) { p.logf("warning: %v", err) }})
	if errors.Is(err, storage.ErrCorrupt) {
		err = fmt.Errorf("%w; move the file away to start with a new one", err)
	}
	if err != nil {
		return nil, err
	}
	return &state{Store: store, close: func() { store.Close() }}, nil
}

// openExistingState opens the resume database for list and forget. It returns nil if the
// default database does not exist: no upload was ever interrupted.
func (c *common) openExistingState(ctx context.Context, p *program) (*state, error) {
	if c.sharedState() {
		return c.openShared(ctx, p)
	}
	path, err := c.statePath()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		if c.State == "" && errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	return openStore(p, path)
}

// defaultState returns the path of the database in the user's state directory.
func defaultState() (string, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		var err error
		switch runtime.GOOS {
		case "windows":
			dir, err = os.UserCacheDir()
		case "darwin":
			dir, err = os.UserConfigDir()
		default:
			dir, err = os.UserHomeDir()
			dir = filepath.Join(dir, ".local", "state")
		}
		if err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "tusup", "uploads.db"), nil
}

// closeState deletes records that are no longer needed, and closes the database.
func closeState(ctx context.Context, store *state) {
	// A failure was reported when an upload was stored, and the next run deletes them.
	_ = store.deleteExpired(ctx)
	store.close()
}

// deleteExpired deletes the records that are no longer needed, by the clock of the database if
// it has one.
func (s *state) deleteExpired(ctx context.Context) error {
	now := time.Now()
	if clock, ok := s.Store.(storage.Clock); ok {
		var err error
		if now, err = clock.Now(ctx); err != nil {
			return err
		}
	}
	_, err := storage.DeleteExpired(ctx, s.Store, now)
	return err
}

// storeError returns a [tus.Hooks.OnStoreError] that logs the first error of the database: the
// others most likely have the same cause, such as a full disk.
func (o *output) storeError(shared bool) func(*tus.Uploader, error) {
	var once sync.Once
	return func(_ *tus.Uploader, err error) {
		if shared { // it fails the upload if it continues
			once.Do(func() { o.logf("warning: resume database: %v", err) })
			return
		}
		o.unstored.Store(true)
		once.Do(func() { o.logf("warning: uploads of this run cannot be resumed later: %v", err) })
	}
}

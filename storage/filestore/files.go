package filestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/disk"
)

// maxFileSize is the size limit for the file of a record, in bytes, above that of any
// valid record.
const maxFileSize = 64 << 20

// read returns the record at a location. It returns fs.ErrNotExist if there is none.
// All other errors have the ID of the record.
func (s *Store) read(ctx context.Context, p location) (storage.Record, error) {
	path := s.path(p)
	data, err := readFile(ctx, path, maxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return storage.Record{}, fs.ErrNotExist
	}
	var rec storage.Record
	if err == nil {
		if rec, err = storage.Decode(data); err != nil {
			err = errors.Unwrap(err) // the path is added below
		} else if locationOf(rec.Fingerprint, rec.ID) != p {
			err = fmt.Errorf("%w: record does not match its file name", storage.ErrCorrupt)
		}
	}
	if err != nil {
		storageErr := disk.ErrorAt(path, err)
		storageErr.ID = p.id
		return storage.Record{}, storageErr
	}
	return rec, nil
}

// readFile reads a regular file of at most limit bytes.
func readFile(ctx context.Context, path string, limit int64) (data []byte, err error) {
	err = retry(ctx, func() error {
		// Opening a pipe would wait for a writer.
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || info.Size() > limit {
			return fmt.Errorf("%w: not a regular file, or too large", storage.ErrCorrupt)
		}
		data, err = os.ReadFile(path)
		return err
	})
	return data, err
}

// writeTemp writes the data to a temporary file and syncs it.
func (s *Store) writeTemp(data []byte) (path string, err error) {
	f, err := os.CreateTemp(s.tempDir(), "*.json") // with mode 0600
	if err != nil {
		return "", disk.ErrorAt(s.tempDir(), err)
	}
	_, err = f.Write(data)
	if err = cmp.Or(err, f.Sync(), f.Close()); err != nil {
		os.Remove(f.Name())
		return "", disk.ErrorAt(f.Name(), err)
	}
	return f.Name(), nil
}

// makeDirs creates directories of the store if they do not exist. It does not follow
// symbolic links, which may lead to a directory that other users can access.
func makeDirs(dirs ...string) error {
	for _, dir := range dirs {
		err := checkMode(dir, fs.ModeDir)
		if err == nil {
			err = disk.MkdirAll(dir)
		}
		if err != nil {
			return disk.ErrorAt(dir, err)
		}
	}
	return nil
}

// checkMode returns an error if path exists and is not of the type: fs.ModeDir, or 0
// for a regular file.
func checkMode(path string, want fs.FileMode) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() == want:
		return nil
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("%w: is a symbolic link", storage.ErrCorrupt)
	case want == fs.ModeDir:
		return fmt.Errorf("%w: not a directory", storage.ErrCorrupt)
	}
	return fmt.Errorf("%w: not a regular file", storage.ErrCorrupt)
}

// sync makes the name of a record durable, or its removal.
func (s *Store) sync(p location) error {
	dir := s.shardDir(p)
	if err := disk.SyncDir(dir); err != nil {
		return disk.ErrorAt(dir, err)
	}
	return nil
}

// retry calls f again if it fails because another process has the file open, which
// Windows does not allow. Stores keep files open only briefly.
func retry(ctx context.Context, f func() error) error {
	const tries = 10
	wait := time.Millisecond
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == tries || !busy(err) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
		wait *= 2
	}
}

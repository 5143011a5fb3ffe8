package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/durable"
)

// maxFileSize is the most that is read of a record, in bytes. None is as large.
const maxFileSize = 64 << 20

// read returns the record at a place. Its errors are about that record, but for
// fs.ErrNotExist.
func (s *Store) read(ctx context.Context, p place) (storage.Record, error) {
	path := s.path(p)
	data, err := readFile(ctx, path, maxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return storage.Record{}, fs.ErrNotExist
	}
	var rec storage.Record
	if err == nil {
		if rec, err = storage.Decode(data); err != nil {
			err = errors.Unwrap(err) // this error tells more about where
		} else if placeOf(rec.Fingerprint, rec.ID) != p {
			err = fmt.Errorf("%w: it is another record than its name says", storage.ErrCorrupt)
		}
	}
	if err != nil {
		located := at(path, err).(*storage.Error)
		located.ID = p.id
		return storage.Record{}, located
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
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		data, err = io.ReadAll(io.LimitReader(f, limit))
		return err
	})
	return data, err
}

// writeTemp writes a file that only needs to be renamed.
func (s *Store) writeTemp(data []byte) (path string, err error) {
	f, err := os.CreateTemp(s.tempDir(), "*.json") // with mode 0600
	if err != nil {
		return "", at(s.tempDir(), err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(f.Name())
		return "", at(f.Name(), err)
	}
	return f.Name(), nil
}

// makeFolders makes the folders that a record needs, should they not exist, or no
// longer.
func (s *Store) makeFolders(p place) error {
	for _, dir := range []string{s.tempDir(), s.hintDir(), s.folder(p)} {
		if err := makeFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

// makeFolder makes a folder of the store, should it not exist. Links are not followed:
// they may lead to where others can read or write.
func makeFolder(dir string) error {
	if err := checkMode(dir, fs.ModeDir); err != nil {
		return at(dir, err)
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return at(dir, err)
	}
	return nil
}

// checkMode returns an error if path is not of that type: 0 for a regular file, or a
// directory. That it does not exist is no error.
func checkMode(path string, want fs.FileMode) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case want == fs.ModeDir && info.IsDir(), want == 0 && info.Mode().IsRegular():
		return nil
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("%w: it is a symbolic link", storage.ErrCorrupt)
	case want == fs.ModeDir:
		return fmt.Errorf("%w: it is not a directory", storage.ErrCorrupt)
	}
	return fmt.Errorf("%w: it is not a regular file", storage.ErrCorrupt)
}

func (s *Store) rename(ctx context.Context, temp string, p place) error {
	if err := retry(ctx, func() error { return os.Rename(temp, s.path(p)) }); err != nil {
		return at(s.path(p), err)
	}
	return nil
}

func (s *Store) remove(ctx context.Context, p place) error {
	err := retry(ctx, func() error { return os.Remove(s.path(p)) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return at(s.path(p), err)
	}
	os.Remove(s.hintPath(p.id)) // or else it would be out of date
	return nil
}

// sync makes renaming and removing in a folder durable.
func (s *Store) sync(dir string) error {
	if err := durable.SyncDir(dir); err != nil {
		return at(dir, err)
	}
	return nil
}

// retry repeats what fails because another process has the file open at this
// moment, which some systems do not allow. Nobody has one open for long.
func retry(ctx context.Context, f func() error) error {
	const tries = 10
	wait := time.Millisecond
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == tries || !busy(err) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
		wait *= 2
	}
}

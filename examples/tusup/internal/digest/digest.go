// Package digest computes digests of files and downloads, and detects files that change
// after that.
package digest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/djherbis/times"
)

// ErrChanged is returned when a file was written to or replaced.
var ErrChanged = errors.New("file changed")

// File is the SHA-256 digest of a file, and the state of the file when it was computed.
type File struct {
	sum  string
	path string
	info fs.FileInfo
	// size, modTime and changeTime are copies: some file systems report the current ones.
	size                int64
	modTime, changeTime time.Time
}

// OfFile reads the regular file at path. The error matches ErrChanged if the file changes
// meanwhile.
func OfFile(ctx context.Context, path string) (*File, error) {
	info, err := os.Stat(path) // opening a named pipe would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := &File{path: path, info: info, size: info.Size(), modTime: info.ModTime(), changeTime: changeTime(info)}
	if d.sum, err = OfReader(ctx, f); err != nil {
		return nil, err
	}
	return d, d.unchanged()
}

// Hex returns the digest in hexadecimal.
func (d *File) Hex() string { return d.sum }

// Sum returns the digest in hexadecimal, or an error matching ErrChanged if size,
// modification time, change time or inode of the file differ from those before the digest
// was computed.
func (d *File) Sum() (string, error) {
	if err := d.unchanged(); err != nil {
		return "", err
	}
	return d.sum, nil
}

func (d *File) unchanged() error {
	now, err := os.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: it no longer exists", ErrChanged)
	case err != nil:
		return err
	case now.Size() != d.size:
		return fmt.Errorf("%w: it had %d bytes, now %d", ErrChanged, d.size, now.Size())
	case !now.ModTime().Equal(d.modTime):
		return fmt.Errorf("%w: it was modified", ErrChanged)
	case !os.SameFile(d.info, now):
		return fmt.Errorf("%w: it was replaced", ErrChanged)
	case !changeTime(now).Equal(d.changeTime):
		return fmt.Errorf("%w: it was modified, or its attributes were", ErrChanged)
	}
	return nil
}

// changeTime returns the time of the last inode change (ctime), which programs cannot set,
// or zero if package os does not report it.
func changeTime(info fs.FileInfo) time.Time {
	if t := times.Get(info); t.HasChangeTime() {
		return t.ChangeTime()
	}
	return time.Time{}
}

// OfReader returns the SHA-256 digest of all that r returns.
func OfReader(ctx context.Context, r io.Reader) (string, error) {
	h := sha256.New()
	buffer := make([]byte, 1<<20)
	for ctx.Err() == nil {
		n, err := r.Read(buffer)
		h.Write(buffer[:n])
		if err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", ctx.Err()
}

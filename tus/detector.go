package tus

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/seed-175555ba/tus-go/fingerprint"
)

// errTouched is returned for a file whose modification time changed, but not its size
// and the sample of its content.
var errTouched = fmt.Errorf("%w: modification time changed", ErrSourceChanged)

// snapshot is the state of a file. It is immutable.
type snapshot struct {
	info       fs.FileInfo
	size       int64     // of info, which in some file systems reports the current size
	modTime    time.Time // likewise
	changeTime time.Time // zero where the system has none
	taken      time.Time // when info was read, or later
	sample     string    // of the content; "" if the file is not of the operating system or has no ReadAt
}

// unchanged compares everything but the sample.
func (s *snapshot) unchanged(info fs.FileInfo) bool {
	if s.size != info.Size() || !s.modTime.Equal(info.ModTime()) {
		return false
	}
	if s.sample == "" {
		return !ofSystem(s.info) || os.SameFile(s.info, info)
	}
	return s.changeTime.Equal(changeTime(info)) && os.SameFile(s.info, info)
}

// changeDetector compares a file with its first snapshot.
//
// A different size or modification time is a change. A different inode or ctime may be
// none: chmod, a new hard link or a backup changes the ctime, and some file systems
// assign inode numbers on each access. But a write whose modification time was set back
// changes nothing else, so the sample decides.
type changeDetector struct {
	name  string // for errors
	first atomic.Pointer[snapshot]
	// bytes are those of a small file, read with the first snapshot, until they are released.
	bytes atomic.Pointer[[]byte]
}

// smallFile is the maximum size in bytes of a file that is read into memory at once. Opening
// it again for the request and for the comparisons would cost more than its bytes.
const smallFile = 64 << 10

// content implements contentHolder.
func (d *changeDetector) content() []byte {
	if content := d.bytes.Load(); content != nil {
		return *content
	}
	return nil
}

// releaseContent implements contentHolder.
func (d *changeDetector) releaseContent() { d.bytes.Store(nil) }

// look compares info with the snapshot. It calls open if the content is needed: for the
// first snapshot, after a difference, and if deep is set.
func (d *changeDetector) look(ctx context.Context, info fs.FileInfo, deep bool, open func() (f fs.File, done func(), err error)) error {
	if err := d.regular(info); err != nil {
		return err
	}
	if first := d.first.Load(); first != nil {
		if decided, err := d.compare(first, info, deep); decided {
			return err
		}
	}
	f, done, err := open()
	if err != nil {
		return err
	}
	defer done()
	return d.check(ctx, f, true)
}

// check compares an open file with the snapshot, and takes the first one.
func (d *changeDetector) check(ctx context.Context, f fs.File, deep bool) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := d.regular(info); err != nil {
		return err
	}
	first := d.first.Load()
	if first == nil {
		if first, err = d.snapshot(ctx, f, info); err != nil {
			return err
		}
		if d.first.CompareAndSwap(nil, first) {
			return nil
		}
		first, deep = d.first.Load(), true // another goroutine stored it first
	}
	if decided, err := d.compare(first, info, deep); decided {
		return err
	}
	sample, err := d.sampleOf(ctx, f, first.size, first.modTime)
	switch {
	case err != nil:
		return err
	case sample != first.sample:
		return d.writtenTo()
	case !first.modTime.Equal(info.ModTime()):
		return fmt.Errorf("%w: %s", errTouched, d.name)
	case !first.unchanged(info): // do not sample again for the same ctime
		now := *first
		now.info, now.changeTime, now.taken = info, changeTime(info), time.Now()
		d.first.CompareAndSwap(first, &now)
	}
	return nil
}

// compare compares info with a snapshot, as far as that is possible without the content.
func (d *changeDetector) compare(first *snapshot, info fs.FileInfo, deep bool) (decided bool, err error) {
	switch {
	case first.size != info.Size():
		return true, fmt.Errorf("%w: %s had %d bytes, now %d", ErrSourceChanged, d.name, first.size, info.Size())
	case first.unchanged(info) && (!deep || first.sample == ""):
		return true, nil
	case first.sample == "":
		return true, d.writtenTo()
	}
	return false, nil
}

func (d *changeDetector) snapshot(ctx context.Context, f fs.File, info fs.FileInfo) (*snapshot, error) {
	s := &snapshot{info: info, size: info.Size(), modTime: info.ModTime(), changeTime: changeTime(info), taken: time.Now()}
	if s.size == 0 {
		if err := d.empty(f); err != nil {
			return nil, err
		}
	}
	if !ofSystem(info) {
		return s, nil
	}
	r, ok := f.(io.ReaderAt)
	if !ok || s.size > smallFile {
		var err error
		s.sample, err = d.sampleOf(ctx, f, s.size, s.modTime)
		return s, err
	}
	content, err := d.read(r, s.size)
	if err != nil {
		return nil, err
	}
	now, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case now.Size() != s.size || !now.ModTime().Equal(s.modTime): // the bytes may be of two versions
		return nil, d.writtenTo()
	}
	s.sample = sumOfSmall(content)
	d.bytes.Store(&content)
	return s, nil
}

// read returns all bytes of a small file.
func (d *changeDetector) read(r io.ReaderAt, size int64) ([]byte, error) {
	content := make([]byte, size+1) // one more, as the file may have grown
	n, err := r.ReadAt(content, 0)
	switch {
	case err != nil && err != io.EOF:
		return nil, sourceError(err)
	case int64(n) != size:
		return nil, d.writtenTo()
	}
	return content[:n:n], nil
}

// sumOfSmall is the sample of a small file.
func sumOfSmall(content []byte) string {
	sum := xxh3.Hash128(content).Bytes()
	return string(sum[:])
}

// empty returns an error if a file of size 0 has bytes, such as one below /proc: none of
// them would be sent.
func (d *changeDetector) empty(f fs.File) error {
	r := io.Reader(f)
	if at, ok := f.(io.ReaderAt); ok { // the caller may use the position of an OpenedFile
		r = io.NewSectionReader(at, 0, 1)
	}
	n, err := r.Read(make([]byte, 1))
	if n > 0 {
		return fmt.Errorf("%w: %s has bytes, but its size is 0; send it as a stream", ErrInvalidInput, d.name)
	}
	if err != io.EOF {
		return err
	}
	return nil
}

// sampleOf samples the content, at offsets derived from size and modTime.
func (d *changeDetector) sampleOf(ctx context.Context, f fs.File, size int64, modTime time.Time) (string, error) {
	r, ok := f.(io.ReaderAt)
	if !ok {
		return "", nil
	}
	if size <= smallFile {
		content, err := d.read(r, size)
		return sumOfSmall(content), err
	}
	sample, err := fingerprint.Sample{}.Fingerprint(ctx, r, fingerprint.Info{Name: d.name, Size: size, ModTime: modTime})
	if err != nil {
		return "", shortSource(err, fingerprint.ErrSizeMismatch)
	}
	return sample, nil
}

// stamp returns the ctime of the file, which programs cannot set, or "" if there is none, or
// if a later write may have the same: the clock of a file system may count in seconds.
func (d *changeDetector) stamp() string {
	const coarsest = 2 * time.Second
	first := d.first.Load()
	if first == nil || first.changeTime.IsZero() || first.taken.Sub(first.changeTime) < coarsest {
		return ""
	}
	return strconv.FormatInt(first.changeTime.UnixNano(), 10)
}

// ofSystem reports whether info describes a file of the operating system, which has an
// inode or an equivalent.
func ofSystem(info fs.FileInfo) bool { return os.SameFile(info, info) }

// regular returns an error if info is not of a regular file: opening a named pipe would
// block, and a directory has no bytes.
func (d *changeDetector) regular(info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return fmt.Errorf("%w: %s is %s, not a regular file", ErrInvalidInput, d.name, describeMode(info.Mode()))
}

func (d *changeDetector) writtenTo() error {
	return fmt.Errorf("%w: %s was written to or replaced", ErrSourceChanged, d.name)
}

func describeMode(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}

package boltstore

import (
	"context"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// With Shared, the file is open during a transaction only. Checking all of it each time
// would take far longer than the transaction, so the check is repeated only if something
// other than a transaction changed the file: it is another file, it is shorter, its
// transaction ID is lower, or it was written and has the same transaction ID. The last one
// also happens when a process is killed during a transaction.

// version is a version of the file. The zero value is none.
type version struct {
	info    fs.FileInfo
	modTime time.Time
	meta    meta
}

// begin opens the file for a transaction if it is shared.
func (s *Store) begin(ctx context.Context) error {
	if !s.opts.Shared {
		return nil
	}
	if s.closing.Err() != nil {
		return s.failure(storage.ErrClosed)
	}
	return s.connect(ctx)
}

// end closes the file after a transaction if it is shared. The next transaction checks the
// whole file if valid is false.
func (s *Store) end(valid bool) {
	if !s.opts.Shared {
		return
	}
	s.seen = version{}
	if info, err := s.file.Stat(); err == nil && valid && !s.unindexed {
		if m, ok := readMeta(s.file); ok {
			s.seen = version{info, info.ModTime(), m}
		}
	}
	s.disconnect()
	// Windows changes the time when the file is closed.
	if info, err := os.Stat(s.path); err == nil && s.seen.info != nil {
		s.seen.modTime = info.ModTime()
	}
}

// isLater reports whether the open file is v, or v after other transactions.
func (v version) isLater(f *os.File, info fs.FileInfo) bool {
	if v.info == nil || !os.SameFile(v.info, info) {
		return false
	}
	m, ok := readMeta(f)
	committed := m.TxID > v.meta.TxID || m.TxID == v.meta.TxID && info.ModTime().Equal(v.modTime)
	return ok && committed && m.PageSize == v.meta.PageSize && m.High <= uint64(info.Size())/uint64(m.PageSize)
}

// readMeta returns the meta page that bbolt will use. It returns false if the first of the
// two is not valid.
func readMeta(r io.ReaderAt) (meta, bool) {
	buf := make([]byte, pageHeaderSize+metaSize)
	if _, err := r.ReadAt(buf, 0); err != nil {
		return meta{}, false
	}
	first, ok := parseMeta(buf)
	if !ok {
		return meta{}, false
	}
	if _, err := r.ReadAt(buf, int64(first.PageSize)); err != nil {
		return meta{}, false
	}
	if second, ok := parseMeta(buf); ok && second.PageSize == first.PageSize && second.TxID > first.TxID {
		return second, true
	}
	return first, true
}

package boltstore

import (
	"context"
	"io"
	"io/fs"
	"os"
)

// With Shared, the file is open during a transaction only. Checking all of it each time
// would take far longer than the transaction, so begin checks what only other programs
// change: whether it is still the file that was checked, or one of its later versions.

// version is a version of the file. The zero value is none.
type version struct {
	info fs.FileInfo
	meta meta
}

// begin opens the file for a transaction if it is shared.
func (s *Store) begin(ctx context.Context) error {
	if !s.opts.Shared {
		return nil
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
	if info, err := s.file.Stat(); err == nil && valid {
		if m, ok := readMeta(s.file); ok {
			s.seen = version{info, m}
		}
	}
	s.disconnect()
}

// isLater reports whether the open file is v, or v after other transactions.
func (v version) isLater(f *os.File, info fs.FileInfo) bool {
	if v.info == nil || !os.SameFile(v.info, info) {
		return false
	}
	m, ok := readMeta(f)
	return ok && m.PageSize == v.meta.PageSize && m.TxID >= v.meta.TxID && m.High <= uint64(info.Size())/uint64(m.PageSize)
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

package boltstore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/bits"
	"os"
	"slices"
)

// A corrupt file makes bbolt panic, recurse without end, or return records that do
// not exist: it maps the file into memory and does not validate it. So check reads and
// validates the file before bbolt opens it. It checks everything that bbolt relies on,
// and more that reveals corruption:
//
//   - the two meta pages, at least one of them with a valid checksum;
//   - every reachable page: number, type, bounds, used only once;
//   - in every page: ordered keys, and entries packed without gaps, as bbolt writes
//     them, so that a wrong count or size is detected;
//   - the list of free pages, and that all pages are in use or free.
//
// bbolt's Tx.Check does not replace it: it runs in a goroutine of its own, whose panics
// end the process, follows cycles without end, and accepts pages that lost an entry.
//
// The names below are close to those of bbolt's package internal/common, which defines
// the file format. Numbers are in the byte order of the machine that wrote the file.

const (
	pageHeaderSize   = 16 // common.Page
	elemSize         = 16 // branchPageElement and leafPageElement
	bucketHeaderSize = 16 // InBucket
	metaSize         = 64 // Meta

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10

	leafIsBucket = 1 // flag of a leaf element

	magic         = 0xED0CDAED
	formatVersion = 2
	noFreelist    = math.MaxUint64

	minPageSize, maxPageSize = 1 << 10, 1 << 24
	pagesWhenCreated         = 4
	maxDepth                 = 64 // of nested pages: far more than a valid file has
)

// errUnfinished is returned for a file whose creation was interrupted. It has no records.
var errUnfinished = errors.New("file creation was interrupted")

// meta is the content of a meta page, which has the root of the tree. bbolt writes the
// two meta pages alternately.
type meta struct {
	Magic, Version, PageSize, Flags uint32
	Root, Sequence, Freelist        uint64
	High                            uint64 // above all pages in use
	TxID, Checksum                  uint64
}

// parseMeta returns false if the data is not a valid meta page.
func parseMeta(page []byte) (m meta, ok bool) {
	if len(page) < pageHeaderSize+metaSize {
		return meta{}, false
	}
	content := page[pageHeaderSize:]
	if _, err := binary.Decode(content, binary.NativeEndian, &m); err != nil {
		return meta{}, false
	}
	sum := fnv.New64a()
	sum.Write(content[:metaSize-8])
	return m, m.Magic == magic && m.Version == formatVersion && m.Checksum == sum.Sum64() &&
		m.PageSize >= minPageSize && m.PageSize <= maxPageSize && bits.OnesCount32(m.PageSize) == 1
}

type checker struct {
	r    io.ReaderAt
	size int64
	meta meta
	seen map[uint64]bool // pages in use
}

// check returns an error if the file of that size is not a valid bbolt database, and
// errUnfinished if it is an incomplete new one. It returns read errors unchanged.
func check(r io.ReaderAt, size int64) error {
	if zeros, err := allZeros(r, size); err != nil || zeros {
		return cmp.Or(err, errUnfinished)
	}
	c := &checker{r: r, size: size, seen: map[uint64]bool{}}
	if err := c.readMeta(); err != nil {
		return err
	}
	if c.meta.TxID <= 1 && size < pagesWhenCreated*int64(c.meta.PageSize) {
		return errUnfinished
	}
	if err := c.tree(c.meta.Root, nil, nil, 0); err != nil {
		return err
	}
	return c.freelist()
}

// allZeros reports whether the file is no larger than a new database and all zeros. A
// power failure leaves such a file if the size was on disk before the content.
func allZeros(r io.ReaderAt, size int64) (bool, error) {
	if size > pagesWhenCreated*int64(os.Getpagesize()) {
		return false, nil
	}
	data := make([]byte, size)
	if _, err := r.ReadAt(data, 0); err != nil && err != io.EOF {
		return false, err
	}
	return len(bytes.Trim(data, "\x00")) == 0, nil
}

// readMeta finds the meta page that bbolt will use: the valid one with the higher
// transaction ID. One invalid meta page is allowed, because a crash during a
// transaction leaves one. The second meta page is at the page size, which may be unknown.
func (c *checker) readMeta() error {
	buf := make([]byte, pageHeaderSize+metaSize)
	for pos := int64(0); pos <= maxPageSize; pos = max(2*pos, minPageSize) {
		n, err := c.r.ReadAt(buf, pos)
		if err != nil && err != io.EOF {
			return err
		}
		m, ok := parseMeta(buf[:n])
		if !ok || pos > 0 && int64(m.PageSize) != pos {
			continue
		}
		if c.meta.PageSize == 0 || m.PageSize == c.meta.PageSize && m.TxID > c.meta.TxID {
			c.meta = m
		}
	}
	if c.meta.PageSize == 0 {
		return errors.New("not a bbolt database, or both meta pages are corrupt")
	}
	return nil
}

// page reads a page with its overflow pages, and marks them as used.
func (c *checker) page(id uint64) ([]byte, error) {
	limit := min(c.meta.High, uint64(c.size)/uint64(c.meta.PageSize))
	if id < 2 || id >= limit {
		return nil, fmt.Errorf("page %d is out of bounds", id)
	}
	page, err := c.read(id, 1)
	if err != nil {
		return nil, err
	}
	if got := binary.NativeEndian.Uint64(page); got != id {
		return nil, fmt.Errorf("page %d has the number %d", id, got)
	}
	overflow := uint64(binary.NativeEndian.Uint32(page[12:]))
	if overflow >= limit-id {
		return nil, fmt.Errorf("overflow of page %d is out of bounds", id)
	}
	for i := id; i <= id+overflow; i++ {
		if c.seen[i] {
			return nil, fmt.Errorf("page %d is in use twice", i)
		}
		c.seen[i] = true
	}
	if overflow > 0 {
		return c.read(id, overflow+1)
	}
	return page, nil
}

func (c *checker) read(id, pages uint64) ([]byte, error) {
	data := make([]byte, pages*uint64(c.meta.PageSize))
	_, err := c.r.ReadAt(data, int64(id)*int64(c.meta.PageSize))
	return data, err
}

// tree checks a page and all pages below it. Its first key must be low and all keys
// must be less than high. A nil bound is not checked.
func (c *checker) tree(id uint64, low, high []byte, depth int) error {
	if depth > maxDepth {
		return errors.New("tree is too deep")
	}
	page, err := c.page(id)
	if err != nil {
		return err
	}
	elems, _, err := elements(page, low, high)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	// Only the root page of a new database may be empty. In any other page, a count
	// of zero is wrong.
	if len(elems) == 0 && (id != c.meta.Root || c.meta.TxID > 1 || pageFlags(page) == flagBranch) {
		return fmt.Errorf("page %d is empty", id)
	}
	for i, e := range elems {
		switch {
		case pageFlags(page) == flagBranch:
			next := high
			if i+1 < len(elems) {
				next = elems[i+1].key
			}
			err = c.tree(e.child, e.key, next, depth+1)
		case e.bucket:
			err = c.bucket(e.value, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket checks a nested bucket: a tree, or a small page inside the value.
func (c *checker) bucket(value []byte, depth int) error {
	if len(value) < bucketHeaderSize {
		return errors.New("bucket without a header")
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return c.tree(root, nil, nil, depth)
	}
	page := value[bucketHeaderSize:]
	if len(page) < pageHeaderSize || pageFlags(page) != flagLeaf {
		return errors.New("bucket without a page")
	}
	elems, end, err := elements(page, nil, nil)
	switch {
	case err != nil:
		return fmt.Errorf("small bucket: %w", err)
	case slices.ContainsFunc(elems, func(e element) bool { return e.bucket }):
		return errors.New("bucket in a small bucket")
	case end != len(page):
		return errors.New("small bucket is larger than its content")
	}
	return nil
}

// element is an entry of a page: key and value in a leaf, key and child in a branch.
type element struct {
	key, value []byte
	bucket     bool   // the value is a bucket
	child      uint64 // page number
}

func pageFlags(page []byte) uint16 { return binary.NativeEndian.Uint16(page[8:]) }

// elements reads a branch or leaf page: a table of entries, then the keys and values
// without gaps, up to end. The keys must be in order and in the bounds of tree.
func elements(page, low, high []byte) (elems []element, end int, err error) {
	flags, count := pageFlags(page), int(binary.NativeEndian.Uint16(page[10:]))
	if flags != flagBranch && flags != flagLeaf {
		return nil, 0, fmt.Errorf("unexpected page type %#x", flags)
	}
	end = pageHeaderSize + count*elemSize
	if end > len(page) {
		return nil, 0, errors.New("more entries than the page can hold")
	}
	u32 := binary.NativeEndian.Uint32
	elems = make([]element, count)
	for i := range elems {
		at := pageHeaderSize + i*elemSize
		b := page[at : at+elemSize]
		var pos, keySize, valueSize uint32
		e := &elems[i]
		if flags == flagBranch {
			pos, keySize, e.child = u32(b), u32(b[4:]), binary.NativeEndian.Uint64(b[8:])
		} else {
			kind := u32(b)
			if kind > leafIsBucket {
				return nil, 0, fmt.Errorf("entry %d has unknown flags %#x", i, kind)
			}
			pos, keySize, valueSize, e.bucket = u32(b[4:]), u32(b[8:]), u32(b[12:]), kind == leafIsBucket
		}
		if int64(at)+int64(pos) != int64(end) || keySize == 0 ||
			int64(keySize)+int64(valueSize) > int64(len(page)-end) {
			return nil, 0, fmt.Errorf("entry %d is out of place", i)
		}
		keyEnd := end + int(keySize)
		e.key, e.value = page[end:keyEnd], page[keyEnd:keyEnd+int(valueSize)]
		end = keyEnd + int(valueSize)
		switch {
		case i == 0 && low != nil && !bytes.Equal(e.key, low),
			i > 0 && bytes.Compare(elems[i-1].key, e.key) >= 0,
			high != nil && bytes.Compare(e.key, high) >= 0:
			return nil, 0, fmt.Errorf("entry %d is out of order", i)
		}
	}
	return elems, end, nil
}

// freelist checks that each page is either in use or in the list of free pages.
func (c *checker) freelist() error {
	if c.meta.Freelist == noFreelist {
		return nil
	}
	page, err := c.page(c.meta.Freelist)
	if err != nil {
		return err
	}
	if flags := pageFlags(page); flags != flagFreelist {
		return fmt.Errorf("list of free pages has unexpected page type %#x", flags)
	}
	count, ids := uint64(binary.NativeEndian.Uint16(page[10:])), page[pageHeaderSize:]
	if count == math.MaxUint16 { // the count is in the first 8 bytes
		count, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return errors.New("list of free pages is longer than its page")
	}
	for b := range slices.Chunk(ids[:8*count], 8) {
		id := binary.NativeEndian.Uint64(b)
		if id < 2 || id >= c.meta.High || c.seen[id] {
			return fmt.Errorf("page %d is free and in use, or out of bounds", id)
		}
		c.seen[id] = true
	}
	if lost := c.meta.High - 2 - uint64(len(c.seen)); lost != 0 {
		return fmt.Errorf("%d pages are neither free nor in use", lost)
	}
	return nil
}

package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

// pages is the content of a bbolt file.
type pages []byte

func (p pages) page(id uint64) []byte { return p[int(id)*os.Getpagesize():][:os.Getpagesize()] }

func (p pages) kind(id uint64) uint16        { return binary.NativeEndian.Uint16(p.page(id)[8:]) }
func (p pages) count(id uint64) uint16       { return binary.NativeEndian.Uint16(p.page(id)[10:]) }
func (p pages) setCount(id uint64, n uint16) { binary.NativeEndian.PutUint16(p.page(id)[10:], n) }

// setChild changes the page number in the first entry of a branch page.
func (p pages) setChild(id, child uint64) { binary.NativeEndian.PutUint64(p.page(id)[16+8:], child) }

// setRoot changes the page number of the root of a bucket.
func (p pages) setRoot(bucket string, id uint64) {
	for at := bytes.Index(p, []byte(bucket)); at >= 0; {
		at += len(bucket)
		binary.NativeEndian.PutUint64(p[at:], id)
		next := bytes.Index(p[at:], []byte(bucket))
		if next < 0 {
			return
		}
		at += next
	}
}

// used returns the list of free pages, and the first pages of the types that are in use.
func (p pages) used() (freelist, branch, leaf, freeLeaf uint64) {
	const isBranch, isLeaf = 1, 2
	u64 := binary.NativeEndian.Uint64
	meta := p.page(0)[16:]
	if other := p.page(1)[16:]; u64(other[48:]) > u64(meta[48:]) {
		meta = other
	}
	freelist = u64(meta[32:])
	free := map[uint64]bool{}
	for i := range int(p.count(freelist)) {
		free[u64(p.page(freelist)[16+8*i:])] = true
	}
	for id := uint64(len(p)/os.Getpagesize()) - 1; id > 1; id-- {
		switch kind := p.kind(id); {
		case kind == isBranch && !free[id]:
			branch = id
		case kind == isLeaf && free[id]:
			freeLeaf = id
		case kind == isLeaf && p.count(id) > 1:
			leaf = id
		}
	}
	return freelist, branch, leaf, freeLeaf
}

// Random corruption hardly produces these files. bbolt follows the cycle without end,
// allocates the list of free pages, and does not notice that a record is missing.
func TestOpen_CraftedFileIsCorrupt(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		data, _, _ := fill(t, 60)
		freelist, branch, leaf, freeLeaf := pages(data).used()
		if freelist == 0 || branch == 0 || leaf == 0 || freeLeaf == 0 {
			t.Fatalf("pages are %d, %d, %d, %d", freelist, branch, leaf, freeLeaf)
		}
		for name, craft := range map[string]func(pages){
			"cycle":            func(p pages) { p.setChild(branch, branch) },
			"free page in use": func(p pages) { p.setChild(branch, freeLeaf) },
			"missing record":   func(p pages) { p.setCount(leaf, p.count(leaf)-1) },
			"lost pages":       func(p pages) { p.setRoot("records", leaf) },
			"missing branch":   func(p pages) { p.setCount(branch, p.count(branch)-1) },
			"long free list": func(p pages) {
				p.setCount(freelist, 1<<16-1)
				binary.NativeEndian.PutUint64(p.page(freelist)[16:], 1<<34)
			},
		} {
			crafted := bytes.Clone(data)
			craft(crafted)
			path := filepath.Join(t.TempDir(), "uploads.db")
			write(t, path, crafted)
			if _, err := boltstore.Open(path, &opts); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("%s: %v, want ErrCorrupt", name, err)
			}
		}
	})
}

// Neither check nor bbolt limits the depth of a tree by itself, and a stack that overflows
// ends the process.
func TestOpen_DeepTreeIsCorrupt(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		data, _, _ := fill(t, 60)
		_, branch, _, _ := pages(data).used()
		u32, u64 := binary.NativeEndian.Uint32, binary.NativeEndian.Uint64

		// Between a branch and its first child, insert branches with that child only.
		const depth = 100
		elem := pages(data).page(branch)[16:]
		child := u64(elem[8:])
		key := elem[u32(elem):][:u32(elem[4:])]
		deep := pages(append(bytes.Clone(data), make([]byte, depth*os.Getpagesize())...))
		next := uint64(len(data) / os.Getpagesize())
		deep.setChild(branch, next)
		for range depth {
			p := deep.page(next)
			binary.NativeEndian.PutUint64(p, next)
			binary.NativeEndian.PutUint16(p[8:], 1) // branch
			deep.setCount(next, 1)
			binary.NativeEndian.PutUint32(p[16:], 16) // the key follows the entry
			binary.NativeEndian.PutUint32(p[20:], uint32(len(key)))
			copy(p[32:], key)
			next++
			deep.setChild(next-1, next)
		}
		deep.setChild(next-1, child)
		for id := range uint64(2) {
			meta := deep.page(id)[16:]
			binary.NativeEndian.PutUint64(meta[40:], next)
			sum := fnv.New64a()
			sum.Write(meta[:56])
			binary.NativeEndian.PutUint64(meta[56:], sum.Sum64())
		}
		path := filepath.Join(t.TempDir(), "uploads.db")
		write(t, path, deep)
		if _, err := boltstore.Open(path, &opts); !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), "too deep") {
			t.Errorf("error %v, want ErrCorrupt", err)
		}
	})
}

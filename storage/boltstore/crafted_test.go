package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
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
	data, _, _ := fill(t, 60)
	freelist, branch, leaf, freeLeaf := pages(data).used()
	if freelist == 0 || branch == 0 || leaf == 0 || freeLeaf == 0 {
		t.Fatalf("pages are %d, %d, %d, %d", freelist, branch, leaf, freeLeaf)
	}
	for name, craft := range map[string]func(pages){
		"cycle":            func(p pages) { p.setChild(branch, branch) },
		"free page in use": func(p pages) { p.setChild(branch, freeLeaf) },
		"missing record":   func(p pages) { p.setCount(leaf, p.count(leaf)-1) },
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
		if _, err := boltstore.Open(path, nil); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
}

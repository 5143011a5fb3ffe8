package filestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/internal/disk"
)

// shards is the number of directories for records: enough that Find reads few names,
// and few enough to read all of them for an ID.
const shards = 64

// hashSize is the size of a hash, in bytes.
const hashSize = 16

// location identifies the file of a record.
type location struct {
	hash [hashSize]byte // of the fingerprint
	id   string
}

func locationOf(fingerprint, id string) location {
	sum := sha256.Sum256([]byte(fingerprint))
	return location{[hashSize]byte(sum[:hashSize]), id}
}

// parseLocation returns false if the hash or the ID is invalid.
func parseLocation(hash, id string) (location, bool) {
	raw, err := hex.DecodeString(hash)
	if err != nil || len(raw) != hashSize || !validID(id) {
		return location{}, false
	}
	p := location{[hashSize]byte(raw), id}
	return p, p.hexHash() == hash // in lower case
}

// validID reports whether a record can have the ID, which makes it a valid file name.
func validID(id string) bool {
	return storage.Record{ID: id, Fingerprint: "f"}.Validate() == nil
}

func (p location) hexHash() string { return hex.EncodeToString(p.hash[:]) }

// shard returns the name of the directory.
func (p location) shard() string { return shardName(int(p.hash[0]) % shards) }

func shardName(i int) string { return fmt.Sprintf("%02x", i) }

func (s *Store) shardDir(p location) string { return filepath.Join(s.dir, p.shard()) }

func (s *Store) path(p location) string {
	return filepath.Join(s.shardDir(p), p.hexHash()+"-"+p.id+".json")
}

// locations returns the locations of the records in a shard. It ignores other files.
func (s *Store) locations(shard string) ([]location, error) {
	dir := filepath.Join(s.dir, shard)
	err := checkMode(dir, fs.ModeDir) // opening a pipe would wait for a writer
	var entries []fs.DirEntry
	if err == nil {
		entries, err = os.ReadDir(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, disk.ErrorAt(dir, err)
	}
	var found []location
	for _, entry := range entries {
		stem, ok := strings.CutSuffix(entry.Name(), ".json")
		hash, id, _ := strings.Cut(stem, "-")
		if p, valid := parseLocation(hash, id); ok && valid && p.shard() == shard {
			found = append(found, p)
		}
	}
	// A directory that changes while it is read may return a name twice.
	return slices.Compact(found), nil
}

// locate finds a record by its ID: with the hint, or else by reading all shards.
func (s *Store) locate(ctx context.Context, id string) (p location, found bool, err error) {
	if p, ok := s.hinted(ctx, id); ok {
		return p, true, nil
	}
	for p, err := range s.allLocations(ctx) {
		if err != nil || p.id == id {
			return p, err == nil, err
		}
	}
	return location{}, false, nil
}

// A hint is a file whose name is an ID and whose content is the hash of the
// fingerprint. It is written after the record and not synced, so it may be missing or
// out of date.

func (s *Store) hintPath(id string) string { return filepath.Join(s.hintDir(), id) }

// hinted returns the location of a record, and false if its hint is missing or wrong.
func (s *Store) hinted(ctx context.Context, id string) (location, bool) {
	if !validID(id) {
		return location{}, false
	}
	hash, err := readFile(ctx, s.hintPath(id), 2*hashSize)
	if err != nil {
		return location{}, false
	}
	p, ok := parseLocation(string(hash), id)
	if !ok {
		return location{}, false
	}
	_, err = os.Lstat(s.path(p))
	return p, err == nil
}

// hint writes the hint of a record. The caller must hold the lock.
func (s *Store) hint(p location) {
	path := s.hintPath(p.id)
	// An existing file is not opened: it may be a pipe, which blocks.
	os.Remove(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, err = f.WriteString(p.hexHash())
	if errors.Join(err, f.Close()) != nil {
		os.Remove(path) // it may be incomplete
	}
}

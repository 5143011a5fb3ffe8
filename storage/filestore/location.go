package filestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-175555ba/tus-go/storage"
)

// shards is the number of directories for records: enough that Find reads few names,
// and few enough to read all of them for an ID.
const shards = 64

// hashLength is the length of the hash in a file name, in hexadecimal digits.
const hashLength = 32

// location identifies the file of a record.
type location struct {
	shard string // name of the directory
	hash  string // of the fingerprint
	id    string
}

func locationOf(fingerprint, id string) location {
	sum := sha256.Sum256([]byte(fingerprint))
	return location{shard: shardOf(sum[0]), hash: hex.EncodeToString(sum[:16]), id: id}
}

func shardOf(b byte) string { return hex.EncodeToString([]byte{b % shards}) }

func (p location) name() string { return p.hash + "-" + p.id + ".json" }

// parseName is the reverse of name. It returns false for names of other files.
func parseName(shard, name string) (location, bool) {
	stem, ok := strings.CutSuffix(name, ".json")
	if !ok || len(stem) < hashLength+2 || stem[hashLength] != '-' {
		return location{}, false
	}
	p := location{shard: shard, hash: stem[:hashLength], id: stem[hashLength+1:]}
	raw, err := hex.DecodeString(p.hash)
	valid := err == nil && p.name() == name && shardOf(raw[0]) == shard &&
		storage.Record{ID: p.id, Fingerprint: "f"}.Validate() == nil
	return p, valid
}

func (s *Store) shardDir(p location) string { return filepath.Join(s.dir, p.shard) }

func (s *Store) path(p location) string { return filepath.Join(s.dir, p.shard, p.name()) }

// locations returns the locations of the records in a shard.
func (s *Store) locations(shard string) ([]location, error) {
	dir := filepath.Join(s.dir, shard)
	f, err := openDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, atPath(dir, err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, atPath(dir, err)
	}
	// A directory that changes while it is read may return a name twice.
	slices.Sort(names)
	var found []location
	for _, name := range slices.Compact(names) {
		if p, ok := parseName(shard, name); ok {
			found = append(found, p)
		}
	}
	return found, nil
}

func openDir(dir string) (*os.File, error) {
	// Opening a pipe would wait for a writer.
	if err := checkMode(dir, fs.ModeDir); err != nil {
		return nil, err
	}
	return os.Open(dir)
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
	if (storage.Record{ID: id, Fingerprint: "f"}).Validate() != nil {
		return location{}, false // not usable as a file name
	}
	hash, err := readFile(ctx, s.hintPath(id), hashLength)
	if err != nil || len(hash) != hashLength {
		return location{}, false
	}
	first, err := hex.DecodeString(string(hash[:2]))
	if err != nil {
		return location{}, false
	}
	p, ok := parseName(shardOf(first[0]), location{hash: string(hash), id: id}.name())
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
	const flags = os.O_CREATE | os.O_EXCL | os.O_WRONLY
	f, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrExist) {
		os.Remove(path)
		f, err = os.OpenFile(path, flags, 0o600)
	}
	if err != nil {
		return
	}
	_, err = f.WriteString(p.hash)
	if errors.Join(err, f.Close()) != nil {
		os.Remove(path) // it may be incomplete
	}
}

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

// shards is the number of folders that the records are spread over: enough for
// Find to read few names, few enough to read them all for an ID.
const shards = 64

// hashLength is that of the hashes in names, in hexadecimal digits.
const hashLength = 32

// place is where a record is kept.
type place struct {
	shard string // folder in the store's
	hash  string // of the fingerprint
	id    string
}

func placeOf(fingerprint, id string) place {
	sum := sha256.Sum256([]byte(fingerprint))
	return place{shard: shardOf(sum[0]), hash: hex.EncodeToString(sum[:16]), id: id}
}

func shardOf(b byte) string { return hex.EncodeToString([]byte{b % shards}) }

func (p place) name() string { return p.hash + "-" + p.id + ".json" }

// parseName is the reverse of name. It reports false for names of other files.
func parseName(shard, name string) (place, bool) {
	stem, ok := strings.CutSuffix(name, ".json")
	if !ok || len(stem) < hashLength+2 || stem[hashLength] != '-' {
		return place{}, false
	}
	p := place{shard: shard, hash: stem[:hashLength], id: stem[hashLength+1:]}
	raw, err := hex.DecodeString(p.hash)
	valid := err == nil && p.name() == name && shardOf(raw[0]) == shard &&
		storage.Record{ID: p.id, Fingerprint: "f"}.Validate() == nil
	return p, valid
}

func (s *Store) folder(p place) string { return filepath.Join(s.dir, p.shard) }

func (s *Store) path(p place) string { return filepath.Join(s.dir, p.shard, p.name()) }

// names returns what there is in a shard, of ours or not.
func (s *Store) names(shard string) ([]string, error) {
	dir := filepath.Join(s.dir, shard)
	f, err := openFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, at(dir, err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, at(dir, err)
	}
	// A folder that changes while it is read may name a file twice.
	slices.Sort(names)
	return slices.Compact(names), nil
}

func openFolder(dir string) (*os.File, error) {
	// Opening a pipe would wait for a writer.
	if err := checkMode(dir, fs.ModeDir); err != nil {
		return nil, err
	}
	return os.Open(dir)
}

// locate looks for a record of which only the ID is known: where the hint says, and
// without one everywhere.
func (s *Store) locate(ctx context.Context, id string) (p place, found bool, err error) {
	if p, ok := s.hinted(ctx, id); ok {
		return p, true, nil
	}
	suffix := place{id: id}.name()
	for i := range shards {
		shard := shardOf(byte(i))
		names, err := s.names(shard)
		if err != nil {
			return place{}, false, err
		}
		for _, name := range names {
			if !strings.HasSuffix(name, suffix) {
				continue
			}
			if p, ok := parseName(shard, name); ok && p.id == id {
				return p, true, nil
			}
		}
	}
	return place{}, false, nil
}

// A hint is a file with an ID as its name, and the hash of the fingerprint in it.
// It is written after the record, without waiting for the disk, and may be missing
// or out of date: nothing that matters relies on it.

func (s *Store) hintPath(id string) string { return filepath.Join(s.hintDir(), id) }

// hinted returns where a record is, if there is a hint that is right.
func (s *Store) hinted(ctx context.Context, id string) (place, bool) {
	if (storage.Record{ID: id, Fingerprint: "f"}).Validate() != nil {
		return place{}, false // and not the name of a file
	}
	hash, err := readFile(ctx, s.hintPath(id), hashLength)
	if err != nil || len(hash) != hashLength {
		return place{}, false
	}
	first, err := hex.DecodeString(string(hash[:2]))
	if err != nil {
		return place{}, false
	}
	p, ok := parseName(shardOf(first[0]), place{hash: string(hash), id: id}.name())
	if !ok {
		return place{}, false
	}
	_, err = os.Lstat(s.path(p))
	return p, err == nil
}

// hint needs the lock, so that nobody else writes the file.
func (s *Store) hint(p place) {
	path := s.hintPath(p.id)
	// What is there is not written to: it may be a pipe, which waits for a reader.
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
		os.Remove(path) // it might be half of one
	}
}

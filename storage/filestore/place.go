package filestore

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-175555ba/tus-go/storage"
)

// shards is the number of folders that the records are spread over: enough for
// Find to read few names, few enough to read them all for an ID.
const shards = 64

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
	const hashLength = 32
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

// places returns the records that there are in a shard.
func (s *Store) places(shard string) ([]place, error) {
	dir := filepath.Join(s.dir, shard)
	f, err := os.Open(dir)
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
	var places []place
	for _, name := range names {
		if p, ok := parseName(shard, name); ok {
			places = append(places, p)
		}
	}
	return places, nil
}

// locate looks for a record of which only the ID is known.
func (s *Store) locate(id string) (p place, found bool, err error) {
	for i := range shards {
		places, err := s.places(shardOf(byte(i)))
		if err != nil {
			return place{}, false, err
		}
		for _, p := range places {
			if p.id == id {
				return p, true, nil
			}
		}
	}
	return place{}, false, nil
}

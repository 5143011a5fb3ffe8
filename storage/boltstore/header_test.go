package boltstore_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

// replaceRecord applies change to the key and value of a record in the file.
func replaceRecord(t *testing.T, path, id string, change func(key, value []byte) ([]byte, []byte)) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("records"))
		key, value := change([]byte(id), bytes.Clone(b.Get([]byte(id))))
		return errors.Join(b.Delete([]byte(id)), b.Put(key, value))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// A flipped bit must not hide other records. Find reports the corrupt record if its
// fingerprint can be determined.
func TestStore_CorruptHeaderHidesNoOtherRecord(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		flip := func(at int) func(key, value []byte) ([]byte, []byte) {
			return func(key, value []byte) ([]byte, []byte) {
				value[at] ^= 1
				return key, value
			}
		}
		for name, test := range map[string]struct {
			change func(key, value []byte) ([]byte, []byte)
			found  bool // Find reports the corrupt record
		}{
			"revision": {flip(7), true},
			"hash":     {flip(10), true},
			"checksum": {flip(24), true},
			"revision and record": {func(key, value []byte) ([]byte, []byte) {
				value[7] ^= 1
				value[len(value)/2] ^= 1
				return key, value
			}, true},
			"ID":            {func(key, value []byte) ([]byte, []byte) { key[3] ^= 1; return key, value }, true},
			"ID, not UTF-8": {func(key, value []byte) ([]byte, []byte) { key[3] ^= 0x80; return key, value }, true},
			"truncated":     {func(key, value []byte) ([]byte, []byte) { return key, value[:5] }, false},
		} {
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "uploads.db")
				s := open(t, path, &opts)
				good, bad, other := put(t, s, record("key", 0)), put(t, s, record("key", 0)), put(t, s, record("other", 0))
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				replaceRecord(t, path, bad.ID, test.change)

				s = open(t, path, &opts)
				var corruptID string
				yielded := 0
				for rec, err := range s.All(t.Context()) {
					var storageErr *storage.Error
					switch yielded++; {
					case err == nil && (rec.ID == good.ID || rec.ID == other.ID):
					case errors.Is(err, storage.ErrCorrupt) && errors.As(err, &storageErr) && storageErr.Path == path:
						corruptID = storageErr.ID
					default:
						t.Errorf("All yields %v, %v", rec, err)
					}
				}
				if yielded != 3 || corruptID == "" {
					t.Errorf("All yields %d times, corrupt ID %q, want 3 and an ID", yielded, corruptID)
				}
				if found, err := s.Find(t.Context(), "other"); len(found) != 1 || err != nil {
					t.Errorf("found %v, %v of another fingerprint", found, err)
				}
				found, err := s.Find(t.Context(), "key")
				if len(found) != 1 || found[0].ID != good.ID || errors.Is(err, storage.ErrCorrupt) != test.found {
					t.Errorf("found %v, %v, want the valid record", found, err)
				}

				if err := s.Delete(t.Context(), corruptID, bad.Revision); !errors.Is(err, storage.ErrCorrupt) {
					t.Errorf("Delete: %v, want ErrCorrupt", err)
				}
				if err := s.Delete(t.Context(), corruptID, 0); err != nil {
					t.Fatal(err)
				}
				if found, err := s.Find(t.Context(), "key"); len(found) != 1 || err != nil {
					t.Errorf("found %v, %v after Delete of the corrupt record", found, err)
				}
				for rec, err := range s.All(t.Context()) {
					if err != nil {
						t.Errorf("All yields %v, %v after Delete of the corrupt record", rec, err)
					}
				}
			})
		}
	})
}

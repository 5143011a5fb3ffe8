package boltstore_test

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

// Open builds the index again if it differs from the records in any way.
func TestOpen_WrongIndexIsBuiltAgain(t *testing.T) {
	entry := func(tx *bbolt.Tx) []byte {
		k, _ := tx.Bucket([]byte("index")).Cursor().First()
		return append([]byte(nil), k...)
	}
	for name, change := range map[string]func(*bbolt.Tx) error{
		"missing": func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("index")) },
		"without an entry": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("index")).Delete(entry(tx))
		},
		"additional entry": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("index")).Put(append(entry(tx), 'x'), nil)
		},
		"changed entry": func(tx *bbolt.Tx) error {
			index, e := tx.Bucket([]byte("index")), entry(tx)
			err := index.Delete(e)
			e[3] ^= 1
			return errors.Join(err, index.Put(e, nil))
		},
		"nested bucket": func(tx *bbolt.Tx) error {
			_, err := tx.Bucket([]byte("index")).CreateBucket([]byte("nested"))
			return err
		},
	} {
		inBothModes(t, func(t *testing.T, opts boltstore.Options) {
			data, want, _ := fill(t, 60)
			path := filepath.Join(t.TempDir(), "uploads.db")
			write(t, path, data)
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(change), db.Close()); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := inspect(t, path, name, opts)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %d records, want %d, %v", name, len(got), len(want), err)
				}
				if err := open(t, path, &opts).Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A flipped bit makes the bucket a value, which bbolt does not replace by a bucket.
func TestOpen_IndexAsValueIsCorrupt(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		data, _, _ := fill(t, 60)
		path := filepath.Join(t.TempDir(), "uploads.db")
		write(t, path, data)
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bbolt.Tx) error {
			return errors.Join(tx.DeleteBucket([]byte("index")), tx.Cursor().Bucket().Put([]byte("index"), []byte("value")))
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := boltstore.Open(path, &opts); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("error %v, want ErrCorrupt", err)
		}
	})
}

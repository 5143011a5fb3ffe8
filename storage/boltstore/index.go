package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/seed-175555ba/tus-go/storage"
)

// The index has one entry per record, without a value: the hash of the fingerprint and
// the ID. It is in the file, where it is right for all processes that share it. Open
// compares it with the records, and builds it again if they differ.

// indexEntry returns the entry of a record. It is nil if the ID is longer than a valid one
// and does not fit into an entry.
func indexEntry(k key, id []byte) []byte {
	if len(k)+len(id) > bbolt.MaxKeySize {
		return nil
	}
	return append(k[:], id...)
}

// indexOf returns the index in the transaction of the records.
func indexOf(records *bbolt.Bucket) *bbolt.Bucket {
	return records.Tx().Bucket([]byte(indexBucket))
}

// find returns the IDs of the records of a fingerprint.
func (s *Store) find(records *bbolt.Bucket, k key) (ids [][]byte) {
	if s.unindexed { // read-only, so the index cannot be built
		eachEntry(records, func(entry []byte) error {
			if id, ok := bytes.CutPrefix(entry, k[:]); ok {
				ids = append(ids, id)
			}
			return nil
		})
		return ids
	}
	c := indexOf(records).Cursor()
	for entry, _ := c.Seek(k[:]); entry != nil; entry, _ = c.Next() {
		id, ok := bytes.CutPrefix(entry, k[:])
		if !ok {
			break
		}
		ids = append(ids, id)
	}
	return ids
}

// eachEntry calls f with the entry that each record must have.
func eachEntry(records *bbolt.Bucket, f func(entry []byte) error) error {
	return records.ForEach(func(id, value []byte) error {
		if value == nil {
			return fmt.Errorf("%w: nested bucket in records", storage.ErrCorrupt)
		}
		if entry := indexEntry(indexKey(id, value), id); entry != nil {
			return f(entry)
		}
		return nil
	})
}

// entries is the number of entries and the sum of their hashes, so that two sets can be
// compared without sorting them.
type entries struct {
	n   int
	sum uint64
}

// isIndexed reports whether the index has the entries of the records, and no others.
func isIndexed(records *bbolt.Bucket) (bool, error) {
	seed := maphash.MakeSeed()
	var want, got entries
	err := eachEntry(records, func(entry []byte) error {
		want.n++
		want.sum += maphash.Bytes(seed, entry)
		return nil
	})
	index := indexOf(records)
	if err != nil || index == nil {
		return false, err
	}
	err = index.ForEach(func(entry, _ []byte) error {
		got.n++
		got.sum += maphash.Bytes(seed, entry)
		return nil
	})
	return got == want, err
}

// buildIndex creates the index, or replaces it.
func buildIndex(records *bbolt.Bucket) error {
	tx := records.Tx()
	if err := tx.DeleteBucket([]byte(indexBucket)); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
		return err
	}
	index, err := tx.CreateBucket([]byte(indexBucket))
	if err != nil {
		return err
	}
	var all [][]byte
	err = eachEntry(records, func(entry []byte) error {
		all = append(all, entry)
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, bytes.Compare) // bbolt appends faster than it inserts
	for _, entry := range all {
		if err := index.Put(entry, nil); err != nil {
			return err
		}
	}
	return nil
}

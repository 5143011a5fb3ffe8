// Package boltstore keeps the records of uploads in one file, a bbolt database. Use
// it in a program that runs many uploads: concurrent changes share one sync of the
// disk, and finding a record takes microseconds at any number of records.
//
//	store, err := boltstore.Open(path, nil)
//	if errors.Is(err, storage.ErrLocked) {
//		// another process has it open
//	}
//	defer store.Close()
//
// # One process
//
// The file is locked while it is open. A second process, or a second Open in the
// same one, returns an error matching [storage.ErrLocked] after
// [Options].LockTimeout. Use package filestore to share records between processes.
//
// The holder of a lease had the file open, so leases of earlier sessions have ended.
// Records that were not put since Open are returned without their lease.
//
// # Durability
//
// Put and Delete return when the change is on disk. A single change is written at
// once. Changes that arrive during a transaction share the next one. If the process
// is killed, the file holds the last completed transaction.
//
// # Corruption
//
// Open reads and checks the whole file before bbolt opens it, which takes about as
// long as copying it: a few milliseconds for ten thousand records. If the file is
// corrupt, or not a bbolt database, Open returns an error matching
// [storage.ErrCorrupt]. With [Options].Quarantine, Open renames the file instead and
// creates an empty store. A single corrupt record in a valid database does not make
// Open fail: All reports it, and so does Find of its fingerprint, if the fingerprint
// can still be determined.
//
// # The file
//
// The bucket "schema" has the key "version". For a file of a newer release, Open
// returns an error matching [storage.ErrNewerVersion]. The bucket "records" has one
// key per record, its ID. The value is a header (see layout.go) and the output of
// [storage.Encode]. The index from fingerprints to records is in memory, about
// a hundred bytes per record. Open builds it from the headers.
package boltstore

// Package boltstore keeps the records of uploads in one file, a bbolt database. It
// is the store for a program that runs many uploads: they share the waits for the
// disk, and finding a record takes microseconds however many there are.
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
// same one, gets an error matching [storage.ErrLocked] after
// [Options].LockTimeout. For state that several processes share at the same time
// there is package filestore.
//
// So a lease that is found by Open is over: its holder had the file open, and has not
// any more. Records that were not put since are returned without their lease.
//
// # Durability
//
// Put and Delete return when the change is on disk. A change that comes alone is
// written at once; those that come while the disk is busy go together into the
// next transaction. A process killed at any instant leaves the file as it was
// after the last transaction that was complete.
//
// # Damage
//
// Open reads the whole file and checks it, before the database does, which costs
// about as long as copying it: a few milliseconds for ten thousand records. A file
// that is damaged, or no such database at all, is an error matching
// [storage.ErrCorrupt]. With [CorruptMovedAside] it is renamed instead, and the
// store begins anew. A single damaged record, whose place in the file is sound,
// does not keep the store from being opened: All reports it, and so does Find of
// its fingerprint, as far as that can still be made out.
//
// # The file
//
// The bucket "schema" has the key "version"; a file of a newer release is an error
// matching [storage.ErrNewerVersion]. The bucket "records" has a key for each
// record, its ID. The value is a header (see layout.go) and the record as
// [storage.Encode] makes it. Which records belong to a fingerprint is kept in
// memory, some hundred bytes a record, and read from the headers in Open.
package boltstore

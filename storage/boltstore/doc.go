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
// By default the file is locked while it is open. A second process, or a second Open in
// the same one, returns an error matching [storage.ErrLocked] after
// [Options].LockTimeout.
//
// The holder of a lease had the file open, so leases of earlier sessions have ended.
// Records that were not put since Open are returned without their lease.
//
// # Several processes
//
// With [Options].Shared, the file is open and locked during a transaction only, so that
// processes share it, such as several runs of a command line tool:
//
//	store, err := boltstore.Open(path, &boltstore.Options{Shared: true})
//
// A call waits for the transactions of the others, in the order in which the system grants
// the lock, for at most LockTimeout. A process that is killed releases the lock; one that is
// suspended in the middle of a transaction keeps it until it continues. Leases mean
// what they say, also for programs that later open the file without Shared. While such a
// program has the file open, calls return ErrLocked, and while the others have it closed,
// it can open the file. So all programs that share a file should set Shared.
//
// Sharing works on a local file system. A network file system needs locks that work
// between machines, and memory mapping that sees the changes of other machines, which
// most do not have: use a database there. On AIX, Android and Solaris, two stores of one
// process do not exclude each other.
//
// # Durability
//
// Put and Delete return when the change is on disk. A single change is written at
// once. Changes that arrive during a transaction share the next one, in each process. If a
// process is killed, the file holds the last completed transaction.
//
// # Corruption
//
// Open reads and checks the whole file before bbolt opens it, which takes about as
// long as copying it: about ten milliseconds for ten thousand records. If the file is
// corrupt, or not a bbolt database, Open returns an error matching
// [storage.ErrCorrupt]. With [Options].Quarantine, Open renames the file instead and
// creates an empty store. A single corrupt record in a valid database does not make
// Open fail: All reports it, and so does Find of its fingerprint, if the fingerprint
// can still be determined.
//
// With Shared, the check is repeated if the file was changed other than by a transaction:
// it was replaced, truncated, restored from a backup, or written by another program. If
// the new content is corrupt, the call fails as Open does, and later calls check again. If
// the file was deleted, the store is empty.
//
// # The file
//
// The bucket "schema" has the key "version", and the key "shared" if the file was opened
// with Shared. For a file of a newer release, Open returns an error matching
// [storage.ErrNewerVersion]. The bucket "records" has one key per record, its ID. The value
// is a header (see layout.go) and the output of [storage.Encode]. The bucket "index" has one
// key per record, the hash of the fingerprint followed by the ID. Open compares the index
// with the records, and builds it again if they differ.
package boltstore

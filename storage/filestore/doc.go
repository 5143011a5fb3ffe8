// Package filestore keeps the records of uploads in a folder, one small JSON file a
// record. It is the store for processes that run at the same time and share what
// they know, such as a command line tool that is started several times; and for
// whoever wants to look at the records with an editor.
//
//	store, err := filestore.Open(filepath.Join(stateDir, "uploads"), nil)
//
// # Between processes
//
// Any number of processes may have the folder open. A change is prepared without a
// lock; then the folder is locked for as long as it takes to look at the stored
// revision and to rename a file. Reading needs no lock at all. On systems that
// have no file locks, a file that is left behind by a process that died counts as
// the lock for half a minute.
//
// # Durability
//
// A record is written to a temporary file, synced, and renamed; then the folder is
// synced. Whenever the process is killed, there is the old record or the new one.
// Temporary files that are left behind are removed by Open when they are an hour
// old.
//
// # The folder
//
//	lock                    is locked for changes
//	tmp/                    files being written
//	2a/<hash>-<ID>.json     a record, as storage.Encode makes it
//	id/<ID>                 the hash to an ID
//
// The hash is the first half of the SHA-256 of the fingerprint in hexadecimal, and
// the folder above it, one of 64, its first byte modulo 64. So Find reads the names
// in one folder, and the files that it is about. What is in the folder id saves time,
// and keeps an ID from being used again under another fingerprint: where its file
// there was deleted by hand, Put cannot tell. IDs of [storage.NewID] are never the
// same. All else that matters is in the records.
//
// The folder is made private (mode 0700). Symbolic links in it are refused, as are other
// things in place of its files and folders.
//
// A file may be deleted by hand. One that was changed by hand is damaged, as its
// checksum is no longer right; the others do not suffer from it.
package filestore

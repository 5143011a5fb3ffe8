// Package filestore keeps the records of uploads in a directory, one small JSON file
// per record. Use it for processes that run at the same time and share records, such
// as a command line tool, or to inspect the records with an editor.
//
//	store, err := filestore.Open(filepath.Join(stateDir, "uploads"), nil)
//
// # Between processes
//
// Any number of processes may open the directory. A change is prepared without a
// lock. Then the directory is locked while the stored revision is read and a file is
// renamed. Reading needs no lock. On systems without file locks, changes fail.
//
// # Durability
//
// A record is written to a temporary file, synced, and renamed; then the directory is
// synced. If the process is killed, either the old or the new record is stored. Open
// removes temporary files that are older than an hour.
//
// # The directory
//
//	lock                    is locked for changes
//	tmp/                    files being written
//	2a/<hash>-<ID>.json     a record, encoded by storage.Encode
//	id/<ID>                 the hash for an ID
//
// The hash is the first half of the SHA-256 of the fingerprint in hexadecimal. The
// name of the directory above it, one of 64, is its first byte modulo 64. So Find
// reads the names in one directory, and the files with the right hash. The files in
// directory id make Delete faster, and let Put reject an ID that is stored under
// another fingerprint; if such a file is deleted by hand, Put does not detect that.
// IDs of [storage.NewID] are unique. Everything else is in the records.
//
// The directory is made private (mode 0700). A symbolic link, or anything else that is
// not the expected file or directory, is an error.
//
// Files may be deleted by hand. A record that is edited by hand is corrupt, because its
// checksum is wrong; other records are not affected.
package filestore

// Package storage stores what a tus client needs to resume an upload after a
// crash: the upload URL and the fingerprint of the data.
//
// # Records
//
// A [Record] describes one upload, which is incomplete unless Completed is set. It is
// found by its Fingerprint, the resume key, which covers the data, the endpoint and the
// caller's resume key. Records that share a fingerprint are uploads of the same
// data. A record holds no request headers and no credentials. An upload URL alone
// may give access to the upload, so stores on disk are readable by their owner only.
//
// The client stores a record before it creates an upload, without the upload URL, and
// again as soon as it has that and before it sends the first byte. When the server has
// acknowledged all bytes, it deletes the record or, if it remembers completed uploads,
// stores it with Completed and Expires and without parts and lease. That record prevents
// a second upload of the same data until it expires.
//
// # Revisions
//
// A [Store] may be shared by goroutines, and some stores by processes. Records are
// not locked. Instead every record has a Revision, and [Store.Put] stores a record
// only if its revision is the one stored now. Otherwise it returns [ErrConflict],
// and the caller reads the record again:
//
//	rec := storage.Record{ID: storage.NewID(), Fingerprint: key, …}
//	rec, err = store.Put(ctx, rec) // creates: rec.Revision is 0, and now 1
//	rec.UploadURL = url
//	rec, err = store.Put(ctx, rec) // updates: rec.Revision is now 2
//
// The [Lease] of a record names the holder of the upload and when the lease ends. A
// lease is acquired with Put, so only one of several concurrent attempts succeeds.
//
// # Stores
//
//   - [Memory] keeps records in memory, until the process ends.
//   - Package boltstore keeps records in one file, for one process, or for several that
//     share it. Use it for many concurrent uploads.
//   - Package filestore keeps one small JSON file per record, for processes that
//     share a directory. Use it if people read or delete records by hand.
//   - Packages pgstore and natsstore, which are modules of their own, keep records in
//     PostgreSQL and in NATS JetStream. Use them for several machines.
//
// To keep records elsewhere, such as in an existing database, implement [Store].
// [Encode] and [Decode] are the encoding that the stores above use, and package
// storagetest tests an implementation.
//
// # Corruption
//
// Stores do not trust what they read from disk. Each record carries a checksum and
// is validated on reading as on writing, so a corrupt record is an error matching
// [ErrCorrupt], never a wrong upload URL. It does not hide other records: Find
// returns them along with the error, and All continues after it.
package storage

// Package storage keeps what a tus client has to remember to go on with an
// upload after a crash: where the upload is on the server, and which data it
// belongs to.
//
// # Records
//
// A [Record] is one upload that was begun and is not known to be complete. It is
// found by its Fingerprint, the resume key, which stands for the data, the
// endpoint, and whatever else the caller wants to tell uploads apart by. Several
// records may share a fingerprint: they are several uploads of the same data. A
// record holds no request headers and no credentials, but an upload URL may by
// itself give access to the upload, so stores on disk are readable by their owner
// only.
//
// The client stores a record as soon as it knows the upload URL and before it
// sends the first byte, and deletes it when the server has confirmed the end.
//
// # Revisions
//
// A [Store] may be shared by goroutines, and some stores by processes. Nobody
// locks a record. Instead every record has a Revision, and [Store.Put] stores a
// record only if it is a change to the revision that is stored now; otherwise it
// returns [ErrConflict], and the caller reads again and decides anew:
//
//	rec := storage.Record{ID: storage.NewID(), Fingerprint: key, …}
//	rec, err = store.Put(ctx, rec) // creates: rec.Revision is 0, and now 1
//	rec.UploadURL = url
//	rec, err = store.Put(ctx, rec) // updates: rec.Revision is now 2
//
// A [Lease] in the record says who is at work on the upload and until when. As
// taking one is an ordinary Put, of several that try only one succeeds.
//
// # Stores
//
//   - [Memory] lasts as long as the process.
//   - Package boltstore keeps records in one file, for one process at a time. It
//     is the one for many concurrent uploads.
//   - Package filestore keeps one small JSON file a record, for processes that
//     share a folder.
//
// For another place, such as a database that is there already, implement [Store];
// [Encode] and [Decode] are the form in which the stores above keep a record, and
// package storagetest is the test that all of them pass.
//
// # Damage
//
// What is read from disk is not trusted. It carries a checksum and is validated
// as strictly as what goes in, so a damaged record is an error matching
// [ErrCorrupt], never a wrong upload URL. It does not hide the others: Find returns
// them along with the error, and All goes on behind it.
package storage

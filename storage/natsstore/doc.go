// Package natsstore keeps the records of uploads in a bucket of NATS JetStream, for
// machines that share uploads. It requires servers of version 2.11 or newer.
//
//	conn, err := nats.Connect(urls, nats.MaxReconnects(-1), nats.PingInterval(10*time.Second))
//	…
//	defer conn.Close()
//	store, err := natsstore.Open(ctx, conn, &natsstore.Options{Bucket: "uploads", Replicas: 3})
//
// Set both options of the connection: by default, package nats stops reconnecting after two
// minutes, and needs four minutes or more to detect a frozen connection.
//
// # Durability
//
// By default, a server acknowledges a change before it is on disk, and syncs its files every
// two minutes. If only the process of the server is killed, nothing is lost. A power failure
// or a crash of the system loses acknowledged changes, and with them leases and upload URLs.
// Replicas do not prevent that if several servers fail at the same time. Jepsen measured
// these losses with NATS 2.12.1 (https://jepsen.io/analyses/nats-2.12.1, 8 December 2025).
// Make all servers sync each change before they acknowledge it:
//
//	jetstream {
//		store_dir: /var/lib/nats
//		sync_interval: always
//	}
//
// This costs one sync of the disk per change. Clients cannot read the setting, so Open does
// not check it.
//
// With three servers and Replicas 3, the store works while one server is down. When the
// leader of the bucket fails, the others elect a new one within 4 to 9 seconds.
//
// # Errors
//
// A request without a response is resent for at most 15 seconds, or until the context is
// done. So calls survive lost connections, restarts of a server and elections. If the
// response to a change was lost, Put and Delete detect that the change is stored, and do not
// return [storage.ErrConflict]. After another error, the change may be stored nevertheless,
// possibly after the call returned.
//
// All reads go to the leader of the bucket, because replicas may return old records. A
// leader that is cut off from the other servers may return old records too, until it steps
// down after about 10 seconds. It cannot store changes.
//
// # Clock
//
// A Store is a [storage.Clock]. Its time is that of the leader of the bucket.
//
// # Size of records
//
// A message must not exceed max_payload of the server, which is 1 MiB by default. Records
// above 64 KiB are compressed, so that those of uploads with 10,000 parts fit. For a larger
// record, Put returns [storage.ErrTooLarge]. It counts parts without an upload URL as if
// they had one. So the first Put with the list of parts fails, and not a later one in the
// middle of the upload.
//
// # The bucket
//
// The bucket is a key-value bucket, so tools such as "nats kv" can read it. Its stream is
// KV_<bucket>. Each record is one message with the subject
//
//	$KV.<bucket>.<group>.<hash>.<ID>
//
// The hash is the first half of the SHA-256 of the fingerprint, in base64. The group, one of
// 512, is derived from the ID. The data is the output of [storage.Encode], compressed if the
// header Content-Encoding is deflate.
//
// The server stores a change only if the stored message has the sequence that belongs to the
// revision of the caller. A new record requires that no message has its ID, whatever the
// fingerprint. Delete stores a marker, which the server removes after 10 seconds.
//
// Each message has the header Nats-Rollup, which removes the one before it on disk. Without
// it, a server that was killed would rebuild its state with the last revision of records
// whose marker has expired (https://github.com/nats-io/nats-server/issues/8505).
//
// There is no index of fingerprints. It would be a second message per record: after a crash
// between two changes one of them is missing, and servers keep all subjects in memory.
// Instead the groups bound both searches. For the records with a fingerprint the server looks
// into each of the 512 groups, and for a record with an ID it compares the records of one
// group.
//
// A server needs about 450 MiB of memory for one million records. It also keeps blocks of its
// files that it read until the next garbage collection, so set its environment variable
// GOMEMLIMIT, to 900MiB for example.
//
// Open accepts an existing bucket if its stream has the settings that records depend on:
// subjects, storage (file), retention (limits), max_msgs_per_subject (2 or more), max_age
// (0), allow_direct (false), allow_msg_ttl (true) and allow_rollup_hdrs (true). Its size may
// be limited if discard is "new". A full bucket then refuses all changes, also Delete.
package natsstore

// Package natsstore keeps the records of uploads in a bucket of NATS JetStream, for
// machines that share uploads. It requires servers of version 2.11 or newer.
//
//	conn, err := nats.Connect(urls, nats.MaxReconnects(-1), nats.PingInterval(10*time.Second))
//	…
//	defer conn.Close()
//	store, err := natsstore.Open(ctx, conn, &natsstore.Options{Bucket: "uploads", Replicas: 3})
//
// By default package nats stops to reconnect after a while, and detects after four minutes
// that a connection is frozen: set the two options above.
//
// # Durability
//
// JetStream acknowledges a change before it is on disk. By default servers sync their files
// every two minutes, so a power failure or a crash of the system can lose acknowledged
// changes, and with them a lease or the URL of an upload. Jepsen measured it with NATS 2.12.1
// (https://jepsen.io/analyses/nats-2.12.1, 8 December 2025). If a process of the server ends
// without one, nothing is lost. To sync each change before it is acknowledged, set
//
//	jetstream {
//		store_dir: /var/lib/nats
//		sync_interval: always
//	}
//
// on all servers, which costs one sync of the disk per change. A client cannot find out
// what is set. Three servers with Replicas 3 keep working if one fails: calls wait while the
// others elect a leader, which takes 4 to 9 seconds.
//
// # Errors
//
// A request that is not answered is sent again, for at most 15 seconds or until its context
// is done. So calls survive lost connections, restarts of a server and elections. The
// message of a change has a random header, by which Put and Delete recognize after a lost
// response that they stored it: they return no [storage.ErrConflict] because of themselves.
// After any other error the change may be stored, also later. A later Put of another record
// then conflicts.
//
// Reads go to the leader of the bucket, and not to replicas, which may be behind. A leader
// that was separated from the others can return old records for up to ten seconds, but
// cannot store changes.
//
// # Clock
//
// A Store is a [storage.Clock]: the time is that of the server that leads the bucket.
//
// # Size of records
//
// Records above 64 KiB are compressed. With the max_payload of 1 MiB that servers have by
// default, uploads with 10,000 parts fit several times over. Put returns
// [storage.ErrTooLarge] for a larger record. Parts without an upload URL count as if they
// had one, so the first Put with the list of parts returns the error, and not a later one
// when the upload is half complete.
//
// # The bucket
//
// The bucket is a key-value bucket, whose stream is KV_<bucket>, so tools such as "nats kv"
// can read it. A record is one message, with the subject
//
//	$KV.<bucket>.<group>.<hash>.<ID>
//
// The hash is the first half of the SHA-256 of the fingerprint in base64. The group, one of
// 512, is computed from the ID. The data is the output of [storage.Encode], with deflate if
// the header Content-Encoding says so.
//
// A second message per record, such as an index of fingerprints, would double the memory of
// the servers, which keep all subjects in memory, and a crash between two changes would leave
// one without the other. With one message each change is atomic. The server finds the records
// of a fingerprint by *.<hash>.* in 512 steps, and a record by <group>.*.<ID> in a 512th of
// all records.
//
// The server stores a change only if the last message has the sequence of the revision that
// the caller has. For a new record no message of any fingerprint may have its ID. Delete
// stores a marker without data, which the server removes after 10 seconds.
//
// Open creates the bucket as it is needed. An existing one must have the same max_msgs_per_subject (1),
// max_age (none), storage (file), allow_direct (false) and allow_msg_ttl (true). Limits on
// its size are allowed if discard is "new".
package natsstore

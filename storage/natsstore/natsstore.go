package natsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed-175555ba/tus-go/storage"
)

const defaultBucket = "tus-uploads"

// Options are the options of [Open]. The zero value is ready to use.
type Options struct {
	// Bucket is the name of the bucket: 1 to 64 letters, digits, '-' and '_'. Stores
	// with the same bucket share their records. "" means "tus-uploads".
	Bucket string

	// Replicas is the number of servers that keep the bucket: 1 to 5, and 3 for a cluster
	// that survives the loss of a server. If the bucket exists with another number, Open
	// returns an error. 0 means the number of the existing bucket, and 1 for a new one.
	Replicas int
}

// Store is a [storage.Store] and a [storage.Clock] in a bucket of NATS JetStream. Create it
// with [Open]. All methods are safe for concurrent use.
type Store struct {
	conn      *nats.Conn
	bucket    string
	limit     int64 // of the data of a message, in bytes
	positions positions
}

var (
	_ storage.Store = (*Store)(nil)
	_ storage.Clock = (*Store)(nil)
)

// Open opens the bucket on the servers of conn, and creates it if it does not exist. conn
// stays open as long as the store is used: the store has no Close method, and after conn is
// closed all methods return an error matching [storage.ErrClosed]. opts may be nil.
//
// If the bucket exists with a configuration that would lose or hide records, Open returns
// an error that names the settings. It also returns an error if the server does not support
// TTLs of messages, or if its max_payload is below 257 KiB.
func Open(ctx context.Context, conn *nats.Conn, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Bucket == "" {
		o.Bucket = defaultBucket
	}
	switch {
	case conn == nil:
		return nil, errors.New("natsstore: conn is nil")
	case !validBucket(o.Bucket):
		return nil, fmt.Errorf("natsstore: Options.Bucket %q is not 1 to 64 letters, digits, - and _", o.Bucket)
	case o.Replicas < 0 || o.Replicas > maxReplicas:
		return nil, fmt.Errorf("natsstore: Options.Replicas %d is not 0 to %d", o.Replicas, maxReplicas)
	}
	s := &Store{conn: conn, bucket: o.Bucket, positions: positions{of: map[string]position{}}}
	if err := s.openBucket(ctx, o.Replicas); err != nil {
		return nil, s.errorOf("", err)
	}
	return s, nil
}

// Now implements [storage.Clock]. It returns the time of the server that leads the bucket.
// If another one becomes the leader, its clock counts, so synchronize the clocks of the
// servers.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	r, err := s.info(ctx, infoRequest{})
	if err != nil {
		return time.Time{}, s.errorOf("", err)
	}
	return r.TimeStamp.UTC(), nil
}

// errorOf returns an error with the bucket and the ID of a record, if any.
func (s *Store) errorOf(id string, err error) error {
	return &storage.Error{Path: "bucket " + s.bucket, ID: id, Err: err}
}

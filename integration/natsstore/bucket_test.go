package natsstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/natsstore"
)

// stream returns the configuration of a new bucket.
func stream(bucket string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "KV_" + bucket, Subjects: []string{"$KV." + bucket + ".>"},
		Storage: jetstream.FileStorage, Replicas: 1, Discard: jetstream.DiscardNew,
		MaxMsgsPerSubject: 2, AllowMsgTTL: true, AllowRollup: true,
	}
}

func jetStream(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(connect(t, url))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// A bucket that was made otherwise is refused if it would lose or hide records.
func TestOpen_ChecksExistingBucket(t *testing.T) {
	t.Parallel()
	url := start(t, options(t.TempDir())).ClientURL()
	js := jetStream(t, url)
	for name, test := range map[string]struct {
		change func(*jetstream.StreamConfig)
		opts   natsstore.Options
		want   []string // parts of the error; none if the bucket is accepted
	}{
		"same":        {func(*jetstream.StreamConfig) {}, natsstore.Options{}, nil},
		"description": {func(c *jetstream.StreamConfig) { c.Description, c.DenyDelete = "x", true }, natsstore.Options{}, nil},
		"compressed":  {func(c *jetstream.StreamConfig) { c.Compression = jetstream.S2Compression }, natsstore.Options{}, nil},
		"limited":     {func(c *jetstream.StreamConfig) { c.MaxBytes, c.MaxMsgs = 1<<20, 1000 }, natsstore.Options{}, nil},
		"history":     {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 64 }, natsstore.Options{}, nil},
		"no history":  {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = -1 }, natsstore.Options{}, nil},
		"no rollup": {func(c *jetstream.StreamConfig) { c.AllowRollup = false }, natsstore.Options{},
			[]string{"allow_rollup_hdrs is false, and must be true"}},
		"no limits":    {func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, natsstore.Options{}, nil},
		"any replicas": {func(*jetstream.StreamConfig) {}, natsstore.Options{Replicas: 1}, nil},
		"drops": {func(c *jetstream.StreamConfig) { c.MaxBytes, c.Discard = 1<<20, jetstream.DiscardOld }, natsstore.Options{},
			[]string{"discard is DiscardOld, and must be DiscardNew"}},
		"direct": {func(c *jetstream.StreamConfig) { c.AllowDirect = true }, natsstore.Options{},
			[]string{"allow_direct is true, and must be false"}},
		"replicas": {func(*jetstream.StreamConfig) {}, natsstore.Options{Replicas: 3},
			[]string{"num_replicas is 1, and must be 3"}},
		"many wrong": {func(c *jetstream.StreamConfig) {
			c.MaxAge, c.MaxMsgsPerSubject, c.Storage = time.Hour, 1, jetstream.MemoryStorage
		}, natsstore.Options{},
			[]string{"max_age is 1h0m0s", "max_msgs_per_subject is 1, and must be 2", "storage is Memory"}},
		"small messages": {func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 }, natsstore.Options{},
			[]string{"max_msg_size is 1000"}},
		"no TTL": {func(c *jetstream.StreamConfig) { c.AllowMsgTTL = false }, natsstore.Options{},
			[]string{"allow_msg_ttl is false", "2.11"}},
		"other subjects": {func(c *jetstream.StreamConfig) { c.Subjects = []string{"elsewhere.>"} }, natsstore.Options{},
			[]string{"subjects is [elsewhere.>]"}},
		"no ack":     {func(c *jetstream.StreamConfig) { c.NoAck = true }, natsstore.Options{}, []string{"no_ack is true"}},
		"async":      {func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode }, natsstore.Options{}, []string{"persist_mode is"}},
		"work queue": {func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, natsstore.Options{}, []string{"retention is WorkQueue"}},
	} {
		bucket := strings.ReplaceAll(name, " ", "-")
		config := stream(bucket)
		test.change(&config)
		if _, err := js.CreateStream(t.Context(), config); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		test.opts.Bucket = bucket
		s, err := natsstore.Open(t.Context(), connect(t, url), &test.opts)
		if len(test.want) == 0 && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && len(test.want) == 0 {
			put(t, s, record("key"))
		}
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), bucket) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

func TestOpen_RejectsInvalidOptions(t *testing.T) {
	t.Parallel()
	conn := connect(t, start(t, options(t.TempDir())).ClientURL())
	for _, opts := range []natsstore.Options{
		{Bucket: "a.b"}, {Bucket: "a b"}, {Bucket: "*"}, {Bucket: strings.Repeat("a", 65)}, {Replicas: -1}, {Replicas: 6},
	} {
		if _, err := natsstore.Open(t.Context(), conn, &opts); err == nil || !strings.Contains(err.Error(), "Options.") {
			t.Errorf("%+v: %v, want an error that names the option", opts, err)
		}
	}
	if _, err := natsstore.Open(t.Context(), nil, nil); err == nil {
		t.Error("Open without a connection succeeded")
	}
	// A single server has no replicas.
	if _, err := natsstore.Open(t.Context(), conn, &natsstore.Options{Replicas: 3}); err == nil || !strings.Contains(err.Error(), "replicas") {
		t.Errorf("3 replicas on one server: %v", err)
	}
}

func TestOpen_ServerTakesOnlySmallMessages(t *testing.T) {
	t.Parallel()
	opts := options(t.TempDir())
	opts.MaxPayload = 200_000
	conn := connect(t, start(t, opts).ClientURL())
	if _, err := natsstore.Open(t.Context(), conn, nil); err == nil || !strings.Contains(err.Error(), "max_payload of the server is 200000") {
		t.Errorf("Open: %v, want an error about max_payload", err)
	}
}

// A full bucket refuses changes, and keeps the records that it has.
func TestPut_BucketIsFull(t *testing.T) {
	t.Parallel()
	url := start(t, options(t.TempDir())).ClientURL()
	config := stream("full")
	config.MaxMsgs = 2
	js := jetStream(t, url)
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	s := open(t, url, &natsstore.Options{Bucket: "full"})
	rec := put(t, s, record("key"))
	put(t, s, record("key"))
	_, creating := s.Put(t.Context(), record("key"))
	_, updating := s.Put(t.Context(), rec)
	for change, err := range map[string]error{
		"creation": creating, "update": updating, "Delete": s.Delete(t.Context(), rec.ID, rec.Revision),
	} {
		if err == nil || errors.Is(err, storage.ErrConflict) || !strings.Contains(err.Error(), "maximum messages exceeded") {
			t.Errorf("%s in a full bucket: %v", change, err)
		}
	}
	if found, err := s.Find(t.Context(), "key"); len(found) != 2 || err != nil {
		t.Errorf("found %d records, %v, want 2", len(found), err)
	}
	config.MaxMsgs = 3
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	put(t, s, rec)
}

// The marker of a deleted record is removed.
func TestDelete_MarkerExpires(t *testing.T) {
	t.Parallel()
	url := start(t, options(t.TempDir())).ClientURL()
	s := open(t, url, nil)
	rec := put(t, s, record("key"))
	if err := s.Delete(t.Context(), rec.ID, rec.Revision); err != nil {
		t.Fatal(err)
	}
	waitForMessages(t, url, 0)
	rec.Revision = 0
	if rec = put(t, s, rec); rec.Revision != 1 {
		t.Errorf("revision %d after the marker expired, want 1", rec.Revision)
	}
	put(t, s, rec)
	waitForMessages(t, url, 1)
}

// waitForMessages waits until the stream has a number of messages.
func waitForMessages(t *testing.T, url string, want uint64) {
	t.Helper()
	bucket, err := jetStream(t, url).Stream(t.Context(), "KV_tus-uploads")
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		info, err := bucket.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info.State.Msgs == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d messages, want %d", info.State.Msgs, want)
		}
	}
}

// Tools for key-value buckets can read records, and see which were deleted.
func TestStore_IsKeyValueBucket(t *testing.T) {
	t.Parallel()
	url := start(t, options(t.TempDir())).ClientURL()
	s := open(t, url, nil)
	rec, deleted := put(t, s, record("key")), put(t, s, record("key"))
	if err := s.Delete(t.Context(), deleted.ID, deleted.Revision); err != nil {
		t.Fatal(err)
	}
	kv, err := jetStream(t, url).KeyValue(t.Context(), "tus-uploads")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(t.Context())
	if err != nil || len(keys) != 1 || !strings.HasSuffix(keys[0], rec.ID) {
		t.Fatalf("keys %v, %v, want that of %s", keys, err, rec.ID)
	}
	entry, err := kv.Get(t.Context(), keys[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := storage.Decode(entry.Value()); err != nil || got.ID != rec.ID {
		t.Errorf("value %s: %v", entry.Value(), err)
	}
	// A record that such a tool deletes is absent.
	if err := kv.Delete(t.Context(), keys[0]); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Find(t.Context(), "key"); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	if _, err := s.Put(t.Context(), rec); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("Put: %v, want ErrConflict", err)
	}
	rec.Revision = 0
	put(t, s, rec)
}

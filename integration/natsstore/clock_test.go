package natsstore_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-175555ba/tus-go/storage/natsstore"
)

// The clock of the server counts, however far that of this machine is off. A program that
// responds in place of JetStream has another clock.
func TestNow_IsThatOfTheServer(t *testing.T) {
	t.Parallel()
	opts := options(t.TempDir())
	opts.JetStream = false
	url := start(t, opts).ClientURL()
	for _, ahead := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		responder := connect(t, url)
		sub, err := responder.Subscribe("$JS.API.STREAM.INFO.KV_tus-uploads", func(m *nats.Msg) {
			data, err := json.Marshal(jetstream.StreamInfo{Config: stream("tus-uploads"), TimeStamp: time.Now().Add(ahead)})
			if err != nil {
				t.Error(err)
			}
			m.Respond(data)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := responder.Flush(); err != nil {
			t.Fatal(err)
		}
		s, err := natsstore.Open(t.Context(), connect(t, url), nil)
		if err != nil {
			t.Fatal(err)
		}
		now, err := s.Now(t.Context())
		if diff := time.Since(now) + ahead; err != nil || diff.Abs() > time.Minute {
			t.Errorf("Now is off by %v, %v", diff, err)
		}
		if now.Location() != time.UTC {
			t.Errorf("Now is in %v", now.Location())
		}
		sub.Unsubscribe()
		responder.Flush()
	}
}

// Without a leader, servers that have an old state answer.
func TestFind_ServerWithoutLeaderIsNotTrusted(t *testing.T) {
	t.Parallel()
	opts := options(t.TempDir())
	opts.JetStream = false
	url := start(t, opts).ClientURL()
	responder := connect(t, url)
	calls := 0
	_, err := responder.Subscribe("$JS.API.STREAM.INFO.KV_tus-uploads", func(m *nats.Msg) {
		info := jetstream.StreamInfo{Config: stream("tus-uploads"), Cluster: &jetstream.ClusterInfo{Leader: "server"}}
		if calls++; calls > 1 && calls < 5 {
			info.Cluster.Leader = ""
		}
		data, err := json.Marshal(info)
		if err != nil {
			t.Error(err)
		}
		m.Respond(data)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := responder.Flush(); err != nil {
		t.Fatal(err)
	}
	s, err := natsstore.Open(t.Context(), connect(t, url), nil)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := s.Find(t.Context(), "key"); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	responder.Drain()
	if calls != 5 {
		t.Errorf("%d requests, want 5: those without a leader again", calls)
	}
}

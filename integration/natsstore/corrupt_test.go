package natsstore_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/storage"
)

// subjectOf returns the subject of a record.
func subjectOf(t testing.TB, js jetstream.JetStream, id string) string {
	t.Helper()
	bucket, err := js.Stream(t.Context(), "KV_tus-uploads")
	if err != nil {
		t.Fatal(err)
	}
	info, err := bucket.Info(t.Context(), jetstream.WithSubjectFilter("$KV.tus-uploads.*.*."+id))
	if err != nil {
		t.Fatal(err)
	}
	for subject := range info.State.Subjects {
		return subject
	}
	t.Fatal("no record", id)
	return ""
}

// A record that another program overwrote hides no other.
func TestStore_CorruptRecordHidesNoOther(t *testing.T) {
	t.Parallel()
	url := start(t, options(t.TempDir())).ClientURL()
	js := jetStream(t, url)
	s := open(t, url, nil)
	other := put(t, s, record("key"))
	another := put(t, s, record("another key"))
	encoded, err := storage.Encode(another)
	if err != nil {
		t.Fatal(err)
	}
	sum := crc32.Checksum([]byte("9\n{}"), crc32.MakeTable(crc32.Castagnoli))
	newer := fmt.Sprintf(`{"version":9,"crc32c":"%08x","record":{}}`, sum)
	for name, test := range map[string]struct {
		data    string
		headers map[string]string
		want    error
	}{
		"not a record":       {"garbage", nil, storage.ErrCorrupt},
		"empty":              {"", nil, storage.ErrCorrupt},
		"other record":       {string(encoded), map[string]string{"Tus-Revision": "1"}, storage.ErrCorrupt},
		"not compressed":     {"garbage", map[string]string{"Content-Encoding": "deflate"}, storage.ErrCorrupt},
		"newer version":      {newer, nil, storage.ErrNewerVersion},
		"other revision":     {"", map[string]string{"Tus-Revision": "7"}, storage.ErrCorrupt},
		"revision of a text": {"", map[string]string{"Tus-Revision": "x"}, storage.ErrCorrupt},
	} {
		rec := put(t, s, record("key"))
		data := test.data
		if strings.Contains(name, "revision") {
			own, err := storage.Encode(rec)
			if err != nil {
				t.Fatal(err)
			}
			data = string(own)
		}
		m := nats.NewMsg(subjectOf(t, js, rec.ID))
		m.Data = []byte(data)
		for k, v := range test.headers {
			m.Header.Set(k, v)
		}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		wantUnreadable := func(call string, err error) {
			t.Helper()
			var failure *storage.Error
			if !errors.Is(err, test.want) || !errors.As(err, &failure) || failure.ID != rec.ID {
				t.Errorf("%s: %s: %v, want %q of record %s", name, call, err, test.want, rec.ID)
			}
		}
		found, err := s.Find(t.Context(), "key")
		wantUnreadable("Find", err)
		if len(found) != 1 || found[0].ID != other.ID {
			t.Errorf("%s: found %v, want the other record", name, found)
		}
		yielded := map[string]bool{}
		for rec, err := range s.All(t.Context()) {
			if err != nil {
				wantUnreadable("All", err)
				continue
			}
			yielded[rec.ID] = true
		}
		if len(yielded) != 2 || !yielded[other.ID] || !yielded[another.ID] {
			t.Errorf("%s: All yielded %v", name, yielded)
		}
		if err := s.Delete(t.Context(), rec.ID, rec.Revision); err == nil {
			t.Errorf("%s: Delete of revision 1 succeeded", name)
		}
		if err := s.Delete(t.Context(), rec.ID, 0); err != nil {
			t.Errorf("%s: Delete: %v", name, err)
		}
		if found, err := s.Find(t.Context(), "key"); len(found) != 1 || err != nil {
			t.Errorf("%s: found %v, %v after Delete", name, found, err)
		}
	}
}

// A server that is killed during a change may keep the old message besides the new one.
func TestAll_OutdatedMessageIsNoRecord(t *testing.T) {
	t.Parallel()
	url := start(t, options(t.TempDir())).ClientURL()
	js := jetStream(t, url)
	s := open(t, url, nil)
	kept, deleted := put(t, s, record("kept")), put(t, s, record("deleted"))
	next := kept
	next.Revision++
	data, err := storage.Encode(next)
	if err != nil {
		t.Fatal(err)
	}
	update := nats.NewMsg(subjectOf(t, js, kept.ID))
	update.Data = data
	update.Header.Set("Tus-Revision", "2")
	marker := nats.NewMsg(subjectOf(t, js, deleted.ID))
	marker.Header.Set("KV-Operation", "DEL")
	for _, m := range []*nats.Msg{update, marker} {
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	yielded := 0
	for rec, err := range s.All(t.Context()) {
		yielded++
		if err != nil || rec.ID != kept.ID || rec.Revision != 2 {
			t.Errorf("All yielded %v, %v", rec, err)
		}
	}
	if yielded != 1 {
		t.Errorf("All yielded %d times, want 1", yielded)
	}
	put(t, s, next)
	if err := s.Delete(t.Context(), deleted.ID, deleted.Revision); err != nil {
		t.Error(err)
	}
}

// A message of another program in the bucket does not end the iteration.
func TestAll_ForeignMessageIsReported(t *testing.T) {
	t.Parallel()
	url := start(t, options(t.TempDir())).ClientURL()
	s := open(t, url, nil)
	if _, err := jetStream(t, url).Publish(t.Context(), "$KV.tus-uploads.greeting", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	rec := put(t, s, record("key"))
	records := 0
	for got, err := range s.All(t.Context()) {
		var failure *storage.Error
		switch {
		case err == nil && got.ID == rec.ID:
			records++
		case !errors.As(err, &failure) || failure.ID != "greeting":
			t.Errorf("All yielded %v, %v", got, err)
		}
	}
	if records != 1 {
		t.Errorf("%d records, want 1", records)
	}
	if n, err := storage.DeleteExpired(t.Context(), s, time.Now()); n != 0 || err != nil {
		t.Errorf("DeleteExpired: %d, %v", n, err)
	}
}

// All leaves no goroutines, however it ends, and reads no further records.
func TestAll_LeavesNoGoroutines(t *testing.T) {
	url := start(t, options(t.TempDir())).ClientURL()
	s := open(t, url, nil)
	for range 1000 {
		put(t, s, record("key"))
	}
	for name, end := range map[string]func(context.CancelFunc) bool{
		"break":  func(context.CancelFunc) bool { return false },
		"cancel": func(cancel context.CancelFunc) bool { cancel(); return true },
		"close":  func(context.CancelFunc) bool { s.conn.Close(); return true },
	} {
		if name == "close" {
			s = open(t, url, nil)
		}
		ctx, cancel := context.WithCancel(t.Context())
		before, sent := goleak.IgnoreCurrent(), s.conn.Stats().OutMsgs
		n := 0
		for range s.All(ctx) {
			if n++; n == 100 && !end(cancel) {
				break
			}
		}
		if sent = s.conn.Stats().OutMsgs - sent; sent > 200 {
			t.Errorf("%s: %d requests for 100 records", name, sent)
		}
		cancel()
		if err := goleak.Find(before); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

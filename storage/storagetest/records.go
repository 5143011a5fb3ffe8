package storagetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

func putReturnsStoredRecord(t *testing.T, s storage.Store) {
	rec := newRecord("everything")
	zone := time.FixedZone("far east", 9*60*60)
	rec.Created, rec.Completed, rec.Lease.Until = rec.Created.In(zone), rec.Completed.In(zone), rec.Lease.Until.In(zone)
	want := rec.Clone()
	want.Revision = 1
	stored := put(t, s, rec)
	wantRecords(t, []storage.Record{stored}, want)
	wantRecords(t, find(t, s, "everything"), want)

	bare := storage.Record{ID: storage.NewID(), Fingerprint: "minimal", LengthDeferred: true, Size: 7,
		Parts: []storage.Part{}, Metadata: map[string]string{}, CreationHeader: map[string][]string{"X-None": {}}}
	want = storage.Record{ID: bare.ID, Fingerprint: "minimal", LengthDeferred: true, Revision: 1}
	wantRecords(t, []storage.Record{put(t, s, bare)}, want)
	wantRecords(t, find(t, s, "minimal"), want)
}

// largest is the size of an encoded record, in bytes, that every store takes.
const largest = 256 << 10

func putTakesLargeRecords(t *testing.T, s storage.Store) {
	stored := put(t, s, newRecord("many parts"))
	for _, parts := range []int64{2_480, 10_000} { // 254 KiB and 1 MiB
		large := stored
		large.Parts = nil
		for i := range parts {
			large.Parts = append(large.Parts, storage.Part{Offset: i * 1000, Size: 1000, UploadURL: "https://example.org/files/" + storage.NewID()})
		}
		encoded, err := storage.Encode(large)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			next, err := s.Put(t.Context(), large)
			switch {
			case len(encoded) > largest && errors.Is(err, storage.ErrTooLarge):
			case err != nil:
				t.Fatalf("Put of %d bytes: %v", len(encoded), err)
			default:
				large.Revision = next.Revision
				stored = next
			}
			wantRecords(t, find(t, s, "many parts"), stored)
			large.Parts[parts-1].UploadURL = "https://example.org/last"
		}
	}
}

func putIncrementsRevision(t *testing.T, s storage.Store) {
	rec := newRecord("key")
	for want := int64(1); want <= 5; want++ {
		rec.UploadURL += "x"
		stored := put(t, s, rec)
		if stored.Revision != want {
			t.Fatalf("revision %d after %d puts", stored.Revision, want)
		}
		rec.Revision = want
		wantRecords(t, []storage.Record{stored}, rec)
		wantRecords(t, find(t, s, "key"), rec)
	}
}

func putOfOtherRevisionConflicts(t *testing.T, s storage.Store) {
	rec := newRecord("key")
	wantConflict := func(rec storage.Record, revision int64) {
		t.Helper()
		rec.Revision = revision
		rec.UploadURL = "https://example.org/conflicting"
		_, err := s.Put(t.Context(), rec)
		wantError(t, fmt.Sprint("Put of revision ", revision), err, storage.ErrConflict)
	}
	wantConflict(rec, 1) // never stored
	wantRecords(t, find(t, s, "key"))

	first := put(t, s, rec)
	second := put(t, s, first)
	for _, revision := range []int64{0, 1, 3, 1 << 60} {
		wantConflict(second, revision)
	}
	wantRecords(t, find(t, s, "key"), second)

	remove(t, s, second)
	wantConflict(second, second.Revision) // deleted
	again := put(t, s, rec)
	if again.Revision != 1 {
		t.Errorf("revision %d of a record put after Delete, want 1", again.Revision)
	}
}

func putKeepsFingerprint(t *testing.T, s storage.Store) {
	stored := put(t, s, newRecord("key"))
	for _, revision := range []int64{0, stored.Revision} {
		moved := stored
		moved.Fingerprint, moved.Revision = "another key", revision
		if _, err := s.Put(t.Context(), moved); !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrInvalidRecord) {
			t.Errorf("Put with another fingerprint at revision %d: %v, want ErrConflict or ErrInvalidRecord", revision, err)
		}
	}
	wantRecords(t, find(t, s, "key"), stored)
	wantRecords(t, find(t, s, "another key"))
	wantCount(t, s, 1)
}

func putRejectsInvalidRecords(t *testing.T, s storage.Store) {
	for name, invalidate := range map[string]func(*storage.Record){
		"no ID":                func(r *storage.Record) { r.ID = "" },
		"ID with a path":       func(r *storage.Record) { r.ID = "../escaped" },
		"ID with upper case":   func(r *storage.Record) { r.ID = "ABC" },
		"long ID":              func(r *storage.Record) { r.ID = strings.Repeat("a", 65) },
		"no fingerprint":       func(r *storage.Record) { r.Fingerprint = "" },
		"negative revision":    func(r *storage.Record) { r.Revision = -1 },
		"negative size":        func(r *storage.Record) { r.Size = -1 },
		"negative part offset": func(r *storage.Record) { r.Parts[0].Offset = -1 },
		"negative part size":   func(r *storage.Record) { r.Parts[0].Size = -1 },
		"overlapping parts":    func(r *storage.Record) { r.Parts[1].Offset-- },
		"part beyond the end":  func(r *storage.Record) { r.Parts[1].Size++ },
		"overflowing part":     func(r *storage.Record) { r.LengthDeferred, r.Parts[1].Size = true, math.MaxInt64 },
		"digest of nothing":    func(r *storage.Record) { r.Digest.Algorithm = "" },
		"digest beyond end":    func(r *storage.Record) { r.Digest.Offset = r.Size + 1 },
		"large digest":         func(r *storage.Record) { r.Digest.State = make([]byte, 5<<10) },
		"binary digest name":   func(r *storage.Record) { r.Digest.Algorithm = "\xff" },
		"time out of range":    func(r *storage.Record) { r.Expires = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"completed too late":   func(r *storage.Record) { r.Completed = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"binary URL":           func(r *storage.Record) { r.UploadURL = "\xff" },
		"forged header":        func(r *storage.Record) { r.CreationHeader["X-Parts"][0] = "1\r\nX-More: 2" },
	} {
		rec := newRecord("key")
		invalidate(&rec)
		_, err := s.Put(t.Context(), rec)
		wantError(t, "Put with "+name, err, storage.ErrInvalidRecord)
	}
	wantCount(t, s, 0)
}

func findReturnsMostRecentFirst(t *testing.T, s storage.Store) {
	var recs []storage.Record
	for i := range 5 {
		rec := newRecord("shared key")
		rec.Updated = epoch().Add(time.Duration(i) * time.Nanosecond)
		recs = append(recs, put(t, s, rec))
		put(t, s, newRecord("another key"))
	}
	wantRecords(t, find(t, s, "shared key"), recs[4], recs[3], recs[2], recs[1], recs[0])

	recs[1].Updated = epoch().Add(time.Hour)
	recs[1] = put(t, s, recs[1])
	wantRecords(t, find(t, s, "shared key"), recs[1], recs[4], recs[3], recs[2], recs[0])

	remove(t, s, recs[3])
	wantRecords(t, find(t, s, "shared key"), recs[1], recs[4], recs[2], recs[0])
}

func findComparesFingerprintsExactly(t *testing.T, s storage.Store) {
	fingerprints := []string{
		"a", "A", "a ", "a\n", "a\x00", "\x00", "ä", "a\u0308", "\xff", "\xff\xfe", "../../etc/passwd", "a/b", `a\b`, "con", "*",
		strings.Repeat("x", 70_000), strings.Repeat("x", 70_001), `{"json":"<&>"}`, "\u2028",
	}
	stored := map[string]storage.Record{}
	for _, fp := range fingerprints {
		stored[fp] = put(t, s, newRecord(fp))
	}
	for _, fp := range fingerprints {
		wantRecords(t, find(t, s, fp), stored[fp])
	}
	for _, fp := range []string{"", "b", "a\x00\x00", strings.Repeat("x", 69_999)} {
		wantRecords(t, find(t, s, fp))
	}
	wantCount(t, s, len(fingerprints))
}

func recordsAreCopies(t *testing.T, s storage.Store) {
	overwrite := func(r storage.Record) {
		r.Parts[0].UploadURL = "scribbled"
		r.Metadata["filename"] = "scribbled"
		r.Metadata["more"] = "scribbled"
		r.CreationHeader["X-Parts"][0] = "scribbled"
		r.CreationHeader["X-More"] = []string{"scribbled"}
		r.Digest.State[0], r.Digest.Sum[0], r.Digest.Source = 's', 's', "scribbled"
		r.Lease.Holder = "scribbled"
	}
	rec := newRecord("key")
	want := rec.Clone()
	want.Revision = 1
	stored := put(t, s, rec)
	overwrite(rec)
	overwrite(stored)
	for range 2 {
		found := find(t, s, "key")
		wantRecords(t, found, want)
		overwrite(found[0])
		for _, r := range all(t, s) {
			wantRecords(t, []storage.Record{r}, want)
			overwrite(r)
		}
	}
}

package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

func deleteOfAbsentRecordSucceeds(t *testing.T, s storage.Store) {
	stored := put(t, s, newRecord("key"))
	for _, id := range []string{storage.NewID(), "", "../../../etc/passwd", "*", "key", stored.ID[:31]} {
		for _, revision := range []int64{0, 1} {
			if err := s.Delete(t.Context(), id, revision); err != nil {
				t.Errorf("Delete(%q, %d): %v", id, revision, err)
			}
		}
	}
	wantRecords(t, find(t, s, "key"), stored)
}

func deleteRemovesRecord(t *testing.T, s storage.Store) {
	kept := put(t, s, newRecord("key"))
	deleted := put(t, s, newRecord("key"))
	for range 2 {
		if err := s.Delete(t.Context(), deleted.ID, deleted.Revision); err != nil {
			t.Fatal(err)
		}
		wantRecords(t, find(t, s, "key"), kept)
		if n := len(all(t, s)); n != 1 {
			t.Errorf("%d records, want 1", n)
		}
	}
	if err := s.Delete(t.Context(), kept.ID, kept.Revision); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, find(t, s, "key"))
	if n := len(all(t, s)); n != 0 {
		t.Errorf("%d records, want none", n)
	}
}

func deleteOfOtherRevisionConflicts(t *testing.T, s storage.Store) {
	first := put(t, s, newRecord("key"))
	second := put(t, s, first)
	wantConflicts := func(rec storage.Record, revisions ...int64) {
		t.Helper()
		for _, revision := range revisions {
			if err := s.Delete(t.Context(), rec.ID, revision); !errors.Is(err, storage.ErrConflict) {
				t.Errorf("Delete of revision %d: %v, want ErrConflict", revision, err)
			}
		}
		wantRecords(t, find(t, s, "key"), rec)
	}
	wantConflicts(second, -1, 0, 1, 3, 1<<60)
	if err := s.Delete(t.Context(), second.ID, 2); err != nil {
		t.Fatal(err)
	}
	again := newRecord("key")
	again.ID = first.ID
	wantConflicts(put(t, s, again), 0, 2)
}

// manyRecords is more than stores usually read at once.
const manyRecords = 300

func putMany(t *testing.T, s storage.Store) map[string]storage.Record {
	stored := map[string]storage.Record{}
	for i := range manyRecords {
		rec := put(t, s, newRecord(fmt.Sprint("key ", i%100)))
		stored[rec.ID] = rec
	}
	return stored
}

func allYieldsEachRecordOnce(t *testing.T, s storage.Store) {
	if n := len(all(t, s)); n != 0 {
		t.Fatalf("%d records in a new store", n)
	}
	want := putMany(t, s)
	got := all(t, s)
	if len(got) != len(want) {
		t.Errorf("%d records, want %d", len(got), len(want))
	}
	for id, rec := range want {
		wantRecords(t, []storage.Record{got[id]}, rec)
	}
}

func allAllowsChanges(t *testing.T, s storage.Store) {
	want := putMany(t, s)
	seen := map[string]bool{}
	for rec, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := want[rec.ID]; !ok {
			continue // put by this loop
		}
		if seen[rec.ID] {
			t.Fatalf("record %s was yielded twice", rec.ID)
		}
		seen[rec.ID] = true
		switch len(seen) % 3 {
		case 0:
			if err := s.Delete(t.Context(), rec.ID, rec.Revision); err != nil {
				t.Fatal(err)
			}
			delete(want, rec.ID)
		case 1:
			rec.UploadURL = "https://example.org/changed"
			want[rec.ID] = put(t, s, rec)
		case 2:
			put(t, s, newRecord("new"))
		}
	}
	if len(seen) != manyRecords {
		t.Errorf("%d of %d records were yielded", len(seen), manyRecords)
	}
	got := all(t, s)
	for id, rec := range want {
		wantRecords(t, []storage.Record{got[id]}, rec)
	}
	if n := len(want) + len(find(t, s, "new")); n != len(got) {
		t.Errorf("%d records, want %d", len(got), n)
	}
}

func allStopsWithLoopOrContext(t *testing.T, s storage.Store) {
	putMany(t, s)
	n := 0
	for range s.All(t.Context()) {
		if n++; n == 2 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n = 0
	var last error
	for _, err := range s.All(ctx) {
		if err != nil {
			last = err
			continue
		}
		if n++; n == 2 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("error %v after cancel, want context.Canceled", last)
	}
	if n == manyRecords {
		t.Error("all records were yielded although the context is canceled")
	}
	put(t, s, newRecord("still usable"))
}

func canceledContextIsReturned(t *testing.T, s storage.Store) {
	stored := put(t, s, newRecord("key"))
	ctx := canceledContext(t)
	if _, err := s.Find(ctx, "key"); !errors.Is(err, context.Canceled) {
		t.Errorf("Find: %v, want context.Canceled", err)
	}
	if _, err := s.Put(ctx, stored); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v, want context.Canceled", err)
	}
	if err := s.Delete(ctx, stored.ID, stored.Revision); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete: %v, want context.Canceled", err)
	}
	if _, err := storage.DeleteExpired(ctx, s, stored.Expires.Add(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("DeleteExpired: %v, want context.Canceled", err)
	}
	yielded := 0
	for _, err := range s.All(ctx) {
		if yielded++; !errors.Is(err, context.Canceled) {
			t.Errorf("All: %v, want context.Canceled", err)
		}
	}
	if yielded != 1 {
		t.Errorf("All yielded %d times, want only the error", yielded)
	}
	wantRecords(t, find(t, s, "key"), stored)
}

func deleteExpiredKeepsLeasedRecords(t *testing.T, s storage.Store) {
	now := epoch().Add(1000 * time.Hour)
	add := func(fingerprint string, expires, lease time.Duration) {
		rec := newRecord(fingerprint)
		rec.Expires, rec.Lease = time.Time{}, nil
		if expires != 0 {
			rec.Expires = now.Add(expires)
		}
		if lease != 0 {
			rec.Lease = &storage.Lease{Holder: storage.NewID(), Until: now.Add(lease)}
		}
		put(t, s, rec)
	}
	add("expired", -time.Second, 0)
	add("expired, lease over", -time.Second, -time.Second)
	for i := range 50 {
		add("expired", -time.Duration(i+1)*time.Hour, 0)
	}
	add("expired, lease running", -time.Second, time.Second)
	add("expired, lease of a clock that was ahead", -time.Second, time.Hour)
	add("expires later", time.Second, 0)
	add("never expires", 0, 0)

	n, err := storage.DeleteExpired(t.Context(), s, now)
	if err != nil || n != 53 {
		t.Errorf("DeleteExpired: %d, %v, want 53", n, err)
	}
	for fingerprint, want := range map[string]int{
		"expired": 0, "expired, lease over": 0, "expired, lease of a clock that was ahead": 0,
		"expired, lease running": 1, "expires later": 1, "never expires": 1,
	} {
		if n := len(find(t, s, fingerprint)); n != want {
			t.Errorf("%d records that are %q, want %d", n, fingerprint, want)
		}
	}
	if n := len(all(t, s)); n != 3 {
		t.Errorf("%d records are left, want 3", n)
	}
	if n, err := storage.DeleteExpired(t.Context(), s, now); err != nil || n != 0 {
		t.Errorf("second DeleteExpired: %d, %v, want 0", n, err)
	}
}

package storagetest

import (
	"context"
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
		remove(t, s, deleted)
		wantRecords(t, find(t, s, "key"), kept)
		wantCount(t, s, 1)
	}
	remove(t, s, kept)
	wantRecords(t, find(t, s, "key"))
	wantCount(t, s, 0)
}

func deleteOfOtherRevisionConflicts(t *testing.T, s storage.Store) {
	first := put(t, s, newRecord("key"))
	second := put(t, s, first)
	wantConflicts := func(rec storage.Record, revisions ...int64) {
		t.Helper()
		for _, revision := range revisions {
			err := s.Delete(t.Context(), rec.ID, revision)
			wantError(t, fmt.Sprint("Delete of revision ", revision), err, storage.ErrConflict)
		}
		wantRecords(t, find(t, s, "key"), rec)
	}
	wantConflicts(second, -1, 0, 1, 3, 1<<60)
	remove(t, s, second)
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
	wantCount(t, s, 0)
	want := putMany(t, s)
	wantAll(t, all(t, s), want)
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
			remove(t, s, rec)
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
	for _, rec := range find(t, s, "new") {
		want[rec.ID] = rec
	}
	wantAll(t, all(t, s), want)
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
	wantError(t, "All after cancel", last, context.Canceled)
	if n == manyRecords {
		t.Error("all records were yielded although the context is canceled")
	}
	put(t, s, newRecord("still usable"))
}

func canceledContextIsReturned(t *testing.T, s storage.Store) {
	stored := put(t, s, newRecord("key"))
	ctx := canceledContext(t)
	_, err := s.Find(ctx, "key")
	wantError(t, "Find", err, context.Canceled)
	_, err = s.Put(ctx, stored)
	wantError(t, "Put", err, context.Canceled)
	wantError(t, "Delete", s.Delete(ctx, stored.ID, stored.Revision), context.Canceled)
	_, err = storage.DeleteExpired(ctx, s, stored.Expires.Add(time.Hour))
	wantError(t, "DeleteExpired", err, context.Canceled)
	yielded := 0
	for _, err := range s.All(ctx) {
		yielded++
		wantError(t, "All", err, context.Canceled)
	}
	if yielded != 1 {
		t.Errorf("All yielded %d times, want only the error", yielded)
	}
	wantRecords(t, find(t, s, "key"), stored)
}

func deleteExpiredKeepsLeasedRecords(t *testing.T, s storage.Store) {
	now := epoch().Add(1000 * time.Hour)
	completed := time.Time{}
	add := func(fingerprint string, expires, lease time.Duration) {
		rec := newRecord(fingerprint)
		rec.Completed, rec.Expires, rec.Lease = completed, time.Time{}, nil
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
	completed = now.Add(-time.Hour)
	add("expired, completed", -time.Second, 0)
	add("expires later, completed", time.Second, 0)
	add("never expires, completed", 0, 0)

	n, err := storage.DeleteExpired(t.Context(), s, now)
	if err != nil || n != 54 {
		t.Errorf("DeleteExpired: %d, %v, want 54", n, err)
	}
	for fingerprint, want := range map[string]int{
		"expired": 0, "expired, lease over": 0, "expired, lease of a clock that was ahead": 0,
		"expired, lease running": 1, "expires later": 1, "never expires": 1,
		"expired, completed": 0, "expires later, completed": 1, "never expires, completed": 1,
	} {
		if n := len(find(t, s, fingerprint)); n != want {
			t.Errorf("%d records that are %q, want %d", n, fingerprint, want)
		}
	}
	wantCount(t, s, 5)
	if n, err := storage.DeleteExpired(t.Context(), s, now); err != nil || n != 0 {
		t.Errorf("second DeleteExpired: %d, %v, want 0", n, err)
	}
}

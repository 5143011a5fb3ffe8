package storagetest

import (
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

// Run tests the store that open returns. Run calls open once per subtest, with the t
// of the subtest. open must return an empty store or fail the test. Run closes the
// store after the subtest if it is an [io.Closer].
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, storage.Store)
	}{
		{"PutReturnsStoredRecord", putReturnsStoredRecord},
		{"PutTakesLargeRecords", putTakesLargeRecords},
		{"PutIncrementsRevision", putIncrementsRevision},
		{"PutOfOtherRevisionConflicts", putOfOtherRevisionConflicts},
		{"PutKeepsFingerprint", putKeepsFingerprint},
		{"PutRejectsInvalidRecords", putRejectsInvalidRecords},
		{"FindReturnsMostRecentFirst", findReturnsMostRecentFirst},
		{"FindComparesFingerprintsExactly", findComparesFingerprintsExactly},
		{"RecordsAreCopies", recordsAreCopies},
		{"DeleteOfAbsentRecordSucceeds", deleteOfAbsentRecordSucceeds},
		{"DeleteRemovesRecord", deleteRemovesRecord},
		{"DeleteOfOtherRevisionConflicts", deleteOfOtherRevisionConflicts},
		{"AllYieldsEachRecordOnce", allYieldsEachRecordOnce},
		{"AllAllowsChanges", allAllowsChanges},
		{"AllStopsWithLoopOrContext", allStopsWithLoopOrContext},
		{"CanceledContextIsReturned", canceledContextIsReturned},
		{"DeleteExpiredKeepsLeasedRecords", deleteExpiredKeepsLeasedRecords},
		{"ConcurrentPutsStoreOneUpdate", concurrentPutsStoreOneUpdate},
		{"ConcurrentPutsCreateOnce", concurrentPutsCreateOnce},
		{"ConcurrentPutOrDelete", concurrentPutOrDelete},
		{"ConcurrentRecordsAreIndependent", concurrentRecordsAreIndependent},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			closeAtEnd(t, s)
			test.run(t, s)
		})
	}
}

// RunDurable tests that a store keeps its records after it is closed. RunDurable calls
// open several times with the same name. The name is that of a new set of records: a
// lower case letter, followed by letters and digits. open must return the store with
// these records or fail the test. RunDurable closes the store before the next call of
// open if it is an [io.Closer].
func RunDurable(t *testing.T, open func(t *testing.T, name string) storage.Store) {
	t.Run("RecordsPersist", func(t *testing.T) { recordsPersist(t, open) })
	t.Run("ClosedStoreReturnsErrClosed", func(t *testing.T) { closedStoreReturnsErrClosed(t, open) })
}

// RunShared tests two stores that share their records. It is for stores that several
// processes can open at the same time. Each subtest calls open twice with the same new
// name, as described for [RunDurable]. open must use a new connection each time.
// RunShared also runs the tests of [Run], with calls that go to both stores in turn.
func RunShared(t *testing.T, open func(t *testing.T, name string) storage.Store) {
	openBoth := func(t *testing.T) (a, b storage.Store) {
		name := newName()
		a, b = open(t, name), open(t, name)
		closeAtEnd(t, a)
		closeAtEnd(t, b)
		return a, b
	}
	for _, test := range []struct {
		name string
		run  func(t *testing.T, a, b storage.Store)
	}{
		{"ChangesAreVisible", changesAreVisible},
		{"LeaseIsAcquiredOnce", leaseIsAcquiredOnce},
		{"IncrementsAreNotLost", incrementsAreNotLost},
		{"AllDuringChanges", allDuringChanges},
		{"ClockIsShared", clockIsShared},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := openBoth(t)
			test.run(t, a, b)
		})
	}
	t.Run("Alternating", func(t *testing.T) {
		Run(t, func(t *testing.T) storage.Store {
			a, b := openBoth(t)
			return &alternating{stores: [2]storage.Store{a, b}}
		})
	})
}

// newName returns a name for a set of records.
func newName() string { return "t" + storage.NewID() }

func closeAtEnd(t *testing.T, s storage.Store) {
	if c, ok := s.(io.Closer); ok {
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Errorf("closing the store: %v", err)
			}
		})
	}
}

// epoch returns the creation time of the test records.
func epoch() time.Time { return time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC) }

// newRecord returns a record with a value in every field.
func newRecord(fingerprint string) storage.Record {
	return storage.Record{
		ID: storage.NewID(), Fingerprint: fingerprint,
		Endpoint:  "https://example.org/files/",
		UploadURL: "https://example.org/files/1?a=1&b=<2>",
		Size:      1 << 40,
		Parts: []storage.Part{
			{Offset: 0, Size: 1 << 39, UploadURL: "https://example.org/files/2"},
			{Offset: 1 << 39, Size: 1 << 39},
		},
		Finishing: true, Refusal: "500 Internal Server Error", Seal: "0f1e",
		Metadata:       map[string]string{"filename": "ünï \"code\"\n", "binary": "\xff\x00\xfe", "empty": ""},
		CreationHeader: map[string][]string{"Stream-Media-Id": {"dd5d531a"}, "X-Parts": {"1", "ü"}},
		Digest:         &storage.Digest{Algorithm: "sha256", Offset: 1 << 30, State: []byte("\x00\xffstate"), Source: "1", Sum: []byte{0xfe}},
		Progress:       &storage.Progress{Acknowledged: 1 << 20, InFlight: 16 << 20, Limit: 8 << 20},
		Created:        epoch(), Updated: epoch().Add(time.Minute), Completed: epoch().Add(time.Second), Expires: epoch().Add(24 * time.Hour),
		Lease: &storage.Lease{Holder: storage.NewID(), Process: "boot 1, process 2", Until: epoch().Add(time.Hour)},
	}
}

func put(t *testing.T, s storage.Store, rec storage.Record) storage.Record {
	t.Helper()
	stored, err := s.Put(t.Context(), rec)
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	return stored
}

func find(t *testing.T, s storage.Store, fingerprint string) []storage.Record {
	t.Helper()
	found, err := s.Find(t.Context(), fingerprint)
	if err != nil {
		t.Fatalf("Find: %v", err)
	}
	return found
}

func remove(t *testing.T, s storage.Store, rec storage.Record) {
	t.Helper()
	if err := s.Delete(t.Context(), rec.ID, rec.Revision); err != nil {
		t.Fatalf("Delete: %v", err)
	}
}

// all returns every record by its ID.
func all(t *testing.T, s storage.Store) map[string]storage.Record {
	t.Helper()
	records := map[string]storage.Record{}
	for rec, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatalf("All: %v", err)
		}
		if _, ok := records[rec.ID]; ok {
			t.Errorf("All yields record %s twice", rec.ID)
		}
		records[rec.ID] = rec
	}
	return records
}

func wantRecords(t *testing.T, got []storage.Record, want ...storage.Record) {
	t.Helper()
	if !slices.EqualFunc(got, want, equal) {
		t.Errorf("got %d records, want %d:\ngot  %+v\nwant %+v", len(got), len(want), got, want)
	}
}

// wantAll compares the records by their ID.
func wantAll(t *testing.T, got, want map[string]storage.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d records, want %d", len(got), len(want))
	}
	for id, rec := range want {
		wantRecords(t, []storage.Record{got[id]}, rec)
	}
}

func wantCount(t *testing.T, s storage.Store, want int) {
	t.Helper()
	if n := len(all(t, s)); n != want {
		t.Errorf("%d records, want %d", n, want)
	}
}

func wantError(t *testing.T, call string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %q", call, err, want)
	}
}

// equal compares all fields. Stores return times in UTC, so DeepEqual works for them.
func equal(a, b storage.Record) bool { return reflect.DeepEqual(a, b) }

// canceledContext returns a canceled context.
func canceledContext(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

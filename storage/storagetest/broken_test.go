package storagetest_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/storagetest"
)

// broken is a store whose non-nil fields replace methods.
type broken struct {
	*storage.Memory
	unshared bool // between stores of the same name

	behind time.Duration // of the clock, grows by drift with each opened store
	drift  time.Duration
	find   func(*storage.Memory, context.Context, string) ([]storage.Record, error)
	put    func(*storage.Memory, context.Context, storage.Record) (storage.Record, error)
	delete func(*storage.Memory, context.Context, string, int64) error
	all    func(*storage.Memory, context.Context) iter.Seq2[storage.Record, error]
}

func (b broken) Find(ctx context.Context, fingerprint string) ([]storage.Record, error) {
	if b.find != nil {
		return b.find(b.Memory, ctx, fingerprint)
	}
	return b.Memory.Find(ctx, fingerprint)
}

func (b broken) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	if b.put != nil {
		return b.put(b.Memory, ctx, rec)
	}
	return b.Memory.Put(ctx, rec)
}

func (b broken) Delete(ctx context.Context, id string, revision int64) error {
	if b.delete != nil {
		return b.delete(b.Memory, ctx, id, revision)
	}
	return b.Memory.Delete(ctx, id, revision)
}

func (b broken) All(ctx context.Context) iter.Seq2[storage.Record, error] {
	if b.all != nil {
		return b.all(b.Memory, ctx)
	}
	return b.Memory.All(ctx)
}

func (b broken) Now(ctx context.Context) (time.Time, error) {
	return time.Now().Add(-b.behind), ctx.Err()
}

// brokenStores returns stores with one defect each, and the subtest that must fail.
func brokenStores() map[string]struct {
	test  string
	store broken
} {
	shared := map[string][]storage.Record{} // results that "shares memory" returns again
	return map[string]struct {
		test  string
		store broken
	}{
		"shares memory": {"RecordsAreCopies", broken{
			find: func(m *storage.Memory, ctx context.Context, fp string) ([]storage.Record, error) {
				if shared[fp] == nil {
					shared[fp], _ = m.Find(ctx, fp)
				}
				return shared[fp], nil
			}}},
		"ignores revisions": {"PutOfOtherRevisionConflicts", broken{
			put: func(m *storage.Memory, ctx context.Context, rec storage.Record) (storage.Record, error) {
				stored, err := m.Put(ctx, rec)
				for rec.Revision = 0; errors.Is(err, storage.ErrConflict) && rec.Revision < 10; rec.Revision++ {
					stored, err = m.Put(ctx, rec)
				}
				return stored, err
			}}},
		"returns the old revision": {"PutIncrementsRevision", broken{
			put: func(m *storage.Memory, ctx context.Context, rec storage.Record) (storage.Record, error) {
				stored, err := m.Put(ctx, rec)
				stored.Revision = rec.Revision
				return stored, err
			}}},
		"finds in wrong order": {"FindReturnsMostRecentFirst", broken{
			find: func(m *storage.Memory, ctx context.Context, fp string) ([]storage.Record, error) {
				found, err := m.Find(ctx, fp)
				slices.Reverse(found)
				return found, err
			}}},
		"confuses fingerprints": {"FindComparesFingerprintsExactly", broken{
			find: func(m *storage.Memory, ctx context.Context, fp string) ([]storage.Record, error) {
				return m.Find(ctx, strings.ToLower(fp))
			}}},
		"stores only UTF-8": {"PutReturnsStoredRecord", broken{
			put: func(m *storage.Memory, ctx context.Context, rec storage.Record) (storage.Record, error) {
				rec = rec.Clone()
				for k, v := range rec.Metadata {
					rec.Metadata[k] = strings.ToValidUTF8(v, "?")
				}
				return m.Put(ctx, rec)
			}}},
		"takes no large records": {"PutTakesLargeRecords", refusing(100<<10, func(*storage.Record) bool { return false })},
		"stores a piece of a record": {"PutTakesLargeRecords", refusing(256<<10, func(rec *storage.Record) bool {
			rec.Parts = rec.Parts[:1]
			return true
		})},
		"stores anything": {"PutRejectsInvalidRecords", broken{
			put: func(m *storage.Memory, ctx context.Context, rec storage.Record) (storage.Record, error) {
				stored, err := m.Put(ctx, rec)
				if errors.Is(err, storage.ErrInvalidRecord) {
					return m.Put(ctx, storage.Record{ID: storage.NewID(), Fingerprint: "anything"})
				}
				return stored, err
			}}},
		"fails for absent records": {"DeleteOfAbsentRecordSucceeds", broken{
			delete: func(m *storage.Memory, ctx context.Context, id string, revision int64) error {
				for rec := range m.All(ctx) {
					if rec.ID == id {
						return m.Delete(ctx, id, revision)
					}
				}
				return errors.New("not found")
			}}},
		"does not delete": {"DeleteRemovesRecord", broken{
			delete: func(_ *storage.Memory, ctx context.Context, _ string, _ int64) error { return ctx.Err() }}},
		"deletes any revision": {"DeleteOfOtherRevisionConflicts", broken{
			delete: func(m *storage.Memory, ctx context.Context, id string, _ int64) error {
				for rec := range m.All(ctx) {
					if rec.ID == id {
						return m.Delete(ctx, id, rec.Revision)
					}
				}
				return nil
			}}},
		"hides conflicts": {"ConcurrentPutOrDelete", broken{
			put: func(m *storage.Memory, ctx context.Context, rec storage.Record) (storage.Record, error) {
				stored, err := m.Put(ctx, rec)
				if errors.Is(err, storage.ErrConflict) {
					return rec, nil
				}
				return stored, err
			}}},
		"yields twice": {"AllYieldsEachRecordOnce", broken{
			all: func(m *storage.Memory, ctx context.Context) iter.Seq2[storage.Record, error] {
				return func(yield func(storage.Record, error) bool) {
					for rec, err := range m.All(ctx) {
						if !yield(rec, err) || err == nil && !yield(rec, err) {
							return
						}
					}
				}
			}}},
		"ignores the context": {"CanceledContextIsReturned", broken{
			find: func(m *storage.Memory, ctx context.Context, fp string) ([]storage.Record, error) {
				return m.Find(context.WithoutCancel(ctx), fp)
			}}},
		"yields no leases": {"DeleteExpiredKeepsLeasedRecords", broken{
			all: func(m *storage.Memory, ctx context.Context) iter.Seq2[storage.Record, error] {
				return func(yield func(storage.Record, error) bool) {
					for rec, err := range m.All(ctx) {
						if rec.Lease = nil; !yield(rec, err) {
							return
						}
					}
				}
			}}},
		"stores a revision twice": {"ConcurrentPutsStoreOneUpdate", broken{
			put: func(m *storage.Memory, ctx context.Context, rec storage.Record) (storage.Record, error) {
				stored, err := m.Put(ctx, rec)
				if errors.Is(err, storage.ErrConflict) && strings.HasSuffix(rec.UploadURL, "7") {
					return rec, nil
				}
				return stored, err
			}}},
		"leases to anyone": {"LeaseIsAcquiredOnce", broken{
			put: func(m *storage.Memory, ctx context.Context, rec storage.Record) (storage.Record, error) {
				stored, err := m.Put(ctx, rec)
				if errors.Is(err, storage.ErrConflict) && rec.Lease != nil {
					return rec, nil
				}
				return stored, err
			}}},
		"loses an increment": {"IncrementsAreNotLost", broken{
			put: func(m *storage.Memory, ctx context.Context, rec storage.Record) (storage.Record, error) {
				if rec.Revision == 7 {
					rec.Size--
				}
				return m.Put(ctx, rec)
			}}},
		"yields too few during changes": {"AllDuringChanges", broken{
			all: func(m *storage.Memory, ctx context.Context) iter.Seq2[storage.Record, error] {
				return func(yield func(storage.Record, error) bool) {
					left := 250
					for rec, err := range m.All(ctx) {
						if left--; left < 0 || !yield(rec, err) {
							return
						}
					}
				}
			}}},
		"loses records on close": {"RecordsPersist", broken{}},
		"shares no records":      {"ChangesAreVisible", broken{unshared: true}},
		"has several clocks":     {"ClockIsShared", broken{drift: time.Minute}},
	}
}

// refusing returns a store whose Put returns ErrTooLarge for records of more than limit
// bytes, and nevertheless stores what corrupt made of them if it returns true.
func refusing(limit int, corrupt func(*storage.Record) bool) broken {
	return broken{put: func(m *storage.Memory, ctx context.Context, rec storage.Record) (storage.Record, error) {
		next := rec
		next.Revision++
		if data, err := storage.Encode(next); err != nil || len(data) <= limit {
			return m.Put(ctx, rec)
		}
		if corrupt(&rec) {
			m.Put(ctx, rec)
		}
		return storage.Record{}, &storage.Error{ID: rec.ID, Err: storage.ErrTooLarge}
	}}
}

func TestRun_LargeRecordsMayBeRejected(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store {
		s := refusing(256<<10, func(*storage.Record) bool { return false })
		s.Memory = new(storage.Memory)
		return s
	})
}

// brokenVariable is the environment variable with the name of the store to test.
const brokenVariable = "STORAGETEST_BROKEN"

// TestBrokenStore is run by the other process. Without brokenVariable it tests a
// correct store.
func TestBrokenStore(t *testing.T) {
	name := os.Getenv(brokenVariable)
	store := brokenStores()[name].store
	open := func() storage.Store {
		store.Memory = new(storage.Memory)
		store.behind += store.drift
		return store
	}
	storagetest.Run(t, func(*testing.T) storage.Store { return open() })
	if name != "" {
		storagetest.RunDurable(t, func(*testing.T, string) storage.Store { return open() })
		stores := map[string]*storage.Memory{}
		storagetest.RunShared(t, func(_ *testing.T, name string) storage.Store {
			open()
			if stores[name] == nil || store.unshared {
				stores[name] = store.Memory
			}
			store.Memory = stores[name]
			return store
		})
	}
}

func TestRun_FailsForBrokenStores(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, mistake := range brokenStores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(exe, "-test.run=^TestBrokenStore$/^"+mistake.test+"$")
			cmd.Env = append(os.Environ(), brokenVariable+"="+name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !strings.Contains(string(out), "--- FAIL: TestBrokenStore/"+mistake.test) {
				t.Errorf("%s did not fail: %v\n%s", mistake.test, err, out)
			}
		})
	}
}

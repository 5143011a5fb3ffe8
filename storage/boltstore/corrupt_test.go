package boltstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

func record(fingerprint string, parts int) storage.Record {
	rec := storage.Record{
		ID: storage.NewID(), Fingerprint: fingerprint, UploadURL: "https://example.org/files/" + storage.NewID(),
		Endpoint: "https://example.org/files/", Size: 1 << 40, Metadata: map[string]string{"filename": "movie.mp4"},
		Created: time.Now(), Updated: time.Now(),
	}
	for i := range int64(parts) {
		rec.Parts = append(rec.Parts, storage.Part{Offset: i << 20, Size: 1 << 20, UploadURL: rec.UploadURL + "/part"})
	}
	return rec
}

func put(t testing.TB, s storage.Store, rec storage.Record) storage.Record {
	t.Helper()
	stored, err := s.Put(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// content is the expected records of a store, by ID.
type content map[string]storage.Record

// fill creates a database of several pages with updated and deleted records. It returns
// the bytes, the records, and the records before the last transaction.
func fill(t testing.TB, records int) (data []byte, now, before content) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	s := open(t, path, nil)
	now = content{}
	for i := range records {
		rec := put(t, s, record(fmt.Sprint("key ", i%7), i%5))
		now[rec.ID] = rec
	}
	i := 0
	for id, rec := range maps.Clone(now) {
		switch i++; i % 3 {
		case 0:
			if err := s.Delete(t.Context(), id, rec.Revision); err != nil {
				t.Fatal(err)
			}
			delete(now, id)
		case 1:
			rec.UploadURL = "https://example.org/changed"
			now[id] = put(t, s, rec)
		}
	}
	before = maps.Clone(now)
	rec := put(t, s, record("key 0", 1))
	now[rec.ID] = rec
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data, now, before
}

// inspect opens a file and returns the records that All and Find return. An error must
// match ErrCorrupt.
func inspect(t *testing.T, path, what string, opts boltstore.Options) (content, error) {
	t.Helper()
	got := content{}
	s, err := boltstore.Open(path, &opts)
	if err != nil {
		if !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: Open: %v, want ErrCorrupt with the path", what, err)
		}
		return nil, err
	}
	defer s.Close()
	var readErr error
	note := func(err error) {
		if readErr = err; !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", what, err)
		}
	}
	for rec, err := range s.All(t.Context()) {
		if err != nil {
			note(err)
			continue
		}
		got[rec.ID] = rec
	}
	byKey := content{}
	for i := range 7 {
		found, err := s.Find(t.Context(), fmt.Sprint("key ", i))
		if err != nil {
			note(err)
		}
		for _, rec := range found {
			byKey[rec.ID] = rec
		}
	}
	if !reflect.DeepEqual(got, byKey) {
		t.Errorf("%s: All has %d records, Find %d", what, len(got), len(byKey))
	}
	return got, readErr
}

// wantValidOrCorrupt accepts one of the valid contents, or an error along with some of
// the records of the first.
func wantValidOrCorrupt(t *testing.T, got content, err error, what string, valid ...content) {
	t.Helper()
	for _, want := range valid {
		if err == nil && reflect.DeepEqual(got, want) {
			return
		}
	}
	if err == nil {
		t.Errorf("%s: %d records without an error, want %d", what, len(got), len(valid[0]))
		return
	}
	for id, rec := range got {
		if !reflect.DeepEqual(rec, valid[0][id]) {
			t.Errorf("%s: wrong record %+v", what, rec)
		}
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// restore writes the data if the file has other data: Open fixes the index.
func restore(t *testing.T, path string, data []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
		write(t, path, data)
	}
}

// overwrite changes part of a file, which is much faster than rewriting the file.
func overwrite(t *testing.T, path string, at int, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(data, int64(at)); err != nil {
		t.Fatal(err)
	}
}

func TestOpen_TruncatedFileIsValidOrCorrupt(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		data, now, _ := fill(t, 60)
		path := filepath.Join(t.TempDir(), "uploads.db")
		write(t, path, data)
		for size := len(data) - 1; size > 0; size -= 511 {
			if err := os.Truncate(path, int64(size)); err != nil {
				t.Fatal(err)
			}
			got, err := inspect(t, path, fmt.Sprintf("cut to %d bytes", size), opts)
			wantValidOrCorrupt(t, got, err, fmt.Sprintf("cut to %d bytes", size), now)
		}
	})
}

// A flipped bit is detected anywhere in the file. In a meta page it may look like an
// interrupted transaction, and the transaction before it counts.
func TestOpen_FlippedBitIsValidOrCorrupt(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		data, now, before := fill(t, 60)
		path := filepath.Join(t.TempDir(), "uploads.db")
		write(t, path, data)
		random := rand.New(rand.NewPCG(1, 2))
		tries, corrupt := 1000, 0
		if testing.Short() {
			tries = 500
		}
		for try := range tries {
			// One in ten hits a page header, where it has the largest effect.
			at := random.IntN(len(data))
			if try%10 == 0 {
				at = at/os.Getpagesize()*os.Getpagesize() + random.IntN(96)
			}
			flipped := data[at] ^ 1<<random.IntN(8)
			overwrite(t, path, at, []byte{flipped})
			what := fmt.Sprintf("byte %d is %#x instead of %#x", at, flipped, data[at])
			got, err := inspect(t, path, what, opts)
			restore(t, path, data)
			if at < 2*os.Getpagesize() {
				wantValidOrCorrupt(t, got, err, what, now, before)
			} else {
				wantValidOrCorrupt(t, got, err, what, now)
			}
			if err != nil {
				corrupt++
			}
		}
		if corrupt < tries/10 {
			t.Errorf("only %d of %d flipped bits were detected", corrupt, tries)
		}
	})
}

func TestOpen_LostPageIsValidOrCorrupt(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		data, now, before := fill(t, 60)
		path := filepath.Join(t.TempDir(), "uploads.db")
		write(t, path, data)
		page := os.Getpagesize()
		random := rand.New(rand.NewPCG(3, 4))
		garbage := make([]byte, page)
		for i := range garbage {
			garbage[i] = byte(random.Uint32())
		}
		for at := 0; at < len(data); at += page {
			for name, content := range map[string][]byte{
				"zero": make([]byte, page), "garbage": garbage, "the page before": data[max(0, at-page):][:page],
			} {
				overwrite(t, path, at, content)
				what := fmt.Sprintf("page %d is %s", at/page, name)
				got, err := inspect(t, path, what, opts)
				wantValidOrCorrupt(t, got, err, what, now, before)
				restore(t, path, data)
			}
		}
	})
}

func TestOpen_OtherFileIsCorrupt(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		random := rand.New(rand.NewPCG(5, 6))
		garbage := make([]byte, 100_000)
		for i := range garbage {
			garbage[i] = byte(random.Uint32())
		}
		dir := t.TempDir()
		for name, data := range map[string][]byte{
			"one byte": {1}, "zeros": make([]byte, 1<<20), "a byte among zeros": append(make([]byte, 8000), 1),
			"garbage": garbage, "text": bytes.Repeat([]byte("what is this? "), 10_000), "short text": []byte("{}\n"),
		} {
			path := filepath.Join(dir, name)
			write(t, path, data)
			if _, err := inspect(t, path, name, opts); err == nil {
				t.Errorf("%s was opened", name)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s was changed: %v", name, err)
			}
		}
	})
}

// A process that is killed while it creates the file leaves part of a file without
// records. Open completes it.
func TestOpen_UnfinishedFileIsCompleted(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		path := filepath.Join(t.TempDir(), "uploads.db")
		pristine := pristineDatabase(t)
		page := os.Getpagesize()
		for _, size := range []int{0, page, 2 * page, 3*page + 1, 4*page - 1, 4 * page, len(pristine)} {
			write(t, path, pristine[:size])
			s, err := boltstore.Open(path, &opts)
			if err != nil {
				t.Errorf("the first %d bytes: %v", size, err)
				continue
			}
			put(t, s, record("key", 0))
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A power failure may leave the size of the new file on disk without its content.
func TestOpen_NewFileOfZerosIsRecreated(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		path := filepath.Join(t.TempDir(), "uploads.db")
		page := os.Getpagesize()
		for _, size := range []int{1, 100, page - 1, page, 2 * page, 3*page + 1, 4 * page} {
			for _, quarantine := range []bool{false, true} {
				write(t, path, make([]byte, size))
				s, err := boltstore.Open(path, &boltstore.Options{Shared: opts.Shared, Quarantine: quarantine, OnWarning: func(err error) {
					t.Errorf("%d zeros: warning %v", size, err)
				}})
				if err != nil {
					t.Errorf("%d zeros: %v", size, err)
					continue
				}
				put(t, s, record("key", 0))
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		write(t, path, make([]byte, 4*page+1))
		if _, err := boltstore.Open(path, &opts); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("more zeros than in a new file: %v, want ErrCorrupt", err)
		}
	})
}

// If another program truncates the open file, reading the mapped file faults, which
// would crash the process.
func TestStore_TruncatedWhileOpenIsCorrupt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	s := open(t, path, nil)
	for i := range 100 {
		put(t, s, record(fmt.Sprint("key ", i), 100))
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Find(t.Context(), "key 7"); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("Find: %v, want ErrCorrupt", err)
		}
		if _, err := s.Put(t.Context(), record("key", 1)); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("Put: %v, want ErrCorrupt", err)
		}
		if _, err := storage.DeleteExpired(t.Context(), s, time.Now()); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("DeleteExpired: %v, want ErrCorrupt", err)
		}
	}
	// Close releases the file.
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	open(t, path, nil)
}

// The check accepts everything that bbolt writes: split and merged pages, large values,
// freed and reused pages.
func TestOpen_ValidFileIsNotCorrupt(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		path := filepath.Join(t.TempDir(), "uploads.db")
		random := rand.New(rand.NewPCG(7, 8))
		want, rounds := content{}, 25
		if testing.Short() {
			rounds = 13
		}
		for range rounds {
			s := open(t, path, &opts)
			var mu sync.Mutex
			var group sync.WaitGroup
			note := func(rec storage.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				want[rec.ID] = rec
			}
			for range random.IntN(150) {
				parts := 0
				if random.IntN(10) == 0 {
					parts = random.IntN(500)
				}
				group.Go(func() { note(s.Put(t.Context(), record("key 0", parts))) })
			}
			group.Wait()
			deleting := random.IntN(2) == 0
			for id, rec := range maps.Clone(want) {
				switch n := random.IntN(10); {
				case deleting && n < 7:
					group.Go(func() {
						if err := s.Delete(t.Context(), id, rec.Revision); err != nil {
							t.Error(err)
						}
					})
					mu.Lock()
					delete(want, id)
					mu.Unlock()
				case n == 8:
					group.Go(func() { note(s.Put(t.Context(), rec)) })
				}
			}
			group.Wait()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			got, err := inspect(t, path, "valid file", opts)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%d records, want %d, %v", len(got), len(want), err)
			}
		}
	})
}

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

// content is what a store should hold, by ID.
type content map[string]storage.Record

// fill makes a database of several pages that has seen changes, and returns its
// bytes, what is in it, and what was in it before the last transaction.
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
			if err := s.Delete(t.Context(), id); err != nil {
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

// inspect opens a file and returns all that it finds there, by All and by Find. An
// error has to match ErrCorrupt.
func inspect(t *testing.T, path, what string) (content, error) {
	t.Helper()
	got := content{}
	s, err := boltstore.Open(path, nil)
	if err != nil {
		if !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: Open: %v, want ErrCorrupt that names the path", what, err)
		}
		return nil, err
	}
	defer s.Close()
	var damage error
	note := func(err error) {
		if damage = err; !errors.Is(err, storage.ErrCorrupt) {
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
	return got, damage
}

// wantRightOrCorrupt accepts the right records, or an error along with some of
// them.
func wantRightOrCorrupt(t *testing.T, got content, err error, what string, right ...content) {
	t.Helper()
	for _, want := range right {
		if err == nil && reflect.DeepEqual(got, want) {
			return
		}
	}
	if err == nil {
		t.Errorf("%s: %d records without an error, want %d", what, len(got), len(right[0]))
		return
	}
	for id, rec := range got {
		if !reflect.DeepEqual(rec, right[0][id]) {
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

// overwrite changes a piece of a file, which is much faster than to write it anew.
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

func TestTruncatedFileIsCorruptOrRight(t *testing.T) {
	data, now, _ := fill(t, 60)
	path := filepath.Join(t.TempDir(), "uploads.db")
	write(t, path, data)
	for size := len(data) - 1; size > 0; size -= 511 {
		if err := os.Truncate(path, int64(size)); err != nil {
			t.Fatal(err)
		}
		got, err := inspect(t, path, fmt.Sprintf("cut to %d bytes", size))
		wantRightOrCorrupt(t, got, err, fmt.Sprintf("cut to %d bytes", size), now)
	}
}

// A wrong bit is noticed wherever it is. In a meta page it may look like a
// transaction that was broken off, and the one before it counts.
func TestFlippedBitIsCorruptOrRight(t *testing.T) {
	data, now, before := fill(t, 60)
	path := filepath.Join(t.TempDir(), "uploads.db")
	write(t, path, data)
	random := rand.New(rand.NewPCG(1, 2))
	const tries = 1000
	corrupt := 0
	for try := range tries {
		// One in ten goes to the headers of pages, where it does most harm.
		at := random.IntN(len(data))
		if try%10 == 0 {
			at = at/os.Getpagesize()*os.Getpagesize() + random.IntN(96)
		}
		damage := data[at] ^ 1<<random.IntN(8)
		overwrite(t, path, at, []byte{damage})
		what := fmt.Sprintf("byte %d is %#x instead of %#x", at, damage, data[at])
		got, err := inspect(t, path, what)
		overwrite(t, path, at, data[at:at+1])
		if at < 2*os.Getpagesize() {
			wantRightOrCorrupt(t, got, err, what, now, before)
		} else {
			wantRightOrCorrupt(t, got, err, what, now)
		}
		if err != nil {
			corrupt++
		}
	}
	if corrupt < tries/10 {
		t.Errorf("only %d of %d damages were noticed", corrupt, tries)
	}
}

func TestLostPagesAreCorruptOrRight(t *testing.T) {
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
			got, err := inspect(t, path, what)
			wantRightOrCorrupt(t, got, err, what, now, before)
			overwrite(t, path, at, data[at:at+page])
		}
	}
}

func TestOtherFilesAreCorrupt(t *testing.T) {
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
		if _, err := inspect(t, path, name); err == nil {
			t.Errorf("%s was opened", name)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s was changed: %v", name, err)
		}
	}
}

func TestDamagedFileIsMovedAsideOnRequest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	damaged := bytes.Repeat([]byte("damaged"), 10_000)
	for range 2 { // each gets a name of its own
		write(t, path, damaged)
		s := open(t, path, &boltstore.Options{OnCorrupt: boltstore.CorruptMovedAside})
		aside := s.MovedAside()
		if !strings.HasPrefix(aside, path+".corrupt-") {
			t.Errorf("moved to %q", aside)
		}
		if got, err := os.ReadFile(aside); err != nil || !bytes.Equal(got, damaged) {
			t.Errorf("the damaged file is not at %q: %v", aside, err)
		}
		put(t, s, record("key", 0))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		// The new file is sound, and stays.
		s = open(t, path, &boltstore.Options{OnCorrupt: boltstore.CorruptMovedAside})
		if s.MovedAside() != "" {
			t.Errorf("a sound file was moved to %q", s.MovedAside())
		}
		if found, err := s.Find(t.Context(), "key"); len(found) != 1 || err != nil {
			t.Errorf("found %v, %v", found, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := filepath.Glob(path + ".corrupt-*"); len(files) != 2 {
		t.Errorf("%d files were moved aside, want 2 (%v)", len(files), err)
	}
}

// Several who find the same damage, or the same database of something else, do not move
// each other's new file.
func TestFileIsMovedAsideOnce(t *testing.T) {
	for name, data := range map[string][]byte{
		"damaged": bytes.Repeat([]byte("damaged"), 10_000), "of something else": otherDatabases(t)["of something else"],
	} {
		for range 10 {
			path := filepath.Join(t.TempDir(), "uploads.db")
			write(t, path, data)
			const openers = 4
			errs := make(chan error, openers)
			for range openers {
				go func() {
					s, err := boltstore.Open(path, &boltstore.Options{OnCorrupt: boltstore.CorruptMovedAside, LockTimeout: time.Minute})
					if err == nil {
						_, err = s.Put(t.Context(), record("key", 0))
						err = errors.Join(err, s.Close())
					}
					errs <- err
				}()
			}
			for range openers {
				if err := <-errs; err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if files, err := filepath.Glob(path + ".corrupt-*"); len(files) != 1 {
				t.Errorf("%s: %d files were moved aside, want 1 (%v)", name, len(files), err)
			}
			s := open(t, path, nil)
			if found, err := s.Find(t.Context(), "key"); len(found) != openers || err != nil {
				t.Errorf("%s: found %d records, %v, want %d", name, len(found), err, openers)
			}
		}
	}
}

// A process that is killed while it creates the file leaves a part of it, in which
// nothing was stored yet. That must not need a hand.
func TestUnfinishedFileIsFinished(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	pristine := pristineDatabase(t)
	page := os.Getpagesize()
	for _, size := range []int{0, page, 2 * page, 3*page + 1, 4*page - 1, 4 * page, len(pristine)} {
		write(t, path, pristine[:size])
		s, err := boltstore.Open(path, nil)
		if err != nil {
			t.Errorf("the first %d bytes: %v", size, err)
			continue
		}
		put(t, s, record("key", 0))
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A power failure may leave the size of the new file on disk without its content.
func TestNewFileOfZerosIsCreatedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	page := os.Getpagesize()
	for _, size := range []int{1, 100, page - 1, page, 2 * page, 3*page + 1, 4 * page} {
		for _, policy := range []boltstore.CorruptPolicy{boltstore.CorruptFails, boltstore.CorruptMovedAside} {
			write(t, path, make([]byte, size))
			s, err := boltstore.Open(path, &boltstore.Options{OnCorrupt: policy})
			if err != nil {
				t.Errorf("%d zeros: %v", size, err)
				continue
			}
			put(t, s, record("key", 0))
			if aside := s.MovedAside(); aside != "" {
				t.Errorf("%d zeros were moved aside to %s", size, aside)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	write(t, path, make([]byte, 4*page+1))
	if _, err := boltstore.Open(path, nil); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("more zeros than a new file has: %v, want ErrCorrupt", err)
	}
}

// Another program may cut the file short while it is open. Then reading the mapped
// file is a fault, which ends a program that does not expect it.
func TestFileThatShrinksInUseIsCorrupt(t *testing.T) {
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
		if _, err := s.DeleteExpired(t.Context(), time.Now()); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("DeleteExpired: %v, want ErrCorrupt", err)
		}
	}
	// Once it is closed, others can have the file.
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	open(t, path, nil)
}

// The check must not take for damage what bbolt writes in the course of time:
// splits and merges of pages, large values, pages freed and used again.
func TestSoundFilesAreNeverTakenForDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	random := rand.New(rand.NewPCG(7, 8))
	want := content{}
	for range 25 {
		s := open(t, path, nil)
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
					if err := s.Delete(t.Context(), id); err != nil {
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
		got, err := inspect(t, path, "sound file")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%d records, want %d, %v", len(got), len(want), err)
		}
	}
}

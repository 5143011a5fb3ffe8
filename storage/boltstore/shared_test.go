package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/storage/internal/filelock"
)

func openShared(t testing.TB, path string) *boltstore.Store {
	t.Helper()
	return open(t, path, &boltstore.Options{Shared: true})
}

func wantLocked(t *testing.T, call string, err error, path string) {
	t.Helper()
	var storageErr *storage.Error
	if !errors.Is(err, storage.ErrLocked) || !errors.As(err, &storageErr) || storageErr.Path != path {
		t.Errorf("%s: %v, want ErrLocked with the path", call, err)
	}
}

// A process that has the file open without Shared excludes the others.
func TestShared_ExclusiveProcessLocksOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	s := open(t, path, &boltstore.Options{Shared: true, LockTimeout: 20 * time.Millisecond})
	rec := put(t, s, record("key", 0))
	other := start(t, "hold", path, boltstore.Options{})
	for range 3 {
		_, err := s.Find(t.Context(), "key")
		wantLocked(t, "Find", err, path)
		_, err = s.Put(t.Context(), rec)
		wantLocked(t, "Put", err, path)
		wantLocked(t, "Delete", s.Delete(t.Context(), rec.ID, rec.Revision), path)
		for _, err := range s.All(t.Context()) {
			wantLocked(t, "All", err, path)
		}
		_, err = boltstore.Open(path, &boltstore.Options{Shared: true, LockTimeout: -1})
		wantLocked(t, "Open", err, path)
	}
	other.end(t)
	put(t, s, rec)
}

// holdLock locks the file as a transaction of another store does, until unlock is called.
func holdLock(t *testing.T, path string) (unlock func()) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := filelock.Lock(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(filelock.Unlock(f), f.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestShared_TransactionLocksOutExclusiveOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	openShared(t, path)
	unlock := holdLock(t, path)
	_, err := boltstore.Open(path, &boltstore.Options{LockTimeout: -1})
	wantLocked(t, "Open", err, path)
	unlock()
	open(t, path, nil)
}

func TestShared_IdleStoreKeepsFileUnlocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	s := openShared(t, path)
	for range 3 {
		put(t, s, record("key", 0))
		for rec, err := range s.All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			// The loop body runs between transactions.
			if err := open(t, path, &boltstore.Options{LockTimeout: -1}).Close(); err != nil {
				t.Error(err)
			}
			put(t, s, rec)
		}
	}
}

// Calls that wait for the lock end when their context is done, without an effect on the
// others, or when the store is closed.
func TestShared_CancelEndsWaitForLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	s := open(t, path, &boltstore.Options{Shared: true, LockTimeout: time.Minute})
	unlock := holdLock(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	canceled, others := make(chan error), make(chan error)
	for range 20 {
		go func() {
			_, err := s.Put(ctx, record("canceled", 0))
			canceled <- err
		}()
		go func() {
			_, err := s.Put(t.Context(), record("key", 0))
			others <- err
		}()
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	for range 20 {
		if err := <-canceled; !errors.Is(err, context.Canceled) {
			t.Errorf("Put: %v, want context.Canceled", err)
		}
	}
	unlock()
	for range 20 {
		if err := <-others; err != nil {
			t.Error(err)
		}
	}
	if found, err := s.Find(t.Context(), "canceled"); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v after canceled Puts", found, err)
	}
	if found, err := s.Find(t.Context(), "key"); len(found) != 20 || err != nil {
		t.Errorf("found %d records, %v, want 20", len(found), err)
	}
}

func TestShared_CloseEndsWaitForLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	s := open(t, path, &boltstore.Options{Shared: true, LockTimeout: time.Minute})
	unlock := holdLock(t, path)
	errs := make(chan error)
	for range 20 {
		go func() {
			_, err := s.Put(t.Context(), record("key", 0))
			errs <- err
		}()
	}
	time.AfterFunc(10*time.Millisecond, func() { s.Close() })
	for range 20 {
		select {
		case err := <-errs:
			if !errors.Is(err, storage.ErrClosed) {
				t.Errorf("Put: %v, want ErrClosed", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("Put waits for the lock after Close")
		}
	}
	unlock()
	if found, err := openShared(t, path).Find(t.Context(), "key"); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
}

// Puts that return nil while the store is closed are stored, and no others.
func TestShared_CloseWaitsForTransactions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	s := openShared(t, path)
	stored := make(chan storage.Record)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			for {
				rec, err := s.Put(t.Context(), record("key 0", 0))
				if err != nil {
					if !errors.Is(err, storage.ErrClosed) {
						t.Errorf("Put: %v, want ErrClosed", err)
					}
					return
				}
				stored <- rec
			}
		})
	}
	go func() {
		group.Wait()
		close(stored)
	}()
	closed := make(chan error, 1)
	want := content{}
	for rec := range stored {
		if want[rec.ID] = rec; len(want) == 20 {
			go func() {
				s.Close()
				exclusive, err := boltstore.Open(path, &boltstore.Options{LockTimeout: -1})
				if err == nil {
					err = exclusive.Close()
				}
				closed <- err
			}()
		}
	}
	if err := <-closed; err != nil {
		t.Errorf("after Close: %v", err)
	}
	got, err := inspect(t, path, "closed store", boltstore.Options{Shared: true})
	if err != nil || len(got) != len(want) {
		t.Errorf("%d records, %v, want %d", len(got), err, len(want))
	}
}

func TestShared_LeasesAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	rec := record("key", 0)
	rec.Lease = &storage.Lease{Holder: "holder", Until: time.Now().Add(time.Minute)}
	first := openShared(t, path)
	put(t, first, rec)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// A process that shares the file may be alive, although it has the file closed.
	for _, opts := range []boltstore.Options{{Shared: true}, {}, {Shared: true}} {
		s := open(t, path, &opts)
		if lease := leaseOf(t, s); lease == nil || lease.Holder != "holder" {
			t.Errorf("with %+v: lease is %+v", opts, lease)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A store in use returns what is at the path, or an error.
func TestShared_FileIsReplacedWhileOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "uploads.db")
	s := openShared(t, path)
	mine := put(t, s, record("key", 0))
	want := func(records ...storage.Record) {
		t.Helper()
		found, err := s.Find(t.Context(), "key")
		if err != nil || len(found) != len(records) || len(found) > 0 && !reflect.DeepEqual(found, records) {
			t.Errorf("found %v, %v, want %v", found, err, records)
		}
	}
	wantCorrupt := func() {
		t.Helper()
		for range 2 {
			if _, err := s.Find(t.Context(), "key"); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("Find: %v, want ErrCorrupt", err)
			}
			if _, err := s.Put(t.Context(), record("key", 0)); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("Put: %v, want ErrCorrupt", err)
			}
		}
	}
	replace := func(data []byte) {
		t.Helper()
		write(t, path+".new", data)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	later := put(t, s, mine)

	replace(make([]byte, 100_000))
	wantCorrupt()
	replace(backup)
	want(mine)
	write(t, path, otherDatabases(t)["other program"]) // in place
	wantCorrupt()
	write(t, path, backup)
	want(mine)
	if stored := put(t, s, mine); stored.Revision != later.Revision {
		t.Errorf("revision %d, want %d", stored.Revision, later.Revision)
	}

	if err := os.Truncate(path, int64(len(backup)/2)); err != nil {
		t.Fatal(err)
	}
	wantCorrupt()

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want()
	want(put(t, s, record("key", 0)))
	if runtime.GOOS != "windows" {
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("mode is %v, %v", info.Mode(), err)
		}
	}
}

// Between transactions another program may change any page. Calls return correct records
// or ErrCorrupt, and the process does not crash.
func TestShared_PageIsChangedWhileOpen(t *testing.T) {
	data, now, before := fill(t, 60)
	path := filepath.Join(t.TempDir(), "uploads.db")
	write(t, path, data)
	page := os.Getpagesize()
	s := openShared(t, path)
	corrupt := 0
	for at := 0; at < len(data); at += page {
		time.Sleep(20 * time.Millisecond) // file systems keep times in ticks
		overwrite(t, path, at, data[max(0, at-page):][:page])
		got := content{}
		var failure error
		for rec, err := range s.All(t.Context()) {
			if err != nil {
				failure = err
				continue
			}
			got[rec.ID] = rec
		}
		if failure != nil {
			corrupt++
			if !errors.Is(failure, storage.ErrCorrupt) {
				t.Errorf("page %d: %v, want ErrCorrupt", at/page, failure)
			}
		}
		wantValidOrCorrupt(t, got, failure, fmt.Sprint("page ", at/page), now, before)
		restore(t, path, data)
	}
	if corrupt == 0 {
		t.Error("no changed page was detected")
	}
	if found, err := s.Find(t.Context(), "key 0"); len(found) == 0 || err != nil {
		t.Errorf("found %v, %v in the restored file", found, err)
	}
}

// bbolt follows a cycle without end, and does not notice that a record is missing.
func TestShared_CraftedChangeIsDetected(t *testing.T) {
	data, _, _ := fill(t, 60)
	path := filepath.Join(t.TempDir(), "uploads.db")
	write(t, path, data)
	s := openShared(t, path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, branch, leaf, _ := pages(data).used()
	for name, craft := range map[string]func(pages){
		"missing record": func(p pages) { p.setCount(leaf, p.count(leaf)-1) },
		"cycle":          func(p pages) { p.setChild(branch, branch) },
	} {
		crafted := bytes.Clone(data)
		craft(crafted)
		time.Sleep(20 * time.Millisecond) // file systems keep times in ticks
		overwrite(t, path, 0, crafted)
		for range 2 {
			if _, err := storage.DeleteExpired(t.Context(), s, time.Now()); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("%s: %v, want ErrCorrupt", name, err)
			}
		}
		overwrite(t, path, 0, data)
		if found, err := s.Find(t.Context(), "key 0"); len(found) == 0 || err != nil {
			t.Errorf("%s: found %v, %v in the restored file", name, found, err)
		}
	}
}

// Writers in a process that wait for the lock share the next transaction.
func TestShared_ConcurrentPutsShareTransactions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	s := openShared(t, path)
	before := transactions(t, path)
	unlock := holdLock(t, path)
	const writers = 200
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			if _, err := s.Put(t.Context(), record("key", 0)); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	unlock()
	group.Wait()
	if n := transactions(t, path) - before; n > writers/4 {
		t.Errorf("%d transactions for %d Puts", n, writers)
	}
}

// transactions returns the number of transactions in the history of a file.
func transactions(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		n = tx.ID()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

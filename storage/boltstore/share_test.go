package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

const (
	sharers       = 4 // processes
	rounds        = 60
	roundsPerFind = 10
)

// share puts, updates and deletes records of its own, and adds 1 to the number in the
// record "counter" of all processes. It prints each change that was acknowledged, as an
// operation and an ID.
func share(s *boltstore.Store) error {
	ctx := context.Background()
	errs := make(chan error)
	const writers = 3
	for range writers {
		go func() {
			for i := range rounds {
				if err := shareOnce(ctx, s, i); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var err error
	for range writers {
		err = errors.Join(err, <-errs)
	}
	return err
}

func shareOnce(ctx context.Context, s *boltstore.Store, round int) error {
	rec, err := s.Put(ctx, record("own", 1))
	if err != nil {
		return err
	}
	fmt.Println("put", rec.ID)
	if rec, err = s.Put(ctx, rec); err != nil {
		return err
	}
	if round%2 == 0 {
		fmt.Println("deleting", rec.ID)
		if err := s.Delete(ctx, rec.ID, rec.Revision); err != nil {
			return err
		}
		fmt.Println("deleted", rec.ID)
	}
	if round%roundsPerFind == 0 {
		if _, err := s.Find(ctx, "own"); err != nil {
			return err
		}
	}
	if err := count(ctx, s); err != nil {
		return err
	}
	fmt.Println("counted", "counter")
	return nil
}

// count adds 1 to the number in the record "counter".
func count(ctx context.Context, s storage.Store) error {
	for {
		rec := storage.Record{ID: "counter", Fingerprint: "counter"}
		found, err := s.Find(ctx, "counter")
		if err != nil {
			return err
		}
		if len(found) > 0 {
			rec = found[0]
		}
		n, _ := strconv.Atoi(rec.Metadata["n"]) // 0 at first
		rec.Metadata = map[string]string{"n": strconv.Itoa(n + 1)}
		_, err = s.Put(ctx, rec)
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
	}
}

// Processes that are killed in the middle of transactions lose no acknowledged change of
// their own or of others, and do not keep the others from finishing.
func TestShared_KilledProcessesLoseNoChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uploads.db")
	var mu sync.Mutex
	operations := map[string]map[string]int{"put": {}, "deleting": {}, "deleted": {}, "counted": {}}
	var group sync.WaitGroup
	for i := range sharers {
		p := start(t, "share", path, boltstore.Options{Shared: true})
		group.Go(func() {
			lines := 0
			for line := range p.acknowledged() {
				operation, id, _ := strings.Cut(line, " ")
				mu.Lock()
				operations[operation][id]++
				mu.Unlock()
				if lines++; i%2 == 0 && lines == 100+50*i {
					p.kill(t)
				}
			}
			if err := p.cmd.Wait(); err != nil && i%2 != 0 {
				t.Errorf("process %d: %v", i, err)
			}
		})
	}
	group.Wait()

	s := open(t, path, &boltstore.Options{Shared: true})
	stored := map[string]storage.Record{}
	for rec, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		stored[rec.ID] = rec
	}
	for id := range operations["put"] {
		_, exists := stored[id]
		deleting, deleted := operations["deleting"][id] > 0, operations["deleted"][id] > 0
		if !exists && !deleting {
			t.Errorf("record %s was acknowledged but is lost", id)
		}
		if exists && deleted {
			t.Errorf("record %s was deleted but exists", id)
		}
	}
	// A killed process may have counted without printing it, once per writer.
	n, counted := stored["counter"].Revision, int64(operations["counted"]["counter"])
	if n < counted || n > counted+sharers/2*3 || stored["counter"].Metadata["n"] != strconv.FormatInt(n, 10) {
		t.Errorf("counter is %+v after %d acknowledged counts", stored["counter"], counted)
	}
	found, err := s.Find(t.Context(), "own")
	if err != nil || len(found) != len(stored)-1 {
		t.Errorf("Find returns %d records, All %d: %v", len(found), len(stored)-1, err)
	}
}

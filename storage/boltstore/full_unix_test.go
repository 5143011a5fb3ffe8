//go:build linux || darwin

package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

// fillDisk limits the file size of this process, so that bbolt fails as on a full disk,
// and then lifts the limit. The store has a record with a lease of an earlier session.
func fillDisk(s *boltstore.Store) error {
	ctx, path := context.Background(), os.Getenv(pathVariable)
	signal.Ignore(syscall.SIGXFSZ)
	kept, err := s.Put(ctx, record("key", 1))
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	full := limit
	full.Cur = uint64(info.Size())
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		return err
	}
	for range 3 {
		_, err = s.Put(ctx, record("key", 10_000))
		var storageErr *storage.Error
		if !errors.As(err, &storageErr) || storageErr.Path != path || errors.Is(err, storage.ErrCorrupt) {
			return fmt.Errorf("Put on a full disk: %v, want an error with the path", err)
		}
		found, err := s.Find(ctx, "key")
		if err != nil || len(found) != 1 || !reflect.DeepEqual(found[0], kept) {
			return fmt.Errorf("Find on a full disk: %v, %w", found, err)
		}
		leased, err := s.Find(ctx, "leased")
		shared := os.Getenv(sharedVariable) != ""
		if err != nil || len(leased) != 1 || (leased[0].Lease != nil) != shared {
			return fmt.Errorf("Find of a leased record: %+v, %v, want one, with its lease only if the file is shared", leased, err)
		}
		leased[0].Parts = record("leased", 10_000).Parts
		if _, err := s.Put(ctx, leased[0]); err == nil {
			return errors.New("Put of a leased record on a full disk succeeded")
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	_, err = s.Put(ctx, record("key", 10_000))
	return err
}

func TestPut_FullDiskKeepsRecords(t *testing.T) {
	inBothModes(t, func(t *testing.T, opts boltstore.Options) {
		path := filepath.Join(t.TempDir(), "uploads.db")
		leased := record("leased", 0)
		leased.Lease = &storage.Lease{Holder: "holder", Until: time.Now().Add(time.Minute)}
		s := open(t, path, &opts)
		put(t, s, leased)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		start(t, "fill disk", path, opts).end(t)
		if found, err := open(t, path, &opts).Find(t.Context(), "key"); err != nil || len(found) != 2 {
			t.Errorf("found %d records, %v, want 2", len(found), err)
		}
	})
}

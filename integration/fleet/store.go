//go:build unix

package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

// sharedStore is a store on an engine that several machines share.
type sharedStore interface {
	storage.Store
	storage.Clock
}

// watchedStore reports which leases this process acquires.
type watchedStore struct {
	sharedStore
	emit func(any)

	mu        sync.Mutex
	revisions map[string]int64     // stored by this process, by ID of the record
	ends      map[string]time.Time // of leases, by file
}

func newWatchedStore(s sharedStore, emit func(any)) *watchedStore {
	return &watchedStore{sharedStore: s, emit: emit, revisions: map[string]int64{}, ends: map[string]time.Time{}}
}

// end returns when the last lease of a file ends, by the clock of the store.
func (s *watchedStore) end(file string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ends[file]
}

func (s *watchedStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	name := rec.Metadata["filename"]
	acquires := rec.Lease != nil && !s.isOwn(rec)
	if acquires {
		s.emit(workerEvent{Kind: eventLeasing, File: name})
	}
	stored, err := s.sharedStore.Put(ctx, rec)
	if err == nil {
		s.note(name, stored)
	}
	switch {
	case acquires && err == nil:
		s.emit(workerEvent{Kind: eventLeased, File: name})
	case acquires && errors.Is(err, storage.ErrConflict), rec.Lease == nil && err == nil:
		s.emit(workerEvent{Kind: eventUnleased, File: name})
	}
	return stored, err
}

// isOwn reports whether this process has stored the record last.
func (s *watchedStore) isOwn(rec storage.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	revision, ok := s.revisions[rec.ID]
	return ok && revision == rec.Revision
}

func (s *watchedStore) note(file string, rec storage.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rec.Lease == nil {
		delete(s.revisions, rec.ID)
		return
	}
	s.revisions[rec.ID], s.ends[file] = rec.Revision, rec.Lease.Until
}

// countingTransport returns a transport that keeps the number of bytes that it has written to
// connections in a file, which survives a kill.
func countingTransport(path string) (*http.Transport, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	written := new(atomic.Int64)
	transport := tus.NewTransport()
	dialer := net.Dialer{}
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return countedConn{conn, written, file}, nil
	}
	return transport, nil
}

type countedConn struct {
	net.Conn
	written *atomic.Int64
	file    *os.File
}

// Write counts before it returns, so that a kill loses the count of one call at most.
func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	var total [8]byte
	binary.LittleEndian.PutUint64(total[:], uint64(c.written.Add(int64(n))))
	_, countErr := c.file.WriteAt(total[:], 0)
	return n, errors.Join(err, countErr)
}

// bytesWritten returns the count of a countingTransport.
func bytesWritten(path string) int64 {
	total, err := os.ReadFile(path)
	if err != nil || len(total) != 8 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(total))
}

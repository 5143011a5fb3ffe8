//go:build unix

package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/integration/tusdtest"
)

// Kinds of files, which end their names.
const (
	kindWhole  = "-whole"  // one request; the client limits the rate
	kindChunks = "-chunks" // requests of chunkSize; the client limits the rate
	kindSlow   = "-slow"   // one request; the server limits the rate, so that sockets are full
)

// files are the files that the workers upload. At most a number of them is incomplete at a
// time.
type files struct {
	dir      string // of the workers
	server   *tusdtest.Server
	recorder *recorder
	random   *rand.Rand
	keep     time.Duration // between completion and verification

	mu         sync.Mutex
	sums       map[string]string
	done       map[string]string // upload URLs
	made       int
	bytes      int64 // of all files
	equal      int
	twice      int
	beyond     int64 // bytes on the server that belong to no complete upload
	mismatches []string
	checks     sync.WaitGroup
}

// fill makes files until n are incomplete.
func (f *files) fill(n int) error {
	for f.incomplete() < n {
		if err := f.add(); err != nil {
			return err
		}
	}
	return nil
}

func (f *files) incomplete() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made - len(f.done)
}

// add makes a file, which appears in the directory at once with all its bytes.
func (f *files) add() error {
	kind := []string{kindWhole, kindChunks, kindWhole, kindChunks, kindSlow}[f.made%5]
	size := 1<<20 + 1 + f.random.IntN(2<<20)
	if kind == kindSlow {
		size = 8<<20 + f.random.IntN(4<<20)
	}
	name := fmt.Sprintf("%05d%s", f.made, kind)
	data := make([]byte, size)
	var seed [32]byte
	copy(seed[:], fmt.Sprint(f.random.Uint64()))
	_, _ = rand.NewChaCha8(seed).Read(data)
	hash := sha256.Sum256(data)
	hidden := filepath.Join(filepath.Dir(f.dir), name)
	if err := os.WriteFile(hidden, data, 0o644); err != nil {
		return err
	}
	f.mu.Lock()
	f.made++
	f.bytes += int64(size)
	f.sums[name] = hex.EncodeToString(hash[:])
	f.mu.Unlock()
	return os.Rename(hidden, filepath.Join(f.dir, name))
}

// complete records that a worker reports a file as complete, and verifies it later, when a
// worker that was stopped before has run again.
func (f *files) complete(name, url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch there, ok := f.done[name]; {
	case !ok:
		f.done[name] = url
		f.checks.Go(func() {
			time.Sleep(f.keep)
			f.verify(name, url)
		})
	case there != url:
		f.mismatches = append(f.mismatches, fmt.Sprintf("%s is complete at %s and %s", name, there, url))
	}
}

// verify compares what the server stored with the file, and removes both.
func (f *files) verify(name, url string) {
	ids := f.recorder.verify(name)
	got, err := f.server.SHA256(url)
	f.mu.Lock()
	defer f.mu.Unlock()
	if got == f.sums[name] {
		f.equal++
	} else {
		f.mismatches = append(f.mismatches, fmt.Sprintf("%s at %s has other bytes: %v", name, url, err))
	}
	complete := 0
	for _, id := range ids {
		size, err := f.server.Size(id)
		info, infoErr := f.server.Info(id)
		switch {
		case err != nil || infoErr != nil:
			f.mismatches = append(f.mismatches, fmt.Sprintf("%s: %s: %v, %v", name, id, err, infoErr))
		case size == info.Size:
			complete++
		default:
			f.beyond += size
		}
		os.Remove(f.server.Path(id))
	}
	if complete != 1 {
		f.twice += max(0, complete-1)
		f.mismatches = append(f.mismatches, fmt.Sprintf("%s: %d complete uploads of %v", name, complete, ids))
	}
	os.Remove(filepath.Join(f.dir, name))
}

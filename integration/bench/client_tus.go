package main

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"runtime/pprof"

	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus"
)

// uploadTus uploads with this library and its defaults.
func uploadTus(ctx context.Context, t task) error {
	opts := &tus.Options{}
	if t.State != "" {
		store, err := boltstore.Open(t.State, nil)
		if err != nil {
			return err
		}
		defer store.Close()
		opts.Store = store
	}
	client, err := tus.NewClient(t.Endpoint, opts)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	if t.Concurrency == 0 {
		how := &tus.UploadOptions{ChunkSize: t.Chunk, Parallel: t.Parts}
		if t.SHA256 {
			how.Digest = "sha256"
		}
		_, err := client.UploadFile(ctx, t.File, how)
		return err
	}
	paths, err := listFiles(t.File)
	if err != nil {
		return err
	}
	var failures error
	for _, err := range client.UploadAll(ctx, jobs(paths), t.Concurrency) {
		failures = errors.Join(failures, err)
	}
	return failures
}

func jobs(paths []string) iter.Seq[tus.Job] {
	return func(yield func(tus.Job) bool) {
		for _, path := range paths {
			if !yield(tus.Job{Source: tus.File(path)}) {
				return
			}
		}
	}
}

func listFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	paths := make([]string, len(entries))
	for i, e := range entries {
		paths[i] = filepath.Join(dir, e.Name())
	}
	return paths, nil
}

// profiled writes CPU and allocation profiles of work; prefix "" means none.
func profiled(prefix string, work func() error) error {
	if prefix == "" {
		return work()
	}
	cpu, err := os.Create(prefix + ".cpu.pprof")
	if err != nil {
		return err
	}
	defer cpu.Close()
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return err
	}
	err = work()
	pprof.StopCPUProfile()
	allocs, created := os.Create(prefix + ".allocs.pprof")
	if created != nil {
		return errors.Join(err, created)
	}
	defer allocs.Close()
	return errors.Join(err, pprof.Lookup("allocs").WriteTo(allocs, 0))
}

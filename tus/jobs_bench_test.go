package tus_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path"
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// generatedFS has directories of equally many files, all of which have the same content.
// It keeps nothing in memory.
type generatedFS struct{ dirs, files int }

func (g generatedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, mode := g.files, fs.FileMode(0)
	if name == "." {
		n, mode = g.dirs, fs.ModeDir
	}
	entries := make([]fs.DirEntry, n)
	for i := range entries {
		entries[i] = generatedEntry{fmt.Sprintf("%06d", i), mode}
	}
	return entries, nil
}

func (generatedFS) Open(name string) (fs.File, error) {
	return fstest.MapFS{path.Base(name): {Data: []byte("content")}}.Open(path.Base(name))
}

type generatedEntry struct {
	name string
	mode fs.FileMode
}

func (e generatedEntry) Name() string               { return e.name }
func (e generatedEntry) IsDir() bool                { return e.mode.IsDir() }
func (e generatedEntry) Type() fs.FileMode          { return e.mode }
func (e generatedEntry) Info() (fs.FileInfo, error) { return nil, fs.ErrInvalid }

// peakHeap samples the heap in use above that at the start.
type peakHeap struct{ start, peak uint64 }

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (h *peakHeap) sample() { h.peak = max(h.peak, heapInUse()) }

func (h *peakHeap) report(b *testing.B) {
	b.ReportMetric(float64(max(h.peak, h.start)-h.start)/1024, "peak-KiB")
}

// BenchmarkDirJobs walks 100,000 files, in trees of different shapes, and reports the peak
// of the live heap: it depends on the largest directory, not on the number of files.
func BenchmarkDirJobs(b *testing.B) {
	for _, tree := range []generatedFS{{100, 10}, {100, 100}, {100, 1000}, {1, 100_000}} {
		b.Run(fmt.Sprintf("%dx%d", tree.dirs, tree.files), func(b *testing.B) {
			b.ReportAllocs()
			heap := peakHeap{start: heapInUse()}
			for b.Loop() {
				n := 0
				for range tus.DirJobs(tree, nil) {
					if n++; n%(tree.dirs*tree.files/10) == 1 {
						b.StopTimer()
						heap.sample()
						b.StartTimer()
					}
				}
				if n != tree.dirs*tree.files {
					b.Fatalf("%d jobs", n)
				}
			}
			heap.report(b)
			b.ReportMetric(float64(tree.dirs*tree.files)*float64(b.N)/b.Elapsed().Seconds(), "files/s")
		})
	}
}

// BenchmarkDirJobs_Disk walks 100,000 files on a disk.
func BenchmarkDirJobs_Disk(b *testing.B) {
	root := b.TempDir()
	for dir := range 1000 {
		at := path.Join(root, fmt.Sprint(dir))
		if err := os.Mkdir(at, 0o700); err != nil {
			b.Fatal(err)
		}
		for file := range 100 {
			if err := os.WriteFile(path.Join(at, fmt.Sprint(file)), nil, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range tus.DirJobs(os.DirFS(root), nil) {
			n++
		}
		if n != 100_000 {
			b.Fatalf("%d jobs", n)
		}
	}
	b.ReportMetric(100_000*float64(b.N)/b.Elapsed().Seconds(), "files/s")
}

// BenchmarkDirJobs_Upload uploads trees of 10,000 and 100,000 files, and reports the peak
// of the live heap of client and server.
func BenchmarkDirJobs_Upload(b *testing.B) {
	trees := []generatedFS{{100, 100}, {1000, 100}}
	if testing.Short() {
		trees = trees[:1]
	}
	for _, tree := range trees {
		b.Run(fmt.Sprintf("%dx%d", tree.dirs, tree.files), func(b *testing.B) {
			srv := httptest.NewServer(&discard{extensions: "creation,creation-with-upload"})
			defer srv.Close()
			client, err := tus.NewClient(srv.URL+"/files/", nil)
			if err != nil {
				b.Fatal(err)
			}
			defer client.CloseIdleConnections()
			heap := peakHeap{start: heapInUse()}
			begin := time.Now()
			for b.Loop() {
				n := 0
				var counter tus.BatchCounter
				for _, err := range client.UploadAll(context.Background(), counter.Jobs(tus.DirJobs(tree, nil)), 8) {
					if err != nil {
						b.Fatal(err)
					}
					if n++; n%(tree.dirs*tree.files/10) == 1 {
						heap.sample()
					}
				}
				if n != tree.dirs*tree.files {
					b.Fatalf("%d results", n)
				}
			}
			heap.report(b)
			b.ReportMetric(float64(tree.dirs*tree.files)*float64(b.N)/time.Since(begin).Seconds(), "files/s")
		})
	}
}

// Package scale tests and measures large files, many files, and links with a long
// round trip.
package scale

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/tus"
)

const uploaderRole = "scale-uploader"

// task is the configuration of an uploading process.
type task struct {
	Endpoint    string
	File        string `json:",omitempty"`
	Stream      int64  `json:",omitempty"` // size of a stream to upload instead of a file
	Dir         string `json:",omitempty"` // upload all files of a directory instead of a file
	State       string `json:",omitempty"` // path of a bolt store
	ChunkSize   int64
	Parallel    int
	Concurrency int
	Connections int
}

// report is the result of an uploading process.
type report struct {
	PeakRSS  int64 // bytes
	Requests int
	Error    string `json:",omitempty"`
}

// roles returns the child processes of this package.
func roles() []child.Role { return []child.Role{{Name: uploaderRole, Run: runUploader}} }

func runUploader(ctx context.Context, encoded []byte, emit func(any)) error {
	var t task
	if err := json.Unmarshal(encoded, &t); err != nil {
		return err
	}
	requests, err := t.run(ctx)
	r := report{PeakRSS: peakRSS(), Requests: requests}
	if err != nil {
		r.Error = err.Error()
	}
	emit(r)
	return err
}

func (t task) run(ctx context.Context) (requests int, err error) {
	opts := tus.Options{MaxConnections: t.Connections}
	if t.State != "" {
		store, err := boltstore.Open(t.State, nil)
		if err != nil {
			return 0, err
		}
		defer store.Close()
		opts.Store = store
	}
	client, err := tus.NewClient(t.Endpoint, &opts)
	if err != nil {
		return 0, err
	}
	defer client.CloseIdleConnections()
	upload := &tus.UploadOptions{ChunkSize: t.ChunkSize, Parallel: t.Parallel, Checksum: "off"}
	switch {
	case t.Dir != "":
		return uploadDir(ctx, client, t.Dir, t.Concurrency)
	case t.Stream > 0:
		result, err := client.Upload(ctx, tus.Reader(io.LimitReader(zeros{}, t.Stream)), upload)
		return requestsOf(result), err
	}
	result, err := client.UploadFile(ctx, t.File, upload)
	return requestsOf(result), err
}

func requestsOf(result *tus.Result) (total int) {
	for _, n := range result.Stats.Requests {
		total += n
	}
	return total
}

// uploadDir uploads every file of a directory.
func uploadDir(ctx context.Context, client *tus.Client, dir string, concurrency int) (requests int, err error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for result, failure := range client.UploadAll(ctx, jobs(dir, names), concurrency) {
		requests += requestsOf(result)
		err = errors.Join(err, failure)
	}
	return requests, err
}

func jobs(dir string, names []os.DirEntry) iter.Seq[tus.Job] {
	return func(yield func(tus.Job) bool) {
		for _, name := range names {
			if !yield(tus.Job{Source: tus.File(filepath.Join(dir, name.Name()))}) {
				return
			}
		}
	}
}

// peakRSS returns the peak resident memory of this process in bytes; 0 if the
// system is not Linux.
func peakRSS() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}

// zeros is an endless stream of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

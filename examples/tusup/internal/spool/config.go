package spool

import (
	"context"
	"path/filepath"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/link"
	"github.com/seed-175555ba/tus-go/tus"
)

// Config configures Run. Dir, Settle, Scan, Concurrency and Upload must be set.
type Config struct {
	// Dir is the absolute path of the directory. It must not be a symbolic link.
	Dir string
	// Scan is the time between two scans of the directory.
	Scan time.Duration
	// Settle is how long size and modification time of a file must rest. It must be longer
	// than the granularity of these times, which is 2 seconds on FAT.
	Settle time.Duration
	// ScanOnly finds files by scans alone, without notifications of the file system.
	ScanOnly bool
	// Follow uploads files to which symbolic links point. Links to directories are never
	// followed, so that a scan terminates.
	Follow bool

	// Order is the order in which files that wait are uploaded.
	Order Order
	// Concurrency is the maximum number of files in flight.
	Concurrency int
	// GiveUp is the number of failed attempts after which a file is set aside. With 0, no
	// file is set aside.
	GiveUp int

	// MoveTo, if not empty, is the absolute path of the directory to which uploaded files are
	// moved. Delete deletes them. Without both they are kept.
	MoveTo string
	Delete bool
	// FailedTo is the absolute path of the directory for files that are set aside; "" means
	// .failed in Dir.
	FailedTo string

	// Upload uploads files.
	Upload Uploader
	// Hooks are called by Run.
	Hooks Hooks
	// Heartbeat is the interval of Hooks.OnStatus; 0 means 5 seconds.
	Heartbeat time.Duration
}

// Uploader uploads f from the path f.In(Config.Dir). It returns a nil error only if the
// server acknowledged all bytes and, if their digest is known, it matched. It is called for
// a file again after a failure, and by the next process for a file that was complete, whose
// result has AlreadyComplete. The result may be nil after an error.
type Uploader func(ctx context.Context, f File, l *link.Link) (*tus.Result, error)

// Order is an order of files.
type Order string

// Orders of files. Files that are equal are in the order of their names.
const (
	OldestFirst   Order = "oldest"
	SmallestFirst Order = "smallest"
	ByName        Order = "name"
)

// File is a file of the spool.
type File struct {
	// Name is the path relative to the directory.
	Name string
	Size int64
	// ModTime is used for order and equality, never compared with the clock.
	ModTime time.Time

	id   identity
	link bool // Name is a symbolic link
}

// In returns the path of the file in the directory dir.
func (f File) In(dir string) string { return filepath.Join(dir, f.Name) }

// equal reports whether f and g are the same version of a file.
func (f File) equal(g File) bool {
	return f.Name == g.Name && f.Size == g.Size && f.ModTime.Equal(g.ModTime) && f.id == g.id && f.link == g.link
}

// Hooks are called from one goroutine. Each may be nil.
type Hooks struct {
	// OnReady is called once, when the directory is being watched.
	OnReady func()
	// OnEnd is called when an attempt ended, but not when it was interrupted by ctx.
	OnEnd func(End)
	// OnStatus is called at each Heartbeat, and when the server becomes reachable or
	// unreachable.
	OnStatus func(Status)
	// OnLog is called with a text for the operator.
	OnLog func(text string)
}

// Kind is how an attempt ended.
type Kind string

// Kinds of ends.
const (
	Uploaded Kind = "uploaded"  // and disposed of, unless End.Err is set
	Already  Kind = "already"   // an earlier upload was complete
	Retried  Kind = "retried"   // failed; there will be another attempt
	SetAside Kind = "set_aside" // failed for the last time
	Changed  Kind = "changed"   // the file changed during the upload, and settles again
	Vanished Kind = "vanished"  // the file was removed or moved during the upload
	Held     Kind = "held"      // another process uploads the file
)

// End describes the end of an attempt.
type End struct {
	Kind   Kind
	File   File
	Result *tus.Result // of the Uploader
	// Attempts is the number of failed attempts that count.
	Attempts int
	// Path is where the file was moved, "" if it was not.
	Path string
	// Err is why the upload failed or, after Uploaded and Already, why the file could not be
	// moved or deleted.
	Err error
}

// Status is the state of a spool.
type Status struct {
	Settling, Waiting, InFlight int
	// Oldest is the modification time of the oldest file that is not uploaded, zero if there
	// is none.
	Oldest time.Time
	// Down is why no upload can succeed now, "" if there is no known reason.
	Down string
}

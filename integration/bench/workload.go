package main

import (
	"fmt"
	"time"
)

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
	gib = int64(1) << 30
)

// serverKind is the kind of server.
type serverKind string

const (
	// toSink is a server that discards all bytes, to measure the client alone.
	toSink serverKind = "sink"
	// toTusd is tusd v2 with its file store.
	toTusd serverKind = "tusd"
)

// workload says what to upload, and how.
type workload struct {
	id     string // for -only and for the goals
	title  string
	server serverKind
	size   int64 // of the file, or of each file
	files  int   // number of files in one directory; 0 means a single file
	chunk  int64 // maximum bytes of one request; 0 means no limit
	sha1   bool  // each chunk carries its checksum
	sha256 bool  // the client returns the digest of the file
	parts  int   // clients that can send parallel parts run a second time with so many
	link   link

	// sideBySide runs all clients at the same time. They only wait for their own
	// connections.
	sideBySide bool
}

// link is the network between client and server. The zero value is the loopback
// interface.
type link struct {
	RoundTrip time.Duration `json:",omitempty"`
	Rate      int64         `json:",omitempty"` // bytes per second of each connection
	CutEvery  int64         `json:",omitempty"` // bytes after which a connection breaks
}

const (
	chunkSize  = 8 * mib
	concurrent = 16 // requests at the same time for many files
	cutEvery   = 16 * mib
)

// workloads returns all workloads, with smaller files if quick is set.
func workloads(quick bool) []workload {
	big, long, broken, files := gib, 64*mib, 256*mib, 2000
	if quick {
		big, long, broken, files = 128*mib, 8*mib, 64*mib, 300
	}
	shaped := link{RoundTrip: 100 * time.Millisecond, Rate: 4 * mib}
	var all []workload
	for _, to := range []serverKind{toSink, toTusd} {
		all = append(all,
			workload{id: "whole-" + string(to), title: bytesText(big) + " whole", server: to, size: big},
			workload{id: "chunks-" + string(to), title: bytesText(big) + " in 8 MiB chunks", server: to, size: big, chunk: chunkSize},
		)
		if to == toSink { // tusd does not support checksums
			all = append(all, workload{
				id: "sha1-sink", title: bytesText(big) + " in 8 MiB chunks with sha1",
				server: to, size: big, chunk: chunkSize, sha1: true,
			}, workload{id: "digest-sink", title: bytesText(big) + " whole, and its sha256", server: to, size: big, sha256: true})
		}
		all = append(all, workload{
			id: "small-" + string(to), title: fmt.Sprintf("%d files of 4 KiB, %d at once", files, concurrent),
			server: to, size: 4 * kib, files: files,
		})
	}
	return append(all,
		workload{
			id: "shaped-tusd", title: bytesText(long) + ", 100 ms round trip, 4 MiB/s a connection",
			server: toTusd, size: long, parts: 4, link: shaped, sideBySide: true,
		},
		workload{
			id: "cut-tusd", title: bytesText(broken) + ", cut every 16 MiB",
			server: toTusd, size: broken, link: link{CutEvery: cutEvery},
		},
	)
}

// bytesText formats a number of bytes.
func bytesText(n int64) string {
	switch {
	case n >= gib && n%gib == 0:
		return fmt.Sprintf("%d GiB", n/gib)
	case n >= mib:
		return fmt.Sprintf("%.4g MiB", float64(n)/float64(mib))
	}
	return fmt.Sprintf("%d KiB", n/kib)
}

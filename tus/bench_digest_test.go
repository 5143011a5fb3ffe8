package tus_test

import (
	"context"
	"crypto/sha256"
	"io"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
)

// BenchmarkDigest alternates hashing a file ("hash-s"), uploading it ("off-s"), and
// uploading it with a digest ("digest-s"), within one run, and reports medians. The ratio
// of "digest-s" to the slower of the others should be at most 1.10.
func BenchmarkDigest(b *testing.B) {
	size := int64(benchmarkSize)
	if testing.Short() {
		size >>= 4
	}
	path := benchmarkFile(b, size)
	file := func() tus.Source { return tus.File(path) }
	for name, way := range map[string]struct {
		extensions string
		source     func() tus.Source
		opts       tus.UploadOptions
	}{
		"file":       {"creation", file, tus.UploadOptions{}},
		"TLS":        {overTLS + "creation", file, tus.UploadOptions{}},
		"chunks":     {"creation", file, tus.UploadOptions{ChunkSize: 8 << 20}},
		"parallel=4": {"creation,concatenation", file, tus.UploadOptions{Parallel: 4}},
		"stream": {"creation,creation-defer-length", func() tus.Source { return tus.Reader(io.LimitReader(zeros{}, size)) },
			tus.UploadOptions{}},
	} {
		b.Run(name, func(b *testing.B) {
			client := benchmarkClient(b, way.extensions)
			send := func(digest string) func() error {
				return func() error {
					opts := way.opts
					opts.Digest = digest
					_, err := client.Upload(context.Background(), way.source(), &opts)
					return err
				}
			}
			benchmarkInTurn(b, []turn{
				{"hash-s", func() error { return hashFile(path, sha256.New()) }}, {"off-s", send("")}, {"digest-s", send("sha256")},
			}, "digest/max")
		})
	}
}

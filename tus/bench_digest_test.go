package tus_test

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"slices"
	"testing"
	"time"

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
			ways := []func() error{func() error { return sha256File(path) }, send(""), send("sha256")}
			took := make([][]time.Duration, len(ways))
			for b.Loop() {
				for i, way := range ways {
					begin := time.Now()
					if err := way(); err != nil {
						b.Fatal(err)
					}
					took[i] = append(took[i], time.Since(begin))
				}
			}
			var medians []float64
			for i, name := range []string{"hash-s", "off-s", "digest-s"} {
				slices.Sort(took[i])
				medians = append(medians, took[i][len(took[i])/2].Seconds())
				b.ReportMetric(medians[i], name)
			}
			b.ReportMetric(medians[2]/max(medians[0], medians[1]), "digest/max")
		})
	}
}

// sha256File hashes a file as its digest is, in blocks that fit the cache of the CPU.
func sha256File(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(sha256.New(), struct{ io.Reader }{f}, make([]byte, 256<<10))
	return err
}

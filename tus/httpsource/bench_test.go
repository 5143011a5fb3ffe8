package httpsource_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
)

const benchSize = 64 << 20

// BenchmarkRead reads a URL through a Source.
func BenchmarkRead(b *testing.B) {
	source := newSource(b, newSite(make([]byte, benchSize)).start(b), nil)
	buf := make([]byte, 32<<10) // as net/http copies bodies
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		r, err := source.Open(context.Background(), 0)
		if err != nil {
			b.Fatal(err)
		}
		drain(b, r, buf)
	}
}

// BenchmarkPlainGet is the baseline of BenchmarkRead.
func BenchmarkPlainGet(b *testing.B) {
	url := newSite(make([]byte, benchSize)).start(b)
	transport := tus.NewTransport()
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	buf := make([]byte, 32<<10)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := client.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		drain(b, resp.Body, buf)
	}
}

// BenchmarkReadChunks opens a reader for each MiB, as an upload in chunks does.
func BenchmarkReadChunks(b *testing.B) {
	const chunk = 1 << 20
	source := newSource(b, newSite(make([]byte, benchSize)).start(b), nil)
	buf := make([]byte, chunk)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		for offset := int64(0); offset < benchSize; offset += chunk {
			r, err := source.Open(context.Background(), offset)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(r, buf); err != nil {
				b.Fatal(err)
			}
			r.Close()
		}
	}
}

func drain(b *testing.B, r io.ReadCloser, buf []byte) {
	b.Helper()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, buf)
	if err != nil || n != benchSize {
		b.Fatalf("read %d bytes, %v", n, err)
	}
	r.Close()
}

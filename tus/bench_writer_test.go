package tus_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
)

// BenchmarkWriter compares a Writer with "socket", the baseline: io.Copy into the TCP
// connection of one PATCH. "ReadFrom" is io.Copy into the Writer, "Write" writes 32 KiB at
// a time.
func BenchmarkWriter(b *testing.B) {
	data := func() io.Reader { return io.LimitReader(zeros{}, benchmarkSize) }
	b.Run("socket", func(b *testing.B) {
		endpoint, err := url.Parse(startDiscard(b, "creation"))
		if err != nil {
			b.Fatal(err)
		}
		transport := benchmarkTransport(&http.Transport{DialContext: new(net.Dialer).DialContext})
		b.SetBytes(benchmarkSize)
		b.ReportAllocs()
		for b.Loop() {
			conn, err := transport.DialContext(context.Background(), "tcp", endpoint.Host)
			if err != nil {
				b.Fatal(err)
			}
			fmt.Fprintf(conn, "PATCH / HTTP/1.1\r\nHost: %s\r\nUpload-Offset: 0\r\nContent-Length: %d\r\n\r\n", endpoint.Host, benchmarkSize)
			if _, err := io.Copy(conn, data()); err != nil {
				b.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != http.StatusNoContent {
				b.Fatal(resp, err)
			}
			resp.Body.Close()
			conn.Close()
		}
	})
	write := func(size int64, opts *tus.UploadOptions, fill func(*tus.Writer) error) func(*testing.B) {
		return func(b *testing.B) {
			client := benchmarkClient(b, "creation,creation-defer-length")
			b.SetBytes(benchmarkSize)
			b.ReportAllocs()
			for b.Loop() {
				w := client.NewWriter(context.Background(), opts)
				w.Size = size
				if err := fill(w); err != nil {
					b.Fatal(err)
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	readFrom := func(w *tus.Writer) error { _, err := io.Copy(w, data()); return err }
	b.Run("ReadFrom", write(0, nil, readFrom))
	b.Run("ReadFrom/size", write(benchmarkSize, nil, readFrom))
	b.Run("ReadFrom/chunk=1MiB", write(0, &tus.UploadOptions{ChunkSize: 1 << 20}, readFrom))
	b.Run("Write", write(0, nil, func(w *tus.Writer) error {
		_, err := io.Copy(struct{ io.Writer }{w}, data())
		return err
	}))
}

package integration_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus"
)

// BenchmarkSend sends a file to a process that discards it, with this library and
// with a minimal net/http client. net/http is fastest with an *os.File as the
// body, but an *os.File cannot be a chunk: chunks are sections of the file.
func BenchmarkSend(b *testing.B) {
	const size = 256 * mib
	path := filepath.Join(b.TempDir(), "source.bin")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		b.Fatal(err)
	}
	endpoint := tusdtest.StartSink(b)

	for _, chunk := range []int64{size, 8 * mib} {
		name := "whole"
		if chunk < size {
			name = fmt.Sprintf("chunks=%dMiB", chunk/mib)
		}
		b.Run("by=tus/"+name, func(b *testing.B) {
			client := newClient(b, endpoint, tus.Options{})
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.UploadFile(context.Background(), path, &tus.UploadOptions{ChunkSize: chunk % size}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("by=net-http/"+name, func(b *testing.B) {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				for at := int64(0); at < size; at += chunk {
					if err := barePatch(client, endpoint+"bare", path, at, chunk); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// barePatch sends one PATCH with net/http.
func barePatch(client *http.Client, url, path string, at, n int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var body io.Reader = f
	if n < info.Size() {
		body = io.NewSectionReader(f, at, n)
	}
	req, err := http.NewRequest(http.MethodPatch, url, body)
	if err != nil {
		return err
	}
	req.ContentLength = n
	req.Header.Set("Upload-Offset", strconv.FormatInt(at, 10))
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if got := resp.Header.Get("Upload-Offset"); got != strconv.FormatInt(at+n, 10) {
		return fmt.Errorf("sink responded %s with offset %s", resp.Status, got)
	}
	return nil
}

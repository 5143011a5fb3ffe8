package tusdtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/integration/child"
)

// StartSink runs a tus server for benchmarks that discards all bytes, in a child
// process until the end of the test. It returns the upload creation URL. A PATCH to
// any URL below it is accepted at any offset.
func StartSink(t testing.TB) string {
	t.Helper()
	ready := make(chan string, 1)
	c, err := child.Start(t, sinkRole, nil, func(line json.RawMessage) {
		var e serverEvent
		if json.Unmarshal(line, &e) == nil && e.Addr != "" {
			ready <- e.Addr
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case addr := <-ready:
		return "http://" + addr + basePath
	case <-c.Done():
		t.Fatal("sink did not start: ", c.Wait(context.Background()))
		return ""
	}
}

func runSink(ctx context.Context, _ []byte, emit func(any)) error {
	var uploads atomic.Int64
	return serve(ctx, "127.0.0.1:0", emit, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Tus-Resumable", "1.0.0")
		switch r.Method {
		case http.MethodOptions:
			header.Set("Tus-Version", "1.0.0")
			header.Set("Tus-Extension", "creation,creation-with-upload,concatenation,creation-defer-length,termination")
		case http.MethodPost:
			n, err := discard(r.Body)
			if err != nil {
				return
			}
			header.Set("Location", fmt.Sprint(basePath, uploads.Add(1)))
			header.Set("Upload-Offset", strconv.FormatInt(n, 10))
			w.WriteHeader(http.StatusCreated)
		case http.MethodPatch:
			n, err := discard(r.Body)
			if err != nil {
				return
			}
			offset, _ := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
			header.Set("Upload-Offset", strconv.FormatInt(offset+n, 10))
			w.WriteHeader(http.StatusNoContent)
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default: // the sink keeps no state for HEAD
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	}))
}

// discard reads with a large buffer, so that the benchmark measures the client.
func discard(r io.Reader) (int64, error) {
	buf := make([]byte, 256<<10)
	var total int64
	for {
		n, err := r.Read(buf)
		total += int64(n)
		switch {
		case err == io.EOF:
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

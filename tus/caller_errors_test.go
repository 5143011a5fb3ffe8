package tus_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// An error of a hook or source may match a sentinel of this package, for example if the
// source is on a tus server. It is not about the upload.

func TestSourceError_UploadGoneKeepsRecord(t *testing.T) {
	gone := &tus.Error{Method: "HEAD", URL: "http://other.test/x", StatusCode: 404, Err: tus.ErrUploadGone}
	for n := range int64(8) {
		srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer")})
		store := &storage.Memory{}
		data := randomBytes(30000)
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Checksums: checksum.Builtin()})
		var opens atomic.Int64
		source := &hookedSource{Source: tus.Bytes(data), beforeOpen: func(context.Context) error {
			if opens.Add(1) > n {
				return fmt.Errorf("reading: %w", gone)
			}
			return nil
		}}
		_, err := client.Upload(testContext(t), source, chunked())
		left := records(t, store)
		if srv.Count("POST") > 1 || srv.Count("POST") == 1 && len(left) != 1 {
			t.Errorf("after %d opens: %d uploads created, %d records left: %v", n, srv.Count("POST"), len(left), err)
		}
	}
}

func TestSourceError_UploadGoneAtEnd(t *testing.T) {
	gone := &tus.Error{Method: "HEAD", URL: "http://other.test/x", StatusCode: 404, Err: tus.ErrUploadGone}
	srv := tustest.NewServer(t, nil)
	data := randomBytes(3000)
	client := newClient(t, srv.Endpoint(), nil)
	var u *tus.Uploader
	source := &hookedSource{Source: tus.Bytes(data), beforeStat: func() error {
		if u.State() == tus.StateFinishing {
			return gone
		}
		return nil
	}}
	u, err := client.NewUploader(source, chunked())
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	if err == nil || strings.Contains(err.Error(), "defect") {
		t.Errorf("%v, url %q", err, u.URL())
	}
}

func TestHookError_SentinelKeepsRecord(t *testing.T) {
	for _, hookErr := range []error{tus.ErrSourceChanged, tus.ErrSourceMismatch, tus.ErrNotRecoverable, tus.ErrUploadGone, tus.ErrLeaseLost, tus.ErrTooLarge,
		&tus.Error{StatusCode: 401, Err: tus.ErrUnauthorized}, &tus.Error{StatusCode: 404, Err: tus.ErrUploadGone}, storage.ErrConflict, tus.ErrChecksumMismatch} {
		for _, method := range []string{"PATCH", "HEAD"} {
			srv, data := tustest.NewServer(t, nil), randomBytes(10_000)
			client := func(opts *tus.Options) *tus.Client { return newClient(t, srv.Endpoint(), opts) }
			memory := leftAt5000(t, client, data)
			_, err := client(&tus.Options{Store: memory, Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
				if r.Method == method {
					return fmt.Errorf("the token's upload: %w", hookErr)
				}
				return nil
			}}}).Upload(testContext(t), tus.Bytes(data), chunked())
			left := records(t, memory)
			if srv.Count("POST") != 1 || len(left) != 1 || left[0].Lease != nil {
				t.Errorf("%s %v: %d creations, %d records: %v", method, hookErr, srv.Count("POST"), len(left), err)
			}
		}
	}
}

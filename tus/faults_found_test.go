package tus_test

import (
	"bytes"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Minimal cases of failures that TestFaultSoak and TestFaultMatrix found.

func TestStream_RefusedAtEndIsUnconfirmed(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Times: -1, Action: faults.SetStatus(422)})
	data := randomBytes(2500)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
	wantError(t, err, tus.ErrUnconfirmed)
	wantStored(t, srv.Handler, res.URL, data)
}

func TestChecksum_OtherAlgorithmIsNotCompared(t *testing.T) {
	// The server refuses the algorithm of a chunk, and then the upload is gone. A
	// checksum of the old algorithm is not compared with one of the new.
	srv := tustest.NewServer(t, nil)
	srv.Inject(
		tustest.Fault{Method: "PATCH", Action: faults.RefuseAlgorithm("sha1", "sha256", "sha512", "crc32")},
		tustest.Fault{Method: "HEAD", Action: faults.Vanish()},
	)
	data := randomBytes(3000)
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin()}).Upload(testContext(t), tus.Bytes(data), whole())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

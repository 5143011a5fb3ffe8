package tus_test

import (
	"bytes"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// What TestFaultSoak and TestFaultMatrix found, each as small as it gets.

func TestStream_RefusedAtEndIsUnconfirmed(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Times: -1, Action: faults.SetStatus(422)})
	data := randomBytes(2500)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
	wantError(t, err, tus.ErrUnconfirmed)
	wantStored(t, srv.Handler, res.URL, data)
}

func TestChecksum_OtherAlgorithmIsNotCompared(t *testing.T) {
	// A chunk is refused for its algorithm, and then the upload is gone: the sum
	// by the old algorithm is no sign of a source that changed.
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

package tus_test

import (
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// sendfile gets a file in slices, with a deadline of a second for each. A server that reads
// slowly lets the deadline pass within a slice. The next slice must start at the right
// offset, also in a part.
func TestSendfile_SlowServerKeepsOffset(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(1500 * time.Millisecond)})
	data := randomBytes(64 << 20)
	path := tempFile(t, data)
	res, err := newClient(t, srv.Endpoint(), nil).UploadFile(testContext(t), path, &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 32 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if res.Stats.Resent != 0 {
		t.Errorf("stats are %+v", res.Stats)
	}
}

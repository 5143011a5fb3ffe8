package tus_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// The kernel gets a file in slices, each with a second to move it. A server that
// reads late lets that pass in the middle of a slice, and the next must go on
// at the right place of the file, also where a part does not begin at 0.
func TestSendfile_SlowServerKeepsOffset(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(1500 * time.Millisecond)})
	data := randomBytes(64 << 20)
	path := filepath.Join(t.TempDir(), "file.bin")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	res, err := newClient(t, srv.Endpoint(), nil).UploadFile(testContext(t), path, &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 32 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if res.Stats.Resent != 0 {
		t.Errorf("stats are %+v", res.Stats)
	}
}

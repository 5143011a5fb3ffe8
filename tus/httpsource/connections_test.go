package httpsource_test

import (
	"net/http"
	"runtime"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// A chunk is hashed and sent over a limited number of connections: a reader that waits for
// one must not hold another.
func TestUpload_ChecksumsUseFewConnections(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	data := randomBytes(32 << 20)
	for _, conns := range []int{1, 2} {
		srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer")})
		client := newClient(t, srv, &tus.Options{Checksums: checksum.Builtin()})
		source := newSource(t, newSite(data).start(t), &httpsource.Options{
			HTTPClient: &http.Client{Transport: &http.Transport{MaxConnsPerHost: conns}},
		})
		res, err := client.Upload(testContext(t), source, &tus.UploadOptions{
			Checksum: "sha512", ChunkSize: 4 << 20, Parallel: conns, ParallelOptions: tus.ParallelOptions{MinPartSize: 1 << 20},
		})
		if err != nil || res.Stats.Retries != 0 {
			t.Errorf("%d connections, after %d retries: %v", conns, res.Stats.Retries, err)
		}
		wantStored(t, srv, res.URL, data)
	}
}

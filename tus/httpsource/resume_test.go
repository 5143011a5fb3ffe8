package httpsource_test

import (
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Without a strong validator, another process cannot verify that the data is the same: the
// upload starts over and counts it.
func TestResume_WithoutStrongValidatorStartsOver(t *testing.T) {
	for name, print := range map[string]fingerprint.Fingerprinter{"Stat": fingerprint.Stat{}, "Sample": nil} {
		for etag, starts := range map[string]int{"": 1, `W/"v1"`: 1, `"v1"`: 0} {
			t.Run(name+", ETag "+etag, func(t *testing.T) {
				data := randomBytes(1_000_000)
				served := newSite(data)
				served.etag = etag
				served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool { served.serveWhole(w, r); return true }
				url := served.start(t)
				srv, store := tustest.NewServer(t, nil), new(storage.Memory)
				upload := func(stopAt int64) (*tus.Result, error) {
					client := newClient(t, srv, &tus.Options{Store: store, Fingerprinter: print})
					return client.Upload(testContext(t), newSource(t, url, nil),
						&tus.UploadOptions{ChunkSize: 100_000, StopAt: stopAt, Checksum: "off"})
				}
				_, err := upload(300_000)
				wantError(t, err, tus.ErrPaused)
				result, err := upload(0)
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv, result.URL, data)
				if result.Stats.Restarts != starts || srv.Count("POST") != 1+starts {
					t.Errorf("%d uploads were created, stats are %+v", srv.Count("POST"), result.Stats)
				}
				for rec := range store.All(testContext(t)) {
					t.Errorf("store still knows %+v", rec)
				}
			})
		}
	}
}

package httpsource_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// The chunk that the tus server refuses is in memory, so that nothing has to be
// read twice while the answer with the rest waits.
func TestKeptAnswerOutlastsARetryAfter(t *testing.T) {
	for _, seconds := range []string{"90", "300", "100000"} { // five minutes are the most that is heeded
		t.Run(seconds, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				data := randomBytes(300_000)
				served := newSite(data)
				served.etag = ""
				served.answer = func(w http.ResponseWriter, r *http.Request, _ int) bool { served.serveWhole(w, r); return true }
				srv := tustest.NewHandler(&tustest.Options{Extensions: tustest.Without("checksum-trailer")})
				srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: tustest.RespondAfter(503, "", "Retry-After", seconds)})
				hosts := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Host == "source.test" {
						served.ServeHTTP(w, r)
						return
					}
					srv.ServeHTTP(w, r)
				})
				listener := newPipeListener()
				server := &http.Server{Handler: hosts}
				var serving sync.WaitGroup
				serving.Go(func() { server.Serve(listener) })
				transport := &http.Transport{DialContext: listener.dial}
				defer func() {
					srv.Release()
					transport.CloseIdleConnections()
					server.Close()
					serving.Wait()
				}()
				shared := &http.Client{Transport: transport}
				source, err := httpsource.New("http://source.test/data.bin", &httpsource.Options{HTTPClient: shared})
				if err != nil {
					t.Fatal(err)
				}
				defer source.CloseIdleConnections()
				client, err := tus.NewClient("http://tus.test/files/", &tus.Options{HTTPClient: shared})
				if err != nil {
					t.Fatal(err)
				}
				result, err := client.Upload(t.Context(), source, &tus.UploadOptions{ChunkSize: 50_000})
				if err != nil {
					t.Fatal(err)
				}
				if up, _ := srv.Upload(result.URL); string(up.Data) != string(data) {
					t.Error("stored data differs")
				}
				served.wantRanges(t, "bytes=0-0")
			})
		})
	}
}

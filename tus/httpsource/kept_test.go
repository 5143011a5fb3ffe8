package httpsource_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// The chunk that the tus server refuses is in memory, and the response with the rest is
// kept: no byte is read twice.
func TestKeptResponse_OutlastsRetryAfter(t *testing.T) {
	for _, seconds := range []string{"90", "300", "100000"} { // at most five minutes are waited
		t.Run(seconds, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				data := randomBytes(300_000)
				served := newSite(data)
				served.etag = ""
				served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool { served.serveWhole(w, r); return true }
				srv := tustest.NewHandler(&tustest.Options{Extensions: tustest.Without("checksum-trailer")})
				srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: faults.RespondAfter(503, "", "Retry-After", seconds)})
				hosts := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Host == "source.test" {
						served.ServeHTTP(w, r)
						return
					}
					srv.ServeHTTP(w, r)
				})
				listener := faults.NewPipeListener()
				server := &http.Server{Handler: hosts}
				var serving sync.WaitGroup
				serving.Go(func() { server.Serve(listener) })
				transport := &http.Transport{DialContext: listener.Dial}
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

// A download that works once is requested once, also if the context of the first request
// ends before the data is read, like that of a Step.
func TestKeptResponse_OneTimeDownloadWorksByStep(t *testing.T) {
	data := randomBytes(1_000_000)
	served := newSite(data)
	served.etag = ""
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n > 0 {
			http.Error(w, "this link was used", http.StatusGone)
			return true
		}
		served.serveWhole(w, r)
		return true
	}
	srv := tustest.NewServer(t, nil)
	u, err := newClient(t, srv, nil).NewUploader(newSource(t, served.start(t), nil),
		&tus.UploadOptions{ChunkSize: 300_000, Checksum: "off"})
	if err != nil {
		t.Fatal(err)
	}
	for !u.State().Final() {
		if err := u.Step(testContext(t)); err != nil {
			t.Fatalf("in %v: %v", u.State(), err)
		}
	}
	wantStored(t, srv, u.URL(), data)
	served.wantRanges(t, "bytes=0-0")
}

func TestKeptResponse_OutlivesContextOfStat(t *testing.T) {
	data := randomBytes(1 << 20)
	served := newSite(data)
	served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool { served.serveWhole(w, r); return true }
	bubble(t, served, func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
		source := newSource(nil)
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := source.Stat(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		wantRead(t, source, 0, data)
		served.wantRanges(t, "bytes=0-0")
	})
}

func TestKeptResponse_IsDroppedAfterTimeout(t *testing.T) {
	data := randomBytes(1 << 20)
	for name, leave := range map[string]func(*httpsource.Source){
		"after a while":         func(*httpsource.Source) { time.Sleep(6 * time.Minute) }, // of the bubble
		"with idle connections": (*httpsource.Source).CloseIdleConnections,
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(data)
			ended := make(chan struct{}, 2)
			served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				served.serveWhole(w, r)
				ended <- struct{}{}
				return true
			}
			bubble(t, served, func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
				source := newSource(nil)
				if _, err := source.Stat(t.Context()); err != nil {
					t.Fatal(err)
				}
				leave(source)
				synctest.Wait()
				select {
				case <-ended:
				default:
					t.Fatal("server still sends")
				}
				wantRead(t, source, 0, data)
				served.wantRanges(t, "bytes=0-0", "")
			})
		})
	}
}

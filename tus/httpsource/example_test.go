package httpsource_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// movieServer serves a file at any path. Requests need a token.
func movieServer(content string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(w, r, "movie.mp4", time.Time{}, strings.NewReader(content))
	}))
}

// Upload a file from one server to another, over four connections.
func Example() {
	movies := movieServer(strings.Repeat("frame ", 1<<20))
	defer movies.Close()
	tusServer := tustest.NewHandler(nil)
	uploads := httptest.NewServer(tusServer)
	defer uploads.Close()

	client, err := tus.NewClient(uploads.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	source, err := httpsource.New(movies.URL+"/movie.mp4", &httpsource.Options{
		Header: http.Header{"Authorization": {"Bearer token"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer source.CloseIdleConnections()

	result, err := client.Upload(context.Background(), source, &tus.UploadOptions{
		Metadata:        tus.Metadata{"filename": "movie.mp4"},
		Parallel:        4,
		ParallelOptions: tus.ParallelOptions{MinPartSize: 1 << 20},
	})
	if err != nil {
		log.Fatal(err)
	}
	up, _ := tusServer.Upload(result.URL)
	fmt.Println(up.Complete(), result.Size)
	// Output: true 6291456
}

// Sources on the same server share the connections of one client.
func ExampleNew() {
	movies := movieServer("frames")
	defer movies.Close()
	transport := tus.NewTransport()
	defer transport.CloseIdleConnections()
	opts := &httpsource.Options{
		HTTPClient: &http.Client{Transport: transport},
		Header:     http.Header{"Authorization": {"Bearer token"}},
		Retry:      tus.RetryPolicy{MaxRetries: 20},
		OnRetry:    func(r tus.Retry) { log.Printf("%v; retry in %v", r.Err, r.Delay) },
	}
	for _, name := range []string{"/one.mp4", "/two.mp4"} {
		source, err := httpsource.New(movies.URL+name, opts)
		if err != nil {
			log.Fatal(err)
		}
		info, err := source.Stat(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(info.Name, info.Size)
	}
	// Output:
	// one.mp4 6
	// two.mp4 6
}

// A signed URL has another query in each process. With an Identity, the upload resumes
// nevertheless, without reading the content.
func ExampleOptions_identity() {
	movies := movieServer(strings.Repeat("frame ", 1000))
	defer movies.Close()
	tusServer := tustest.NewHandler(nil)
	uploads := httptest.NewServer(tusServer)
	defer uploads.Close()
	client, err := tus.NewClient(uploads.URL+"/files/", &tus.Options{
		Store: new(storage.Memory), Fingerprinter: fingerprint.Stat{},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()

	for _, stopAt := range []int64{3000, 0} { // the first upload is interrupted
		source, err := httpsource.New(fmt.Sprintf("%s/movie.mp4?expires=%d", movies.URL, time.Now().UnixNano()), &httpsource.Options{
			Header:   http.Header{"Authorization": {"Bearer token"}},
			Identity: "movie 4711",
		})
		if err != nil {
			log.Fatal(err)
		}
		defer source.CloseIdleConnections()
		result, err := client.Upload(context.Background(), source, &tus.UploadOptions{StopAt: stopAt})
		fmt.Println(result.Offset, result.Stats.ResumedFrom, err)
	}
	// Output:
	// 3000 0 upload paused
	// 6000 3000 <nil>
}

// Stat reports whether parallel parts are possible, before the upload.
func ExampleSource_Stat() {
	exports := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "generated for a request")
	}))
	defer exports.Close()
	source, err := httpsource.New(exports.URL+"/export.csv", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer source.CloseIdleConnections()
	info, err := source.Stat(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Size, "bytes, one stream:", info.Sequential)
	// Output: 23 bytes, one stream: true
}

// If the server refuses the request, the error is a tus.Error with the status.
func ExampleSource_Stat_refused() {
	movies := movieServer("frames")
	defer movies.Close()
	source, err := httpsource.New(movies.URL+"/movie.mp4?signature=expired", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer source.CloseIdleConnections()
	_, err = source.Stat(context.Background())
	var refused *tus.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Method, refused.StatusCode, tus.IsRetryable(err))
	}
	// Output: GET 403 false
}

// A signed URL that expires is renewed when the server refuses it. Another process, whose
// URL has another signature, resumes the upload.
func ExampleOptions_url() {
	expired := true
	movies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if expired {
			expired = false
			http.Error(w, "the signature has expired", http.StatusForbidden)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(w, r, "movie.mp4", time.Time{}, strings.NewReader("frames"))
	}))
	defer movies.Close()

	signatures := 0
	source, err := httpsource.New("", &httpsource.Options{
		URL: func(context.Context) (string, error) {
			signatures++ // usually by a request to the owner of the data
			return fmt.Sprintf("%s/movie.mp4?signature=%d", movies.URL, signatures), nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer source.CloseIdleConnections()
	info, err := source.Stat(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Name, info.Size, "bytes with signature", signatures)
	fmt.Println("identity with signature:", strings.Contains(info.Identity, "?"))
	// Output:
	// movie.mp4 6 bytes with signature 2
	// identity with signature: false
}

package tus_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// exampleFile creates a file of zeros to upload.
func exampleFile(name string, size int) (path string, remove func()) {
	dir, err := os.MkdirTemp("", "tus-example")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		log.Fatal(err)
	}
	return path, func() { os.RemoveAll(dir) }
}

func ExampleClient_UploadFile() {
	server := httptest.NewServer(tustest.NewHandler(nil)) // stands for a real server
	defer server.Close()
	path, remove := exampleFile("movie.mp4", 20_000_000)
	defer remove()

	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.UploadFile(context.Background(), path, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.TrimPrefix(result.URL, server.URL), "has", result.Offset, "bytes")
	// Output: /files/00000001 has 20000000 bytes
}

func ExampleClient_Upload() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()

	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.Upload(context.Background(), tus.Bytes([]byte("hello, world")), &tus.UploadOptions{
		Metadata: tus.Metadata{"filename": "hello.txt", "filetype": "text/plain"},
	})
	if err != nil {
		log.Fatal(err)
	}
	stored, _ := handler.Upload(result.URL)
	fmt.Printf("%s\n%v\n", stored.Data, result.Stats.Requests)
	// Output:
	// hello, world
	// map[OPTIONS:1 PATCH:1 POST:1]
}

// Upload takes any source.
func ExampleSource() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	path, remove := exampleFile("data.bin", 3000)
	defer remove()
	opened, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer opened.Close()
	archive := fstest.MapFS{"docs/readme.txt": {Data: []byte("read me")}} // or embed.FS, zip.Reader, os.Root.FS()

	for _, source := range []tus.Source{
		tus.File(path),
		tus.OpenedFile(opened),
		tus.FSFile(archive, "docs/readme.txt"),
		tus.ReaderAt(strings.NewReader("any io.ReaderAt"), 15),
		tus.ReadSeeker(strings.NewReader("any io.ReadSeeker"), 17),
		tus.Bytes([]byte("memory")),
	} {
		result, err := client.Upload(context.Background(), source, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Size)
	}
	// Output:
	// 3000
	// 3000
	// 7
	// 15
	// 17
	// 6
}

func ExampleOpenedFile() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}

	report, err := os.CreateTemp("", "report")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(report.Name())
	defer report.Close()
	fmt.Fprint(report, "all is well")

	// The whole file is uploaded, whatever its current offset is.
	result, err := client.Upload(context.Background(), tus.OpenedFile(report), nil)
	if err != nil {
		log.Fatal(err)
	}
	stored, _ := handler.Upload(result.URL)
	fmt.Printf("%s\n", stored.Data)
	// Output: all is well
}

func ExampleReaderAt() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}

	disk := bytes.NewReader([]byte("first part|second part"))
	result, err := client.Upload(context.Background(), tus.ReaderAt(disk, 10), nil) // only the first 10 bytes
	if err != nil {
		log.Fatal(err)
	}
	stored, _ := handler.Upload(result.URL)
	fmt.Printf("%s\n", stored.Data)
	// Output: first part
}

// Resume continues an upload at the offset of the server. The URL may also come from a
// backend or another program.
func ExampleClient_Resume() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	path, remove := exampleFile("movie.mp4", 20_000_000)
	defer remove()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	first, err := client.UploadFile(context.Background(), path, &tus.UploadOptions{StopAt: 15_000_000})
	fmt.Println(err)

	result, err := client.Resume(context.Background(), first.URL, tus.File(path), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("resumed from", result.Stats.ResumedFrom, "and sent", result.Stats.Sent)
	// Output:
	// upload paused
	// resumed from 15000000 and sent 5000000
}

// Step drives an upload one transition at a time. The program may wait or do other work
// between two steps.
func ExampleUploader_Step() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	uploader, err := client.NewUploader(tus.Bytes(make([]byte, 25_000)), &tus.UploadOptions{ChunkSize: 10_000})
	if err != nil {
		log.Fatal(err)
	}
	for !uploader.State().Final() {
		if err := uploader.Step(context.Background()); err != nil && !tus.IsRetryable(err) {
			log.Fatal(err)
		}
		fmt.Println(uploader.State(), uploader.Offset())
	}
	// Output:
	// creating 0
	// ready 0
	// sending 0
	// ready 10000
	// sending 10000
	// ready 20000
	// sending 20000
	// ready 25000
	// finishing 25000
	// complete 25000
}

// Pause, here called by a hook, makes Run return early. The next Run resumes the upload.
func ExampleUploader_Pause() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	var uploader *tus.Uploader
	var once bool
	uploader, err = client.NewUploader(tus.Bytes(make([]byte, 25_000)), &tus.UploadOptions{
		ChunkSize: 10_000,
		Hooks: tus.Hooks{OnProgress: func(_ *tus.Uploader, p tus.Progress) {
			if p.Acknowledged >= 20_000 && !once {
				once = true
				uploader.Pause()
			}
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = uploader.Run(context.Background())
	fmt.Println(errors.Is(err, tus.ErrPaused), uploader.State(), uploader.Offset())

	_, err = uploader.Run(context.Background())
	fmt.Println(err, uploader.State(), uploader.Offset())
	// Output:
	// true paused 20000
	// <nil> complete 25000
}

// StopAt pauses an upload at an offset.
func ExampleUploadOptions_stopAt() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	uploader, err := client.NewUploader(tus.Bytes(make([]byte, 25_000)), &tus.UploadOptions{StopAt: 12_345})
	if err != nil {
		log.Fatal(err)
	}
	for errors.Is(uploader.Step(context.Background()), tus.ErrPaused) || !uploader.State().Final() {
		if uploader.State() == tus.StatePaused {
			fmt.Println("paused at", uploader.Offset())
		}
	}
	fmt.Println(uploader.State(), "at", uploader.Offset())
	// Output:
	// paused at 12345
	// complete at 25000
}

func ExampleUploader_Abort() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	uploader, err := client.NewUploader(tus.Bytes(make([]byte, 25_000)), &tus.UploadOptions{StopAt: 10_000})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := uploader.Run(context.Background()); !errors.Is(err, tus.ErrPaused) {
		log.Fatal(err)
	}
	if err := uploader.Abort(context.Background()); err != nil {
		log.Fatal(err)
	}
	_, err = client.Info(context.Background(), uploader.URL())
	fmt.Println(uploader.State(), errors.Is(err, tus.ErrUploadGone))
	// Output: aborted true
}

func ExampleHooks() {
	handler := tustest.NewHandler(nil)
	handler.Inject(tustest.Fault{Method: "PATCH", From: 10_000, Action: tustest.Respond(503, "try again")})
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{Hooks: tus.Hooks{
		OnCreated: func(_ *tus.Uploader, c *tus.Created) {
			fmt.Println("created", strings.TrimPrefix(c.URL, server.URL))
		},
		OnProgress: func(_ *tus.Uploader, p tus.Progress) {
			if p.InFlight == 0 {
				fmt.Println(p.Acknowledged, "of", p.Size)
			}
		},
		OnRetry: func(_ *tus.Uploader, r tus.Retry) {
			var failed *tus.Error
			if errors.As(r.Err, &failed) {
				fmt.Println("retry", r.Attempt, "in", r.Delay, "after", failed.Method, failed.StatusCode)
			}
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 20_000)), &tus.UploadOptions{ChunkSize: 10_000}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// created /files/00000001
	// 0 of 20000
	// 10000 of 20000
	// retry 1 in 0s after PATCH 503
	// 10000 of 20000
	// 20000 of 20000
}

// BeforeRequest sets the headers of each attempt of each request, here a token that
// expires.
func ExampleHooks_beforeRequest() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()

	tokens := 0
	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{Hooks: tus.Hooks{
		BeforeRequest: func(r *http.Request) error {
			tokens++
			r.Header.Set("Authorization", fmt.Sprintf("Bearer token-%d", tokens))
			return nil
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 20_000)), &tus.UploadOptions{ChunkSize: 10_000}); err != nil {
		log.Fatal(err)
	}
	for _, r := range handler.Requests() {
		fmt.Println(r.Method, r.Header.Get("Authorization"))
	}
	// Output:
	// OPTIONS Bearer token-1
	// POST Bearer token-2
	// PATCH Bearer token-3
	// PATCH Bearer token-4
}

func ExampleError() {
	handler := tustest.NewHandler(nil)
	handler.Inject(tustest.Fault{Method: "PATCH", From: 10_000, Action: tustest.Respond(403, "quota exceeded")})
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Upload(context.Background(), tus.Bytes(make([]byte, 30_000)), &tus.UploadOptions{ChunkSize: 10_000})

	var failed *tus.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Method, "at offset", failed.Offset, "failed with", failed.StatusCode, failed.Message)
	}
	fmt.Println("not authorized:", errors.Is(err, tus.ErrUnauthorized))
	// Output:
	// PATCH at offset 10000 failed with 403 quota exceeded
	// not authorized: true
}

func ExampleIsRetryable() {
	for _, status := range []int{400, 403, 404, 423, 500, 503} {
		fmt.Println(status, tus.IsRetryable(&tus.Error{StatusCode: status}))
	}
	// Output:
	// 400 false
	// 403 false
	// 404 false
	// 423 true
	// 500 true
	// 503 true
}

func ExampleClient_Capabilities() {
	server := httptest.NewServer(tustest.NewHandler(&tustest.Options{
		Extensions: []string{"creation", "termination"},
		MaxSize:    1 << 30,
	}))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	caps, err := client.Capabilities(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(caps.Versions, caps.Extensions, caps.MaxSize)
	fmt.Println(caps.Supports("termination"), caps.Supports("concatenation"))
	// Output:
	// [1.0.0] [creation termination] 1073741824
	// true false
}

func ExampleClient_Info() {
	server := httptest.NewServer(tustest.NewHandler(nil))
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	upload, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 25_000)), &tus.UploadOptions{
		Metadata: tus.Metadata{"filename": "zeros"},
		StopAt:   10_000,
	})
	if !errors.Is(err, tus.ErrPaused) {
		log.Fatal(err)
	}
	info, err := client.Info(context.Background(), upload.URL)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Offset, "of", info.Length, "of", info.Metadata["filename"], "complete:", info.Complete())
	// Output: 10000 of 25000 of zeros complete: false
}

func ExampleClient_Terminate() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	upload, err := client.Upload(context.Background(), tus.Bytes([]byte("mistake")), nil)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 { // an upload that is already gone is no error
		fmt.Println(client.Terminate(context.Background(), upload.URL))
	}
	// Output:
	// <nil>
	// <nil>
}

func ExampleNewClient() {
	client, err := tus.NewClient("https://me:secret@example.org/files/", &tus.Options{
		Header:         http.Header{"X-Tenant": {"seven"}},
		TrustedOrigins: []string{"https://uploads.example.org"},
		StallTimeout:   time.Minute,
	})
	fmt.Println(client.Endpoint(), err)

	_, err = tus.NewClient("ftp://example.org/files/", nil)
	fmt.Println(errors.Is(err, tus.ErrInvalidInput))
	// Output:
	// https://example.org/files/ <nil>
	// true
}

func ExampleNewClientFromEnv() {
	os.Setenv("TUS_ENDPOINT", "https://example.org/files/")
	defer os.Unsetenv("TUS_ENDPOINT")
	os.Setenv("TUS_TOKEN", "eyJhbGciOi")
	defer os.Unsetenv("TUS_TOKEN")
	os.Setenv("TUS_HEADERS", "X-Tenant: seven\nX-Region: north")
	defer os.Unsetenv("TUS_HEADERS")

	client, err := tus.NewClientFromEnv(nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.Endpoint())
	// Output: https://example.org/files/
}

func ExampleMetadata() {
	m := tus.Metadata{"filename": "Ärger.txt", "filetype": "text/plain", "private": ""}
	fmt.Println(m.Validate())

	err := tus.Metadata{"two words": "x"}.Validate()
	fmt.Println(errors.Is(err, tus.ErrInvalidInput))
	// Output:
	// <nil>
	// true
}

func ExampleRetryPolicy() {
	handler := tustest.NewHandler(nil)
	handler.Inject(tustest.Fault{Method: "PATCH", Times: 3, Action: tustest.Respond(403, "token not known yet")})
	server := httptest.NewServer(handler)
	defer server.Close()

	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{Retry: tus.RetryPolicy{
		MaxRetries: 20,
		Delay:      func(int) time.Duration { return time.Millisecond },
		ShouldRetry: func(err error, attempt int) bool {
			// This server may need a moment until it accepts a new token.
			return tus.IsRetryable(err) || errors.Is(err, tus.ErrUnauthorized) && attempt <= 5
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 20_000)), &tus.UploadOptions{ChunkSize: 10_000})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("done after", result.Stats.Retries, "retries")
	// Output: done after 3 retries
}

// NewTransport returns a transport to customize, here for a server whose certificate is
// from a private authority.
func ExampleNewTransport() {
	server := httptest.NewTLSServer(tustest.NewHandler(nil))
	defer server.Close()
	authority := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs // or x509.NewCertPool() and AppendCertsFromPEM

	transport := tus.NewTransport()
	transport.TLSClientConfig = &tls.Config{RootCAs: authority}
	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	result, err := client.Upload(context.Background(), tus.Bytes([]byte("secret")), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Offset, "bytes")
	// Output: 6 bytes
}

// Stats counts the bytes, requests and retries of an upload.
func ExampleStats() {
	handler := tustest.NewHandler(nil)
	handler.Inject(tustest.Fault{Method: "PATCH", From: 10_000, Action: tustest.LoseResponse()})
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 20_000)), &tus.UploadOptions{ChunkSize: 10_000})
	if err != nil {
		log.Fatal(err)
	}
	s := result.Stats
	fmt.Println(s.Uploaded, "bytes in", s.TotalRequests(), "requests;", s.Resent, "resent,", s.Retries, "retry")
	// Output: 20000 bytes in 5 requests; 0 resent, 1 retry
}

package tus_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

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
	fmt.Println(slices.Contains(caps.Extensions, "termination"), slices.Contains(caps.Extensions, "concatenation"))
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

package integration_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus"
)

// link is a connection to a tusd.
type link struct {
	name  string
	proto string // that the server must report
	start func(testing.TB) (*tusdtest.Server, *http.Client)
}

func links() []link {
	return []link{
		{"http", "HTTP/1.1", func(t testing.TB) (*tusdtest.Server, *http.Client) {
			return tusdtest.Start(t, nil), nil
		}},
		{"https", "HTTP/1.1", func(t testing.TB) (*tusdtest.Server, *http.Client) {
			s := tusdtest.StartTLS(t, nil)
			transport := tus.NewTransport()
			transport.TLSClientConfig = &tls.Config{RootCAs: s.RootCAs()}
			return s, &http.Client{Transport: transport}
		}},
		{"http2 with a custom client", "HTTP/2.0", func(t testing.TB) (*tusdtest.Server, *http.Client) {
			s := tusdtest.StartTLS(t, nil)
			transport := &http.Transport{
				TLSClientConfig:   &tls.Config{RootCAs: s.RootCAs()},
				ForceAttemptHTTP2: true,
			}
			return s, &http.Client{Transport: transport}
		}},
	}
}

func TestUpload_StoresBytesInFewestRequests(t *testing.T) {
	// A client that has not measured its link sends up to 1 MiB with the creation.
	const inline = 1 * mib
	for _, link := range links() {
		for _, chunk := range []int64{0, 1 * mib, 5_000_000} {
			edge := chunk
			if chunk == 0 {
				edge = inline
			}
			for _, size := range []int64{0, 1, inline, edge - 1, edge, edge + 1, 100 * mib} {
				t.Run(fmt.Sprintf("%s/chunk %d/size %d", link.name, chunk, size), func(t *testing.T) {
					server, httpClient := link.start(t)
					client := newClient(t, server.Endpoint(), tus.Options{HTTPClient: httpClient})
					f := newFile(t, size)
					res, err := client.UploadFile(testContext(t), f.path, &tus.UploadOptions{ChunkSize: chunk})
					if err != nil {
						t.Fatal(err)
					}
					wantStored(t, server, res.URL, f)
					wantNoLeftovers(t, server)
					wantNothingResent(t, &server.Journal, f, res.Stats)
					wantMethods(t, server.Methods(), fewestRequests(size, chunk, inline)...)
					if res.Stats.Resent != 0 || res.Stats.Retries != 0 || res.Offset != size || res.Size != size {
						t.Errorf("result is %+v", res)
					}
					for _, r := range server.Requests() {
						if r.Proto != link.proto {
							t.Errorf("%s came over %s", r.Method, r.Proto)
						}
					}
				})
			}
		}
	}
}

// fewestRequests returns the methods that the first upload of a client needs.
func fewestRequests(size, chunk, inline int64) []string {
	methods := []string{"OPTIONS", "POST"}
	if size <= inline {
		return methods
	}
	if chunk == 0 { // a first request of 16 MiB, and one with the rest
		chunk = max(16*mib, size-16*mib)
	}
	for at := int64(0); at < size; at += chunk {
		methods = append(methods, "PATCH")
	}
	return methods
}

func TestClient_RequestsCapabilitiesOnce(t *testing.T) {
	server := tusdtest.Start(t, nil)
	client := newClient(t, server.Endpoint(), tus.Options{})
	for range 3 {
		f := newFile(t, 1000)
		res, err := client.UploadFile(testContext(t), f.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, server, res.URL, f)
	}
	wantMethods(t, server.Methods(), "OPTIONS", "POST", "POST", "POST")
}

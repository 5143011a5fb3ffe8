package hosted_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-175555ba/tus-go/examples/hosted"
	"github.com/seed-175555ba/tus-go/examples/hosted/strict"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/presets"
)

// exampleTB stands in for a testing.TB, and ends with the example.
type exampleTB struct{ cleanups []func() }

func (*exampleTB) Helper()            {}
func (m *exampleTB) Cleanup(f func()) { m.cleanups = append(m.cleanups, f) }
func (m *exampleTB) end() {
	for _, f := range m.cleanups {
		f()
	}
}

// exampleFile creates a file of size bytes.
func exampleFile(m *exampleTB, size int) string {
	dir, err := os.MkdirTemp("", "hosted")
	if err != nil {
		panic(err)
	}
	m.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "movie.mp4")
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		panic(err)
	}
	return path
}

func ExampleService() {
	m := &exampleTB{}
	defer m.end()
	srv := strict.NewServer(m, strict.CloudflareStream())

	stream := presets.CloudflareStream()
	s := hosted.Service{
		Preset:   stream,
		Endpoint: srv.Endpoint(), // https://api.cloudflare.com/client/v4/accounts/ACCOUNT/stream
		Client:   tus.Options{Header: http.Header{"Authorization": {"Bearer token"}}},
		Upload:   tus.UploadOptions{Metadata: tus.Metadata{"name": "A title"}, ChunkSize: stream.ChunkMin},
	}
	result, err := s.UploadFile(context.Background(), exampleFile(m, 13<<20))
	fmt.Println(stream.ID(result), result.Stats.Requests["PATCH"], err)
	// Output: the-id 3 <nil>
}

func ExampleBunnyStream() {
	m := &exampleTB{}
	defer m.end()
	srv := strict.NewServer(m, strict.BunnyStream())

	sign := func(context.Context) (hosted.BunnySignature, error) { // in a backend
		return hosted.SignBunny("4711", "key of the library", "a-video", time.Now().Add(time.Hour)), nil
	}
	s := hosted.BunnyStream("4711", "a-video", "A title", "video/mp4", sign)
	fmt.Println(s.Endpoint)
	s.Endpoint = srv.Endpoint() // for the example
	result, err := s.UploadFile(context.Background(), exampleFile(m, 5000))
	fmt.Println(result.Offset, err)
	// Output:
	// https://video.bunnycdn.com/tusupload
	// 5000 <nil>
}

func ExampleHandedOut() {
	m := &exampleTB{}
	defer m.end()
	srv := strict.NewServer(m, strict.Vimeo())

	s := hosted.HandedOut(srv.CreateUpload(5000), presets.Vimeo()) // URL by the backend
	result, err := s.UploadFile(context.Background(), exampleFile(m, 5000))
	fmt.Println(result.Stats.Requests, err)
	// Output: map[HEAD:1 PATCH:1] <nil>
}

func ExampleMinted() {
	m := &exampleTB{}
	defer m.end()
	srv := strict.NewServer(m, strict.Rules{Minted: true})

	s := hosted.Minted(srv.MintEndpoint(), "videos")
	result, err := s.UploadFile(context.Background(), exampleFile(m, 5000))
	fmt.Println(result.Offset, err)
	// Output: 5000 <nil>
}

func ExampleBehindProxy() {
	m := &exampleTB{}
	defer m.end()
	srv := strict.NewServer(m, strict.Rules{BodyLimit: 2 << 20})

	s := hosted.BehindProxy(srv.Endpoint())
	s.Upload.ChunkSize = 8 << 20
	result, err := s.UploadFile(context.Background(), exampleFile(m, 9<<20))
	fmt.Println(result.Offset, len(srv.Broken()), "refused,", err)
	// Output: 9437184 2 refused, <nil>
}

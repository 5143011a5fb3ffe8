package presets_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/presets"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Upload a video to Cloudflare Stream, and get its ID.
func Example() {
	h := tustest.NewHandler(nil)
	h.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("Stream-Media-Id", "dd5d531a")})
	srv := httptest.NewServer(h)
	defer srv.Close()
	endpoint := srv.URL + "/files/" // https://api.cloudflare.com/client/v4/accounts/ACCOUNT/stream

	stream := presets.CloudflareStream()
	options := tus.Options{Header: http.Header{"Authorization": {"Bearer token"}}}
	upload := tus.UploadOptions{Metadata: tus.Metadata{"name": "A title"}}
	if err := stream.Apply(&options, &upload); err != nil {
		log.Fatal(err)
	}
	client, err := tus.NewClient(endpoint, &options)
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	result, err := client.Upload(context.Background(), tus.Bytes(make([]byte, 60<<20)), &upload)
	fmt.Println(stream.ID(result), result.Stats.Requests["PATCH"], err)
	// Output: dd5d531a 2 <nil>
}

// What a service would refuse is reported before a request.
func ExamplePreset_Apply() {
	options := tus.Options{Header: http.Header{"Authorization": {"Bearer token"}}}
	for _, upload := range []tus.UploadOptions{
		{Metadata: tus.Metadata{"bucketName": "films", "objectName": "movie.mp4"}},
		{Metadata: tus.Metadata{"bucketName": "films", "objectName": "movie.mp4"}, ChunkSize: 8 << 20},
		{Metadata: tus.Metadata{"bucketName": "films"}},
	} {
		err := presets.Supabase().Apply(&options, &upload)
		fmt.Println(upload.ChunkSize, err)
	}
	// Output:
	// 6291456 <nil>
	// 8388608 invalid input: Supabase Storage: UploadOptions.ChunkSize makes a chunk of 8388608 bytes, but chunks must have exactly 6291456 bytes
	// 0 invalid input: Supabase Storage: UploadOptions.Metadata has no objectName
}

// A preset of your own, for a service that this package does not know.
func ExamplePreset() {
	archive := presets.Preset{
		Name:          "the archive",
		Documentation: "https://archive.example.org/uploads",
		ChunkSize:     16 << 20,
		ChunkMax:      32 << 20,
		Metadata:      []string{"collection"},
		SizeRequired:  true,
	}
	upload := tus.UploadOptions{Metadata: tus.Metadata{"collection": "maps"}, DeferLength: true}
	fmt.Println(archive.Apply(new(tus.Options), &upload))
	// Output: invalid input: the archive: UploadOptions.DeferLength is set, but the size is required at the creation
}

// The ID is in the header of one response, which depends on the service.
func ExamplePreset_ID() {
	result := &tus.Result{
		Creation:  &tus.Response{Header: http.Header{"Stream-Media-Id": {"dd5d531a"}}},
		LastPatch: &tus.Response{Header: http.Header{"Oc-Fileid": {"8d72036d$73bb"}}},
	}
	fmt.Println(presets.CloudflareStream().ID(result), presets.OCIS().ID(result))
	// Output: dd5d531a 8d72036d$73bb
}

// Print the rules of all services.
func ExampleAll() {
	for _, p := range presets.All() {
		fmt.Println(p.Name, p.ChunkSize, p.Metadata)
	}
	// Output:
	// Bunny Stream 0 [filetype title]
	// Cloudflare Stream (direct creator upload) 52428800 []
	// Cloudflare Stream 52428800 []
	// ownCloud Infinite Scale 10000000 [filename]
	// Supabase Storage 6291456 [bucketName objectName]
	// Transloadit 0 [assembly_url fieldname filename]
	// Vimeo 0 []
}

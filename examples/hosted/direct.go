package hosted

import (
	"net/http"
	"strconv"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/presets"
)

// DirectUpload is the handler of a backend that hands out upload URLs for
// [presets.CloudflareDirect]. The program that has the video sends its size in Upload-Length,
// and uploads to the Location of the response with [HandedOut], without the token of the
// account.
//
// stream is a client whose endpoint is that of [presets.CloudflareStream] with
// "?direct_user=true".
func DirectUpload(stream *tus.Client, maxSeconds int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.ParseInt(r.Header.Get("Upload-Length"), 10, 64)
		if err != nil || size < 0 {
			http.Error(w, "Upload-Length must be the size of the video", http.StatusBadRequest)
			return
		}
		created, err := stream.Create(r.Context(), tus.CreateOptions{Size: size, Metadata: tus.Metadata{
			"maxDurationSeconds": strconv.Itoa(maxSeconds),
		}})
		if err != nil {
			http.Error(w, "no upload was created", http.StatusBadGateway)
			return
		}
		w.Header().Set("Location", created.URL)
		id := presets.CloudflareStream().ResultHeader
		w.Header().Set(id, created.Response.Header.Get(id))
		w.WriteHeader(http.StatusCreated)
	}
}

package hosted

import (
	"net/http"
	"strconv"

	"github.com/seed-175555ba/tus-go/tus"
)

// DirectUpload is the handler of a backend that hands out upload URLs, as the direct
// creator uploads of Cloudflare Stream
// (https://developers.cloudflare.com/stream/uploading-videos/direct-creator-uploads/). The
// program that has the video sends its size in Upload-Length, and uploads to the Location
// of the response with [HandedOut], without the token of the account.
//
// stream is a client whose endpoint is that of [CloudflareStream] with "?direct_user=true".
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
		w.Header().Set("Stream-Media-Id", created.Response.Header.Get("Stream-Media-Id"))
		w.WriteHeader(http.StatusCreated)
	}
}

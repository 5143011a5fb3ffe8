package hosted

import (
	"mime"
	"net/http"
	"path"

	"github.com/seed-175555ba/tus-go/tus"
)

// SupabaseChunk is the size of each chunk except the last, in bytes.
const SupabaseChunk = 6 << 20

// Supabase uploads an object to a bucket of a project of Supabase Storage
// (https://supabase.com/docs/guides/storage/uploads/resumable-uploads). token is
// a user's token or a service key. To replace an existing object, add the header
// "X-Upsert: true". An upload is resumable for a day.
func Supabase(project, token, bucket, object string) Service {
	metadata := tus.Metadata{"bucketName": bucket, "objectName": object}
	if kind := mime.TypeByExtension(path.Ext(object)); kind != "" {
		metadata["contentType"] = kind
	}
	return Service{
		Endpoint: "https://" + project + ".storage.supabase.co/storage/v1/upload/resumable",
		Client:   tus.Options{Header: http.Header{"Authorization": {"Bearer " + token}}},
		Upload:   tus.UploadOptions{ChunkSize: SupabaseChunk, Metadata: metadata},
	}
}

// Bounds of Cloudflare Stream on the size of a chunk, in bytes. They do not apply to
// the last chunk.
const (
	CloudflareLeast    = 5_242_880
	CloudflareMost     = 209_715_200
	CloudflareMultiple = 256 << 10
)

// CloudflareStream uploads a video to Cloudflare Stream
// (https://developers.cloudflare.com/stream/uploading-videos/resumable-uploads).
// The ID of the video is in the field Stream-Media-Id of the header of Result.Creation. The chunk
// size is 50 MiB, for a good link; use CloudflareLeast for a bad one.
func CloudflareStream(account, token, name string) Service {
	return Service{
		Endpoint: "https://api.cloudflare.com/client/v4/accounts/" + account + "/stream",
		Client: tus.Options{
			Header:      http.Header{"Authorization": {"Bearer " + token}},
			KeepHeaders: []string{"Stream-Media-Id"},
		},
		Upload: tus.UploadOptions{ChunkSize: 50 << 20, Metadata: tus.Metadata{"name": name}},
	}
}

// BehindProxy uploads to a tus server behind a proxy that refuses requests above some
// limit with 413. The first chunk is below the limit of 100 MB of many proxies. After a
// 413 the client halves the chunk size, down to 1 MiB, and keeps the size that is
// accepted.
func BehindProxy(endpoint string) Service {
	return Service{
		Endpoint: endpoint,
		Upload:   tus.UploadOptions{ChunkSize: 96 << 20, MinChunkSize: 1 << 20},
	}
}

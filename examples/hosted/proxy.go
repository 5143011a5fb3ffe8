package hosted

import "github.com/seed-175555ba/tus-go/tus"

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

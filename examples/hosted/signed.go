package hosted

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/presets"
)

// BunnySignature authorizes one upload to Bunny Stream until it expires.
type BunnySignature struct {
	Signature string // in hexadecimal
	Expires   time.Time
}

// SignBunny returns a signature. Call it in a backend only: it needs the key of the
// library.
func SignBunny(library, key, video string, expires time.Time) BunnySignature {
	sum := sha256.Sum256([]byte(library + key + strconv.FormatInt(expires.Unix(), 10) + video))
	return BunnySignature{Signature: hex.EncodeToString(sum[:]), Expires: expires}
}

// BunnyStream uploads a video that was created in a library of [presets.BunnyStream]. sign is
// called before each request, so that an upload may take longer than a signature is valid; if
// it calls a backend, it should cache the signature. It is called again after a 401. If it
// returns an error, the upload ends and stays resumable.
func BunnyStream(library, video, title, filetype string, sign func(context.Context) (BunnySignature, error)) Service {
	return Service{
		Preset:   presets.BunnyStream(),
		Endpoint: "https://video.bunnycdn.com/tusupload",
		Client: tus.Options{Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
			s, err := sign(r.Context())
			if err != nil {
				return err
			}
			r.Header.Set("AuthorizationSignature", s.Signature)
			r.Header.Set("AuthorizationExpire", strconv.FormatInt(s.Expires.Unix(), 10))
			r.Header.Set("LibraryId", library)
			r.Header.Set("VideoId", video)
			return nil
		}}},
		Upload: tus.UploadOptions{Metadata: tus.Metadata{"title": title, "filetype": filetype}},
	}
}

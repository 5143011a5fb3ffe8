package hosted

import "github.com/seed-175555ba/tus-go/tus"

// HandedOut sends a file to an upload URL that a backend got from a service, such as
// the upload.upload_link of Vimeo (https://developer.vimeo.com/api/upload/videos)
// or the Location of a direct creator upload to Cloudflare Stream. The URL is all
// the permission that it needs, so there are no headers. Nothing is created: if the
// upload is gone, the error matches [tus.ErrUploadGone], and the backend has to be
// asked for another one. Who keeps the URL can go on with it later.
func HandedOut(uploadURL string) Service {
	return Service{Endpoint: uploadURL, UploadURL: uploadURL}
}

// Minted uploads to an endpoint that a backend makes anew for each upload, or for
// each session. service is a name that stays the same: an upload that was
// interrupted is found by it, whatever the endpoint is by then.
func Minted(endpoint, service string) Service {
	return Service{Endpoint: endpoint, Client: tus.Options{ResumeScope: service}}
}

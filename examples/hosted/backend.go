package hosted

import "github.com/seed-175555ba/tus-go/tus"

// HandedOut uploads to an upload URL that a backend got from a service, such as
// the upload.upload_link of Vimeo (https://developer.vimeo.com/api/upload/videos)
// or the Location of a direct creator upload to Cloudflare Stream. The URL needs no
// credentials. The client creates no upload: if the upload is gone, the error matches
// [tus.ErrUploadGone], and the backend must create another one. Keep the URL to resume
// the upload later.
func HandedOut(uploadURL string) Service {
	return Service{Endpoint: uploadURL, UploadURL: uploadURL}
}

// Minted uploads to an endpoint that a backend creates for each upload or session.
// service is a constant name that replaces the endpoint in the resume key, so that an
// interrupted upload is found with another endpoint.
func Minted(endpoint, service string) Service {
	return Service{Endpoint: endpoint, Client: tus.Options{ResumeScope: service}}
}

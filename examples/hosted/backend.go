package hosted

import (
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/presets"
)

// HandedOut uploads to an upload URL that a backend got from a service, such as
// [presets.Vimeo] or [presets.CloudflareDirect]. The URL needs no credentials. The client
// creates no upload: if the upload is gone, the error matches [tus.ErrUploadGone], and the
// backend must create another one. Keep the URL to resume the upload later.
func HandedOut(uploadURL string, service presets.Preset) Service {
	return Service{Preset: service, Endpoint: uploadURL, UploadURL: uploadURL}
}

// Minted uploads to an endpoint that a backend creates for each upload or session.
// service is a constant name that replaces the endpoint in the resume key, so that an
// interrupted upload is found with another endpoint.
func Minted(endpoint, service string) Service {
	return Service{Endpoint: endpoint, Client: tus.Options{ResumeScope: service}}
}

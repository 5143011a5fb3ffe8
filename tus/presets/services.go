package presets

const (
	kib = 1 << 10
	mib = 1 << 20
)

// All returns the presets of this package, ordered by name.
func All() []Preset {
	return []Preset{BunnyStream(), CloudflareDirect(), CloudflareStream(), OCIS(), Supabase(), Transloadit(), Vimeo()}
}

// BunnyStream is for videos of Bunny Stream. The endpoint is
// https://video.bunnycdn.com/tusupload. A backend creates the video, whose GUID is VideoId, and
// signs the upload. To renew a signature that expires, set the header fields in
// [tus.Hooks.BeforeRequest]. The metadata "collection" and "thumbnailTime" are optional.
func BunnyStream() Preset {
	return Preset{
		Name:          "Bunny Stream",
		Documentation: "https://docs.bunny.net/stream/tus-resumable-uploads",
		Metadata:      []string{"filetype", "title"},
		Header:        [][]string{{"AuthorizationSignature"}, {"AuthorizationExpire"}, {"LibraryId"}, {"VideoId"}},
	}
}

// CloudflareStream is for videos of Cloudflare Stream. The endpoint is
// https://api.cloudflare.com/client/v4/accounts/ACCOUNT/stream. The default chunk size is the
// one that the documentation recommends for reliable connections; the minimum is ChunkMin. The
// metadata "name" is the title; others, and the header field Upload-Creator, are optional.
func CloudflareStream() Preset {
	p := CloudflareDirect()
	p.Name = "Cloudflare Stream"
	p.Documentation = "https://developers.cloudflare.com/stream/uploading-videos/resumable-uploads/"
	p.Header = [][]string{{"Authorization", "X-Auth-Key"}}
	p.ResultHeader = "Stream-Media-Id"
	p.ExternalCreation = false
	return p
}

// CloudflareDirect is for the direct creator uploads of Cloudflare Stream: a backend creates
// the upload with [tus.Client.Create] and [CloudflareStream], at the same endpoint with
// "?direct_user=true", and [tus.Client.Resume] sends the bytes without the token of the account.
func CloudflareDirect() Preset {
	return Preset{
		Name:             "Cloudflare Stream (direct creator upload)",
		Documentation:    "https://developers.cloudflare.com/stream/uploading-videos/direct-creator-uploads/",
		ChunkSize:        50 * mib,
		ChunkMin:         5 * mib,
		ChunkMax:         200 * mib,
		ChunkMultiple:    256 * kib,
		SizeRequired:     true,
		ExternalCreation: true,
	}
}

// OCIS is for ownCloud Infinite Scale and OpenCloud. The endpoint is the WebDAV URL of the
// directory, such as https://HOST/remote.php/dav/spaces/SPACE, and "filename" the path below it.
// The metadata "mtime", the modification time in seconds, is optional. The default chunk size
// is the maximum that a server announces by default (files.tus_support.max_chunk_size of its
// capabilities).
func OCIS() Preset {
	return Preset{
		Name:          "ownCloud Infinite Scale",
		Documentation: "https://owncloud.dev/apis/http/tus_upload/",
		ChunkSize:     10_000_000,
		Metadata:      []string{"filename"},
		ResultHeader:  "Oc-Fileid",
		SizeRequired:  true,
	}
}

// Supabase is for objects of Supabase Storage. The endpoint is
// https://PROJECT.storage.supabase.co/storage/v1/upload/resumable, with "/sign" for uploads
// that X-Signature authorizes. The metadata "contentType", "cacheControl" and "metadata" are
// optional, and so is the header field X-Upsert: "true" replaces an existing object. An upload
// expires after 24 hours.
func Supabase() Preset {
	return Preset{
		Name:          "Supabase Storage",
		Documentation: "https://supabase.com/docs/guides/storage/uploads/resumable-uploads",
		ChunkSize:     6 * mib,
		ChunkMin:      6 * mib,
		ChunkMax:      6 * mib,
		Metadata:      []string{"bucketName", "objectName"},
		Header:        [][]string{{"Authorization", "X-Signature"}},
	}
}

// Transloadit is for the files of an Assembly of Transloadit. The endpoint is the tus_url of
// the response that created the Assembly, and "assembly_url" the URL of the Assembly, whose
// status has the result. With a [tus.UploadOptions.ResumeKey] that two Assemblies share, the
// second resumes an upload of the first.
func Transloadit() Preset {
	return Preset{
		Name:          "Transloadit",
		Documentation: "https://transloadit.com/docs/api/resumable-uploads/",
		Metadata:      []string{"assembly_url", "fieldname", "filename"},
	}
}

// Vimeo is for videos of Vimeo: its API creates the video with upload.approach "tus" and
// returns upload.upload_link, to which [tus.Client.Resume] sends the bytes without a token.
func Vimeo() Preset {
	return Preset{
		Name:             "Vimeo",
		Documentation:    "https://developer.vimeo.com/api/upload/videos",
		ExternalCreation: true,
	}
}

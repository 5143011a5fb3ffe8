// Package presets has the rules of hosted services as data: the sizes of chunks, the metadata
// and header fields that they require, and the response header field that has the ID of the
// upload. Each rule is from the documentation of the service, which [Preset.Documentation]
// names.
//
//	client := tus.Options{Header: http.Header{"Authorization": {"Bearer " + token}}}
//	upload := tus.UploadOptions{Metadata: tus.Metadata{"name": "A title"}}
//	stream := presets.CloudflareStream()
//	if err := stream.Apply(&client, &upload); err != nil { … }
//	…
//	id := stream.ID(result)
//
// [Preset.Apply] sets what the caller left out, and reports what the service would refuse,
// before any request. For a service without a function here, fill in a Preset.
package presets

// Package hosted shows uploads to hosted services, with package presets for their rules, and
// settings for tus servers behind backends and proxies. Each is tested against a server that
// enforces the documented rules (package strict), not against the service itself.
//
//	rule                                        setting                       function
//	------------------------------------------  ----------------------------  ---------------
//	chunk sizes, metadata, header fields        Service.Preset                package presets
//	signatures that expire                      Hooks.BeforeRequest           BunnyStream
//	a backend creates the upload URL            Client.Create                 DirectUpload
//	the same, in the program with the file      Client.Resume                 HandedOut
//	a backend creates an endpoint per upload    Options.ResumeScope           Minted
//	a proxy refuses large requests (413)        UploadOptions.MinChunkSize    BehindProxy
//
// The functions return a [Service], whose fields can be changed before it is used:
//
//	s := hosted.Minted(endpoint, "films")
//	s.Client.Store = store
//	result, err := s.UploadFile(ctx, "movie.mp4")
//
// An interruption does not break the rules about chunk sizes: the upload resumes at the
// offset of the service, with chunks of the same size.
//
// Run the examples of all functions with
//
//	go test -v -run Example ./hosted
package hosted

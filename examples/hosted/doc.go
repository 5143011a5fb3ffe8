// Package hosted has settings for tus servers with additional rules. Each is tested
// against a server that enforces the documented rule (package strict), not against the
// service itself.
//
//	rule                                          setting                       function
//	--------------------------------------------  ----------------------------  -----------------------------
//	all chunks except the last are equal          UploadOptions.ChunkSize       Supabase
//	chunk sizes are multiples within bounds       UploadOptions.ChunkSize       CloudflareStream
//	metadata is required                          UploadOptions.Metadata        Supabase, BunnyStream
//	signatures that expire                        Hooks.BeforeRequest           BunnyStream
//	the result is in a header of the creation     Result.Creation               CloudflareStream
//	a backend creates the upload URL              Client.Create                 DirectUpload
//	the same, in the program with the file        Client.Resume                 HandedOut
//	a backend creates an endpoint per upload      Options.ResumeScope           Minted
//	a proxy refuses large requests (413)          UploadOptions.MinChunkSize    BehindProxy
//
// The functions return a [Service], whose fields can be changed before it is used:
//
//	s := hosted.Supabase(project, token, "films", "2026/movie.mp4")
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

// Package hosted has the settings for tus servers that have rules of their own. Each
// is checked by a test against a server that enforces the rule (package strict), as
// far as it is documented; the services themselves were not asked.
//
//	rule                                          setting                       function
//	--------------------------------------------  ----------------------------  -----------------------------
//	all chunks but the last have one size         UploadOptions.ChunkSize       Supabase
//	chunks are multiples, of a least and a most   UploadOptions.ChunkSize       CloudflareStream
//	metadata is required                          UploadOptions.Metadata        Supabase, BunnyStream
//	signatures that expire                        Hooks.BeforeRequest           BunnyStream
//	the result is in a header of the creation     Result.CreationHeader         CloudflareStream
//	a backend makes the upload URL                Client.Resume                 HandedOut
//	a backend makes an endpoint for each upload   Options.ResumeScope           Minted
//	a proxy refuses large requests (413)          UploadOptions.MinChunkSize    BehindProxy
//
// The functions return a [Service], whose fields can be changed before it is used:
//
//	s := hosted.Supabase(project, token, "films", "2026/movie.mp4")
//	s.Client.Store = store
//	result, err := s.UploadFile(ctx, "movie.mp4")
//
// An interruption does not upset the rules about sizes: the upload goes on from
// where the service says that it is, with chunks of the same size.
package hosted

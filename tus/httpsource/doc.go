// Package httpsource uploads what a URL serves, from server to server, without
// a file in between.
//
//	source, err := httpsource.New("https://example.org/movie.mp4", nil)
//	…
//	result, err := client.Upload(ctx, source, &tus.UploadOptions{Parallel: 4})
//
// # What is asked of the server
//
// The first look is a GET for the first byte (Range: bytes=0-0), and not a HEAD:
// it tells whether ranges work rather than whether they are promised, it works
// where a URL is signed for GET only, and it shows the length that the reads
// will have. HEAD is answered by other code in many servers, and where that
// errs the upload would have a wrong length.
//
// A server that answers with the range and a strong validator is read from any
// offset, by any number of readers: parallel parts work, and so does resuming in
// another process. A strong validator is an ETag without "W/", or a
// Last-Modified that was at least a second old (RFC 9110, 8.8). Every request
// carries it in If-Range, every answer is checked for it and for the length, and
// the end of each request of the upload asks for it once more: data that changed
// is an error matching [tus.ErrSourceChanged], never a mixture.
//
// Any other server is read as one stream ([tus.SourceInfo].Sequential): it begins
// with the answer to the first look, and each chunk goes on where the one before
// it stopped, so that a download which is made on the fly, or works only once,
// is asked for once. (A server that answers with the range, but without a strong
// validator, is asked for everything then, and what that answer says of itself
// counts.) The size is known if there is a Content-Length; if not, the upload
// needs a tus server that lets the length be deferred.
//
// Should an upload have to go back, a stream is read again and thrown away up to
// there, provided that the server has a strong validator and it is unchanged.
// Otherwise the error matches [tus.ErrNotRecoverable], as nothing proves that the
// bytes would be the same. Checksums that precede their chunk make an upload go
// back for every chunk; tus.UploadOptions.Checksum "off" avoids it. A stream with a strong validator is
// also checked at the end of each request of the upload, by If-None-Match; where
// there is only a Last-Modified, by a request whose body is not read. One of
// unknown length is checked where it ends.
//
// Where the server tells neither an ETag nor a Last-Modified, and the client has a
// store, all data is read once more before the first request of the upload, for its
// fingerprint: nothing else tells one version from the next. Set
// [tus.Options.Fingerprinter] to avoid that.
//
// The data must come as it is: gzip and other encodings are neither asked for
// nor accepted.
//
// # When the connection breaks
//
// A reader whose connection breaks, stalls, or meets a server that is overloaded
// asks again from where it was, by [Options.Retry], and the upload does not
// notice. The count of failures begins anew whenever bytes arrive. A short body
// is a broken one: the end of the data is where the server said it would be, or
// where a body of unknown length ends properly. One whose end could not be told
// from a broken connection (HTTP/1 with neither length nor chunks) is refused.
//
// While a reader waits, the request that it feeds stands still. The stall timeout of
// the client does not count that time; [tus.Options.SourceTimeout], if set, should be
// longer than the outages of the source that an upload has to survive.
//
// # Secrets
//
// [Options.Header] and the user and password of the URL go to the origin of the
// URL, and never over a redirect to another, nor back by way of one. Each request begins at the URL
// itself, so that redirects to links that expire work for as long as it takes.
// Errors name URLs without user, password and query.
//
// # Resuming in another process
//
// The default fingerprint of a client with a store samples 64 places of the
// source, each by a request of its own; a server without ranges has to send all
// of it for that. fingerprint.Stat reads nothing and relies on the URL with its
// query, size, Last-Modified and ETag, which is usually the better choice; where the
// URL of the same data changes, as signed ones do, [Options.Identity] takes its place.
// Sources of unknown size cannot be found again. A stream without a strong validator
// can, but not gone on with: its upload begins anew, which [tus.Stats].Restarts
// counts.
package httpsource

// Package httpsource uploads the data at a URL, from server to server, without a local
// file.
//
//	source, err := httpsource.New("https://example.org/movie.mp4", nil)
//	…
//	result, err := client.Upload(ctx, source, &tus.UploadOptions{Parallel: 4})
//
// # Requests
//
// The first request is a GET of the first byte (Range: bytes=0-0), not a HEAD: it shows
// whether ranges work, it is permitted if a URL is signed for GET only, and it reports
// the length of the data that is read later. Many servers implement HEAD separately, and
// a wrong length there would spoil the upload.
//
// If the server responds with the range and a strong validator, the data is read from
// any offset, by any number of readers: parallel parts work, and so does resuming in
// another process. A strong validator is an ETag without "W/", or a Last-Modified that
// was at least a second old (RFC 9110, 8.8). Every request carries it in If-Range, every
// response is checked for it and for the length, and the source requests it again at
// the end of each request of the upload. If the data changed, the upload fails with an
// error matching [tus.ErrSourceChanged]; it never mixes two versions.
//
// Any other server is read as one stream ([tus.SourceInfo.Sequential]). It begins with
// the response to the first request, and each chunk continues where the previous one
// stopped, so that a download that is generated on the fly, or works only once, is
// requested once. (If the server responds with the range but without a strong validator,
// the source requests all data, and that response counts.) The size is known if there is
// a Content-Length. Otherwise the tus server must support deferred lengths.
//
// If an upload has to go back, the stream is read again up to the offset, provided that
// the server has a strong validator and it did not change. Otherwise the error matches
// [tus.ErrNotRecoverable], because nothing proves that the bytes are the same. Checksums
// that precede their chunk make an upload go back for every chunk; set
// [tus.UploadOptions.Checksum] to "off" to avoid it. A stream with a strong validator is
// also checked at the end of each request of the upload, by If-None-Match; if there is
// only a Last-Modified, by a request whose body is not read. A stream of unknown length
// is checked at its end.
//
// If the server sends neither an ETag nor a Last-Modified, and the client has a store,
// all data is read a second time before the first request of the upload, for its
// fingerprint: nothing else distinguishes two versions. Set
// [tus.Options.Fingerprinter] to avoid it.
//
// The source does not request compression. Data with a Content-Encoding is an error.
//
// # Broken connections
//
// If a connection breaks or stalls, or the server is overloaded, the reader sends another
// request from its offset, by [Options.Retry], and the upload continues. Each byte that
// arrives resets the count of failures. A short body counts as a broken connection: the
// data ends at the length that the server sent, or where a body of unknown length ends
// properly. A body whose end cannot be distinguished from a broken connection (HTTP/1
// with neither a length nor chunks) is an error.
//
// While a reader waits, its upload request waits too. The stall timeout of the client
// does not include that time. [tus.Options.SourceTimeout], if set, should be longer than
// the outages of the source that an upload should survive.
//
// # Secrets
//
// [Options.Header] and the user and password of the URL are sent to the origin of the
// URL only, also after redirects. Each request starts at the URL itself, so redirects to
// links that expire keep working. If the URL itself expires, [Options.URL] renews it. Errors
// contain URLs without user, password and query.
//
// # Resuming in another process
//
// Data with a strong validator is found by its URL with the query ([Options.Identity]),
// its size, and its strong ETag or otherwise Last-Modified, without a request
// ([tus.SourceInfo.Fingerprinter]). If the URL of the same data changes, for example
// because it is signed, set [Options.URL] or [Options.Identity]. fingerprint.Sample, in the
// options of the client or the upload, compares the content as well: it reads 64 blocks,
// each by its own request.
//
// Of all other data, the default fingerprint reads the content, for which the server sends
// all of it. Sources of unknown size are not resumed in another process. A stream without a
// strong validator is found, but its upload starts over, which [tus.Stats.Restarts] counts.
package httpsource

package tus

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/seed-175555ba/tus-go/fingerprint"
)

// UploadOptions controls one upload. The zero value works.
type UploadOptions struct {
	// Metadata is stored with the upload. nil means the name of the source
	// ([SourceInfo.Name]), if it has one, as "filename"; this name is not part of the
	// resume key. An empty map means no metadata.
	Metadata Metadata

	// ChunkSize is the maximum number of bytes in one PATCH. Set it for servers or proxies
	// that limit requests or require a certain size. It costs no memory. 0 means a size
	// that adapts, which is the fastest: the first PATCH has 16 MiB, and each later one
	// what the link sends in about a minute. If a PATCH was interrupted and nothing of it is
	// on the server, as behind a proxy that buffers requests, later ones have at most
	// 16 MiB and at most half of it, down to 1 MiB. They are raised again as they are
	// acknowledged. [Stats.RequestLimit] has that limit, and the stored record keeps it.
	ChunkSize int64

	// MinChunkSize, if above 0, makes the client halve chunks that are refused with 413,
	// down to this size in bytes.
	MinChunkSize int64

	// CreationLimit is the maximum size in bytes of a source that is sent in the request
	// that creates its upload (protocol section Creation With Upload), if the server
	// advertises that, the source fits one chunk and no checksum is used. All these bytes
	// are lost if the connection breaks or the process ends before the response with the
	// upload URL. 0 means the number of bytes that the client recently sent per second, from
	// 1 MiB to 8 MiB; a negative value disables it. Raise it for many sources of a few MiB:
	// each saves one request.
	CreationLimit int64

	// FirstChunkInCreation sends the first chunk of a source that exceeds CreationLimit in the
	// request that creates its upload as well, under the same conditions, which saves one
	// request per upload. This chunk has at most CreationLimit bytes; if that is 0, it has
	// ChunkSize bytes, or without a ChunkSize as many as a small source may have. If the
	// connection breaks or the process ends before the response, the chunk is lost, and an
	// incomplete upload without a known URL stays on the server until it expires; the client
	// then creates another one without bytes. A refusal with 413 is retried without bytes.
	// The chunk is not used for parallel parts. A negative CreationLimit is an error matching
	// [ErrInvalidInput].
	FirstChunkInCreation bool

	// DeferLength creates the upload without its length, which is sent with the last bytes
	// (protocol section Creation, Upload-Defer-Length). A source of unknown size implies it.
	DeferLength bool

	// Checksum selects the checksum algorithm of the chunks (protocol section Checksum).
	// "" selects the first of [Options.Checksums] that the server advertises, and no
	// checksums if there is none; "off" disables checksums; any other value is the name of
	// an algorithm, such as "sha256", in any case. A name that is not in Options.Checksums
	// is an error matching [ErrInvalidInput] before any request. A name that the server
	// does not advertise is one matching [ErrUnsupported] before the upload is created.
	//
	// With a checksum and no ChunkSize, chunks have 8 MiB, or less if connections break
	// earlier: most servers discard a chunk that is cut off, because they cannot verify
	// it. If the server supports trailers, the checksum follows the bytes (with
	// Transfer-Encoding: chunked), but a proxy may drop it undetected. Otherwise chunks
	// are read twice.
	Checksum string

	// Digest is the algorithm of a digest of the whole source, which [Result.Digest] has
	// when the upload is complete: "sha256", "sha1", "sha512", "md5" or "crc32", in any
	// case. Another name is an error matching [ErrInvalidInput]. "" means none. Nothing of
	// it is sent to the server.
	//
	// The source is hashed while it is sent. Bytes that pass memory in order are not read
	// again for that. A second reader follows the upload for others: for a file that the
	// kernel sends, which is then in the page cache, for parallel parts, and for the bytes
	// that an earlier session sent. It takes about a megabyte of memory, and a file is open
	// once more.
	//
	// The Store keeps the state of the hash, so that a later session continues it. If that
	// session cannot prove that the source is the same, it first reads the hashed bytes and
	// compares them: the error matches [ErrSourceChanged] if they differ, and nothing is
	// sent. The proof is an equal SourceInfo.Version or, for a file without one, an equal
	// ctime that was older than two seconds. An upload whose record lacks the state (that of
	// [Client.Resume], or of a session without Digest) cannot be compared.
	Digest string

	// StopAt, if above 0, pauses the upload once, when the server has this many bytes: Run
	// and Step then return [ErrPaused], and resume when called again. An upload in parallel
	// parts cannot be stopped at an offset: that is an error matching [ErrInvalidInput],
	// also for one that is found in the store.
	StopAt int64

	// ResumeKey replaces the metadata and the path of the source (fingerprint.Info.Name) in
	// the resume key, by which uploads are stored and found. Two uploads of one source need
	// two keys, and so do two files of equal size and time, as [fingerprint.Sample] compares
	// only a sample of them. A file that was renamed, or copied with its time, resumes if it
	// has the same key. "" means the metadata and the path.
	ResumeKey string

	// Previous, if not nil, is the only stored upload that may be resumed. It is one of
	// those that [Client.PreviousUploads] returned for the same source and options; one of
	// another source is an error matching [ErrInvalidInput]. A new upload starts if it is
	// no longer stored or the client has no store. If another Uploader holds it, Held
	// applies. If it is completed, nothing is uploaded: see [Result.AlreadyComplete].
	Previous *Previous

	// Token, if not "", resumes the upload of a token of [Uploader.Token] with the source, which
	// must have the same content: its name, path and times may differ. Metadata of nil means
	// those of the token. The upload never starts over: if the server no longer has it, the
	// error matches [ErrUploadGone]; a part that is gone is sent again.
	//
	// The error matches [ErrInvalidInput] if the token cannot be used, [ErrSourceMismatch] if
	// the source has another size, and [ErrSourceChanged] if a sample of its content differs.
	// A stream is not compared, nor is a source whose token was made where it allowed only one
	// reader; Digest compares all bytes that were hashed. A stream must be read again from its
	// start.
	//
	// The upload is kept in [Options.Store] like any other, so that one with the same source
	// and options finds it after a crash. Nothing prevents the process that made the token, or
	// another one without the same store, from sending at the same time: end it first.
	// Options.Header is sent only to the origin of the endpoint and to trusted ones, but the
	// bytes to whatever server the token names: set [Options.TokenKey] if others can change
	// tokens.
	Token string

	// Again uploads the source although the store has a completed upload of it (see
	// [Options.RememberCompleted]). An unfinished upload is resumed. The record of the new
	// upload replaces those of the completed ones when it is complete. Together with a
	// completed Previous it is an error matching [ErrInvalidInput].
	Again bool

	// Held controls the upload when another Uploader holds a stored upload of the source.
	Held HeldPolicy

	// Refused controls the upload when the server refuses to show a stored upload of the
	// source. It has no effect with Token and in [Client.Resume], which start nothing over.
	Refused RefusedPolicy

	// Parallel, if above 1, splits the source into parts that are sent over that many
	// connections and then concatenated by the server (protocol section Concatenation).
	// The source is sent as one upload if the server does not advertise that, if it allows
	// only one reader or is of unknown size, or if it is too small for two parts. Parts
	// cost no memory.
	Parallel int

	// ParallelOptions controls the parts.
	ParallelOptions ParallelOptions

	// Header is added to the requests of this upload, of its parts and of its Abort, by the
	// rules of [Options.Header]. A field replaces the one of the client with the same name;
	// one without values removes it. Header is neither stored nor part of the resume key: a
	// later session needs it again, and if it selects a user or a tenant, set ResumeKey as
	// well. All uploads of a client share one response to OPTIONS; that request has the
	// Header of the upload that needs it first.
	Header http.Header

	// Fingerprinter replaces that of the client ([Options.Fingerprinter]) and of the source
	// ([SourceInfo.Fingerprinter]) for this upload. nil means these.
	Fingerprinter fingerprint.Fingerprinter

	// BufferLimit is the maximum number of bytes of a source of unknown size that are read
	// into memory to determine the size, if the server does not support a deferred length.
	// 0 means none: the error then matches [ErrUnsupported] unless the source fits one
	// chunk.
	BufferLimit int64

	// RateLimit, if not nil, limits the bytes per second of all uploads that share it.
	// [Options.RateLimit] applies as well.
	RateLimit Limiter

	// Hooks are called for this upload, after those of the client.
	Hooks Hooks
}

// ParallelOptions controls an upload in parallel parts. The zero value works.
type ParallelOptions struct {
	// Required makes it an error if the source cannot be sent in parts: one matching
	// [ErrUnsupported] if the server does not support it, and [ErrInvalidInput] if the
	// source allows only one reader or is of unknown size. Nothing is created then. A
	// source too small for two parts is sent as one upload.
	Required bool

	// MinPartSize is the minimum size in bytes of all parts but the last. 0 means 5 MiB:
	// servers that store in S3 handle smaller ones badly. It does not apply to
	// PartBoundaries.
	MinPartSize int64

	// PartBoundaries are the offsets in bytes, in ascending order, at which the second
	// and the following parts begin. nil means that this package chooses them.
	PartBoundaries []int64

	// PartMetadata is stored with each part, UploadOptions.Metadata with the final upload.
	PartMetadata Metadata

	// TerminateParts deletes the parts when the final upload is complete. By default they
	// stay, because the final uploads of some servers refer to them.
	TerminateParts bool

	// MaxConcatHeader is the maximum length in bytes of the header line Upload-Concat,
	// which lists the URLs of all parts when the final upload is created: if the URLs are
	// long, the client makes fewer and larger parts. 0 means 8000, as nginx, Apache and
	// others refuse lines above 8 KiB. PartBoundaries are never changed: if their URLs are
	// too long, the source is sent as one upload, or, if Required is set, the error matches
	// [ErrInvalidInput]. It also does if the line for the parts of a stored upload is too
	// long, unless all bytes have been sent.
	MaxConcatHeader int64
}

func (o *UploadOptions) validate() error {
	err := notNegative("UploadOptions",
		number{"ChunkSize", o.ChunkSize}, number{"MinChunkSize", o.MinChunkSize}, number{"StopAt", o.StopAt},
		number{"BufferLimit", o.BufferLimit}, number{"Parallel", int64(o.Parallel)})
	switch {
	case err != nil:
		return err
	case o.ChunkSize > 0 && o.MinChunkSize > o.ChunkSize:
		return fmt.Errorf("%w: UploadOptions.MinChunkSize %d is above ChunkSize %d", ErrInvalidInput, o.MinChunkSize, o.ChunkSize)
	case o.Parallel > 1 && (o.StopAt > 0 || o.DeferLength):
		return fmt.Errorf("%w: UploadOptions.Parallel together with StopAt or DeferLength", ErrInvalidInput)
	case o.FirstChunkInCreation && o.CreationLimit < 0:
		return fmt.Errorf("%w: UploadOptions.FirstChunkInCreation, but CreationLimit is negative: %d", ErrInvalidInput, o.CreationLimit)
	case o.Again && o.Previous != nil && !o.Previous.Completed.IsZero():
		return fmt.Errorf("%w: UploadOptions.Again together with a completed Previous", ErrInvalidInput)
	case nilPointer(o.Fingerprinter):
		return fmt.Errorf("%w: UploadOptions.Fingerprinter is a nil %T", ErrInvalidInput, o.Fingerprinter)
	}
	return cmp.Or(validPolicy("Held", o.Held, HeldBegin), validPolicy("Refused", o.Refused, RefusedStartOver), o.ParallelOptions.validate(o.Parallel), validLimiter("UploadOptions", o.RateLimit), o.Metadata.Validate())
}

func validPolicy[P ~int](option string, policy, last P) error {
	if policy < 0 || policy > last {
		return fmt.Errorf("%w: UploadOptions.%s is unknown policy %d", ErrInvalidInput, option, policy)
	}
	return nil
}

func (o ParallelOptions) validate(connections int) error {
	err := notNegative("ParallelOptions", number{"MinPartSize", o.MinPartSize}, number{"MaxConcatHeader", o.MaxConcatHeader})
	switch {
	case err != nil:
		return err
	case !ascending(o.PartBoundaries):
		return fmt.Errorf("%w: ParallelOptions.PartBoundaries are not ascending: %v", ErrInvalidInput, o.PartBoundaries)
	case connections <= 1 && len(o.PartBoundaries) > 0:
		return fmt.Errorf("%w: ParallelOptions.PartBoundaries without UploadOptions.Parallel", ErrInvalidInput)
	}
	return o.PartMetadata.Validate()
}

// number is the value of an option.
type number struct {
	name  string
	value int64
}

// notNegative returns an error matching ErrInvalidInput for the first option of a struct
// that is negative.
func notNegative(options string, numbers ...number) error {
	for _, n := range numbers {
		if n.value < 0 {
			return fmt.Errorf("%w: negative %s.%s: %d", ErrInvalidInput, options, n.name, n.value)
		}
	}
	return nil
}

// ascending reports whether each boundary is above 0 and above the one before it.
func ascending(boundaries []int64) bool {
	for i, b := range boundaries {
		if b <= 0 || i > 0 && b <= boundaries[i-1] {
			return false
		}
	}
	return true
}

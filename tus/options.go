package tus

import (
	"cmp"
	"fmt"
)

// UploadOptions says what to send and how. The zero value works.
type UploadOptions struct {
	// Metadata is stored with the upload. nil means the name of the source, if it has one
	// ([SourceInfo.Name]), as "filename", which is then not part of what the upload is
	// found by; an empty map means none.
	Metadata Metadata

	// ChunkSize is the most bytes that one PATCH carries. 0 means no limit: all
	// that is left goes in one request, which is the fastest. Servers or proxies
	// that limit requests need a value, some a certain one. It costs no memory. With 0,
	// a PATCH that was cut and of which the server kept nothing is followed by one of
	// half the size, not below 1 MiB, and by larger ones again when they arrive.
	ChunkSize int64

	// MinChunkSize, if above 0, lets a chunk that is refused with 413 be sent
	// again in halves, down to this size in bytes.
	MinChunkSize int64

	// CreationLimit is the largest source in bytes that is sent with the creation of its
	// upload, in one request (protocol section Creation With Upload), if the server
	// advertises that, the source fits one chunk and no checksum is used. Until the
	// response names the upload URL, all these bytes are lost if the connection breaks or
	// the process ends. 0 means what the client lately sent in a second, from 1 MiB to 8
	// MiB; a negative value sends none. Raise it for many sources of a few MiB: each that
	// is not sent with its creation takes one request more.
	CreationLimit int64

	// DeferLength creates the upload without telling its length, which then goes
	// out with the last bytes (protocol section Creation, Upload-Defer-Length).
	// Sources of unknown size do so anyway.
	DeferLength bool

	// Checksum selects the checksum algorithm of the chunks (protocol section Checksum):
	// "" is the most preferred one that the server advertises, and none if it
	// advertises none of [Options.Checksums]; "off" disables checksums; any other text
	// is the name of an algorithm, such as "sha256", in any case. An unknown name is an
	// error matching [ErrInvalidInput] before any request; a name that the server does not
	// advertise is one matching [ErrUnsupported] before the upload is created.
	//
	// With a checksum and no ChunkSize, chunks have 8 MiB, or less if connections break
	// earlier: most servers discard a chunk that is cut off, because they cannot verify
	// it. If the server supports trailers, the checksum follows the bytes (with
	// Transfer-Encoding: chunked), and a proxy may drop it unnoticed. Otherwise chunks
	// are read twice.
	Checksum string

	// StopAt, if above 0, pauses the upload once when the server has this many
	// bytes: Run and Step then return [ErrPaused]. Called again, they go on. An
	// upload in parallel parts, also one that is found in the store, has no such
	// place: that is an error matching [ErrInvalidInput].
	StopAt int64

	// ResumeKey tells uploads apart in the client's store, instead of the metadata and
	// of the source's path (fingerprint.Info.Name): two uploads of one source need two
	// keys, and a file that was renamed or copied with its time resumes under the key
	// of before. Two files of equal size and time need two keys as well, as
	// [fingerprint.Sample] compares only a sample of them. "" means the metadata and
	// the path.
	ResumeKey string

	// Previous, if not nil, is the only stored upload that may be resumed. It is one of
	// those that [Client.PreviousUploads] returned for the same source and options; one of
	// another source is an error matching [ErrInvalidInput]. A new upload begins if it is
	// no longer stored or the client has no store. If another Uploader holds it, Held
	// applies.
	Previous *Previous

	// Held controls what the upload does if another Uploader holds a stored upload of the
	// source.
	Held HeldPolicy

	// SourceChanged says what to do about a stored upload of a source that has
	// another size by now.
	SourceChanged SourceChangedPolicy

	// Parallel, if above 1, splits the source into parts that are sent over that many
	// connections and then concatenated by the server (protocol section Concatenation).
	// The source is sent as one upload if the server does not advertise that, if it allows
	// only one reader or is of unknown size, and if it is too small for two parts. Parts
	// cost no memory.
	Parallel int

	// ParallelOptions are details of Parallel.
	ParallelOptions ParallelOptions

	// BufferLimit is how many bytes of a stream of unknown length are held in
	// memory to find out its length, where the server does not offer to defer
	// it. 0 means none: then such a server is an error matching [ErrUnsupported]
	// unless the stream fits one chunk.
	BufferLimit int64

	// RateLimit, if not nil, bounds the bytes per second of this upload, and of all
	// others that share it. [Options.RateLimit] applies as well.
	RateLimit Limiter

	// Hooks are called for this upload, after those of the client.
	Hooks Hooks
}

// ParallelOptions controls an upload in parallel parts. The zero value works.
type ParallelOptions struct {
	// Required returns an error where the source would otherwise be sent as one upload,
	// before anything is created. It matches [ErrUnsupported] if that is for the server,
	// and [ErrInvalidInput] if it is for the source. A source too small for two parts is
	// sent as one upload.
	Required bool

	// MinPartSize is the least size in bytes of a part but the last. 0 means 5 MiB:
	// servers that store in S3 handle smaller ones badly. It does not apply to
	// PartBoundaries.
	MinPartSize int64

	// PartBoundaries are the offsets in bytes, in ascending order, at which the parts
	// after the first begin. nil leaves the planning to this package.
	PartBoundaries []int64

	// PartMetadata is stored with each part, UploadOptions.Metadata with the final upload.
	PartMetadata Metadata

	// TerminateParts deletes the parts when the final upload is complete. Some servers
	// refer to them, so they are left alone by default.
	TerminateParts bool

	// MaxConcatHeader bounds the length in bytes of the header line Upload-Concat, which
	// lists the URLs of all parts when the final upload is created: if they are long,
	// there are fewer and larger parts. 0 means 8000, as nginx, Apache and others refuse
	// lines above 8 KiB. PartBoundaries are never changed: if their URLs are too long, the
	// source is sent as one upload, or, if Required is set, the error matches
	// [ErrInvalidInput]. It also matches that if the parts of a stored upload were planned
	// with another value, unless all its bytes are sent.
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
	case o.SourceChanged < SourceChangedFail || o.SourceChanged > SourceChangedRestart:
		return fmt.Errorf("%w: UploadOptions.SourceChanged is unknown policy %d", ErrInvalidInput, o.SourceChanged)
	case o.Held < HeldWait || o.Held > HeldBegin:
		return fmt.Errorf("%w: UploadOptions.Held is unknown policy %d", ErrInvalidInput, o.Held)
	}
	return cmp.Or(o.ParallelOptions.validate(o.Parallel), validLimiter("UploadOptions", o.RateLimit), o.Metadata.Validate())
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

// ascending reports whether each boundary is above the one before, from 0 on.
func ascending(boundaries []int64) bool {
	for i, b := range boundaries {
		if b <= 0 || i > 0 && b <= boundaries[i-1] {
			return false
		}
	}
	return true
}

package tus

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
)

// Source is the data of one upload. The constructors [File], [OpenedFile],
// [FSFile], [ReaderAt], [ReadSeeker], [ReaderN], [Reader] and [Bytes] cover the
// usual kinds; any other type with these two methods works as well.
//
// A Source must return the same bytes each time it is opened. If it detects that
// its data changed, its methods return an error matching [ErrSourceChanged].
type Source interface {
	// Stat describes the data without reading it. It is called before the first
	// request, and again before the last bytes of each request are sent, to detect a
	// change. Report an unreadable source from the first call: opening a reader may be
	// expensive, so the upload may be created first.
	Stat(ctx context.Context) (SourceInfo, error)

	// Open returns a reader of the bytes from offset on. If the size is known, the
	// reader must return io.EOF there. Readers are independent of each other unless
	// SourceInfo.Sequential is set. The caller closes the reader, possibly while a Read
	// is in flight. ctx has the values of the upload's context; it may be canceled when
	// the bytes are no longer needed. If the reader is an [*os.File] positioned at
	// offset, its bytes are sent without a copy in memory where the system can do that.
	Open(ctx context.Context, offset int64) (io.ReadCloser, error)
}

// SourceInfo describes the data of a [Source].
type SourceInfo struct {
	// Name is a short name without directories, for display. It may be empty.
	Name string
	// Identity distinguishes the source from all others, such as its path or URL. ""
	// means Name. It is used in the fingerprint only, as fingerprint.Info.Name. If two
	// sources have the same Identity, size, time and version, and differ only outside
	// the sample, an upload of one resumes that of the other.
	Identity string
	// Size is the size in bytes. It has no meaning if SizeUnknown is set.
	Size int64
	// SizeUnknown is set if the size is unknown until the data ends.
	SizeUnknown bool
	// Sequential is set if opening a reader invalidates the previous one. The source
	// is then not sent in parallel parts.
	Sequential bool
	// SinglePass is set if the source can be opened only once, at offset 0. Its chunks (8 MiB
	// unless UploadOptions.ChunkSize is set) are kept in memory until they are acknowledged,
	// as those of [ReaderN], and a later session cannot resume it from a Store. A source of
	// unknown size is always read in a single pass. SinglePass implies Sequential.
	SinglePass bool
	// ModTime and Version change when the content does; each may be zero. Version is
	// opaque, such as an ETag. If both are zero (a ModTime at or before the Unix epoch
	// counts as zero) and the client has a Store and no Fingerprinter, the whole source
	// is read once before the first request, to identify its content.
	ModTime time.Time
	Version string
	// Fingerprinter fingerprints the source unless the upload or the client has one
	// ([UploadOptions.Fingerprinter], [Options.Fingerprinter]); nil means the default of
	// Options.Fingerprinter. Set it to [fingerprint.Stat] if ModTime or Version prove that
	// the content is the same and reading is expensive.
	Fingerprinter fingerprint.Fingerprinter
}

// contentVerifier is a Source that can detect changes in a sample of its content,
// which costs more than a Stat.
type contentVerifier interface {
	verifyContent(ctx context.Context) error
}

// contentHolder is a source that may have read all its bytes with the first Stat, and keeps
// them until they are released.
type contentHolder interface {
	content() []byte // nil if they are not in memory
	releaseContent()
}

// contentOf returns the bytes of a source that are in memory, nil if they are not.
func contentOf(source Source) []byte {
	if holder, ok := source.(contentHolder); ok {
		return holder.content()
	}
	return nil
}

func releaseContent(source Source) {
	if holder, ok := source.(contentHolder); ok {
		holder.releaseContent()
	}
}

// reopens reports whether the source can be opened again, and at any offset.
func (a SourceInfo) reopens() bool { return !a.SizeUnknown && !a.SinglePass }

// empty reports whether the source is known to have no bytes.
func (a SourceInfo) empty() bool { return !a.SizeUnknown && a.Size == 0 }

// dated reports whether the source has a modification time or a version. File systems that
// keep no times report the Unix epoch.
func (a SourceInfo) dated() bool { return a.ModTime.Unix() > 0 || a.Version != "" }

// changed returns an error matching ErrSourceChanged if now differs from a.
func (a SourceInfo) changed(now SourceInfo) error {
	if a.Size == now.Size && a.SizeUnknown == now.SizeUnknown && a.ModTime.Equal(now.ModTime) && a.Version == now.Version {
		return nil
	}
	return fmt.Errorf("%w: size was %d, modified %v; now size %d, modified %v", ErrSourceChanged, a.Size, a.ModTime, now.Size, now.ModTime)
}

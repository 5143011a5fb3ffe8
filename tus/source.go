package tus

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Source is the data of one upload. The constructors [File], [OpenedFile],
// [FSFile], [ReaderAt], [ReadSeeker] and [Bytes] cover the usual kinds; any
// other type with these two methods works as well.
//
// A Source must deliver the same bytes each time it is opened. If it notices
// that it cannot any more, its methods return an error that matches
// [ErrSourceChanged].
type Source interface {
	// Stat tells what is known of the data without reading it. It is called
	// before the first request, and again before the last bytes of each request
	// leave, to notice a change. The first call is the place to find out that
	// the data cannot be opened: an upload may be created before it is, as an open
	// reader may be dear, or not live as long as a server takes to answer.
	Stat(ctx context.Context) (SourceInfo, error)

	// Open returns a reader of the bytes from offset on. Each reader is
	// independent of the others unless SourceInfo.Sequential is set, and is
	// closed by its user, perhaps while a Read is under way. ctx has the values of
	// the upload's context, and ends when nobody wants the bytes any more. Where the
	// size is known, it must end there with io.EOF. If the reader is an [*os.File]
	// positioned at offset, the bytes go from the file to the socket without a copy
	// in memory.
	Open(ctx context.Context, offset int64) (io.ReadCloser, error)
}

// SourceInfo is what a [Source] tells about its data.
type SourceInfo struct {
	// Name is a short name without folders, for people. It may be empty.
	Name string
	// Identity tells the source from all others, such as its path or URL. "" means
	// Name. It is used in the fingerprint only, as fingerprint.Info.Name. Two sources
	// of one Identity, size, time and version whose difference lies outside a sample
	// are one source to a store: the upload of the second would resume that of the
	// first.
	Identity string
	// Size is the length in bytes. It has no meaning if SizeUnknown is set.
	Size int64
	// SizeUnknown says that the length shows only when the data ends.
	SizeUnknown bool
	// Sequential says that opening a reader ends the one opened before, so that
	// the source cannot be sent in parallel parts.
	Sequential bool
	// ModTime and Version change when the content does; each may be zero. Version
	// is opaque, such as an ETag. Where both are zero (a ModTime of the Unix epoch or
	// before counts as zero) and the client has a store and no Fingerprinter, the whole
	// source is read once before the first request, to find its earlier upload: nothing
	// else tells one version from the next.
	ModTime time.Time
	Version string
}

// contentVerifier is a Source that compares itself with the first look, including a
// sample of its content, which costs more than a Stat.
type contentVerifier interface {
	verifyContent(ctx context.Context) error
}

// empty reports whether there is nothing to send.
func (a SourceInfo) empty() bool { return !a.SizeUnknown && a.Size == 0 }

// changed compares a later look at the source.
func (a SourceInfo) changed(now SourceInfo) error {
	if a.Size == now.Size && a.SizeUnknown == now.SizeUnknown && a.ModTime.Equal(now.ModTime) && a.Version == now.Version {
		return nil
	}
	return fmt.Errorf("%w: it had %d bytes of %v, now %d of %v", ErrSourceChanged, a.Size, a.ModTime, now.Size, now.ModTime)
}

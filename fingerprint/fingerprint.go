package fingerprint

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/zeebo/xxh3"
)

// ErrSizeMismatch is returned when a source ends before Info.Size, because it was
// truncated. The upload then fails with ErrSourceChanged of package tus.
var ErrSizeMismatch = errors.New("source is shorter than its size")

// Info describes a source without its content. Unknown fields are zero.
type Info struct {
	// Name distinguishes the source from others. In an upload it is
	// UploadOptions.ResumeKey if that is set, otherwise SourceInfo.Identity (the
	// absolute path of a file, the URL of an httpsource), otherwise SourceInfo.Name.
	Name string
	// Size is the size in bytes. Content beyond it is not read.
	Size int64
	// ModTime is when the content last changed, in nanoseconds. The time zone is
	// ignored.
	ModTime time.Time
	// Version is an opaque string that changes with the content, such as an ETag.
	Version string
}

// A Fingerprinter computes fingerprints of sources. It must be safe for concurrent
// use, and its result must not depend on the process or the machine.
//
// Fingerprint reads only the first info.Size bytes of r. A fingerprint should consist
// of at most 100 ASCII letters, digits, "-" and "_", which keeps it readable in the key of
// the stored record. An error of Fingerprint is treated as an error of the source.
type Fingerprinter interface {
	Fingerprint(ctx context.Context, r io.ReaderAt, info Info) (string, error)
}

// Func is a function used as a [Fingerprinter].
type Func func(ctx context.Context, r io.ReaderAt, info Info) (string, error)

// Fingerprint calls f.
func (f Func) Fingerprint(ctx context.Context, r io.ReaderAt, info Info) (string, error) {
	return f(ctx, r, info)
}

// Stat computes a fingerprint from name, size, modification time and version. It reads
// no content, so the reader may be nil. It does not detect a change that keeps all
// four, and a source that was renamed or moved has another fingerprint. The zero value
// is ready to use.
type Stat struct{}

// Fingerprint returns "stat1-", the size and a hash. It returns an error if the size is
// negative, and otherwise that of ctx.
func (Stat) Fingerprint(ctx context.Context, _ io.ReaderAt, info Info) (string, error) {
	if info.Size < 0 {
		return "", errNegative(info.Size)
	}
	if err := ctx.Err(); err != nil {
		return "", wrap(err)
	}
	attributes := appendString(appendAttributes(nil, info), info.Name)
	return format("stat1", info.Size, xxh3.Hash128(attributes)), nil
}

// appendAttributes appends the encoding of the attributes, as defined in the package comment.
func appendAttributes(b []byte, info Info) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(info.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(info.ModTime.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(info.ModTime.Nanosecond()))
	return appendString(b, info.Version)
}

// appendString appends the length and s, so that different lists of strings have
// different encodings.
func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

func format(scheme string, size int64, sum xxh3.Uint128) string {
	return fmt.Sprintf("%s-%d-%x", scheme, size, sum.Bytes())
}

func errNegative(size int64) error {
	return wrap(fmt.Errorf("negative size: %d", size))
}

func wrap(err error) error { return fmt.Errorf("fingerprint: %w", err) }

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

var (
	// ErrInvalidInput is a call that cannot be answered: a negative size, or no
	// reader where content has to be read.
	ErrInvalidInput = errors.New("invalid input")

	// ErrSizeMismatch is a source that ended before Info.Size: it was truncated
	// since it was looked at.
	ErrSizeMismatch = errors.New("source is shorter than its size")
)

// Info is what a source tells about itself without being read. Fields that the
// source does not know stay zero.
type Info struct {
	// Name tells the source from others. In an upload it is
	// UploadOptions.ResumeKey if that is set, otherwise SourceInfo.Identity (the
	// absolute path of a file, the URL of an httpsource), otherwise SourceInfo.Name.
	Name string
	// Size is the length in bytes. Content beyond it is not looked at.
	Size int64
	// ModTime is when the content last changed. Nanoseconds count, the time zone
	// does not.
	ModTime time.Time
	// Version is opaque and changes when the content does, such as an ETag.
	Version string
}

// A Fingerprinter gives a source its identity. It must be safe for concurrent
// use, and the string must not depend on the process or the machine.
//
// Fingerprint reads from r only what lies before info.Size. Letters, digits,
// "-" and "_" are what a fingerprint is best made of, see [Key]. An upload is
// not resumed while its fingerprint cannot be told: the error says why.
type Fingerprinter interface {
	Fingerprint(ctx context.Context, r io.ReaderAt, info Info) (string, error)
}

// Func is a function used as a [Fingerprinter].
type Func func(ctx context.Context, r io.ReaderAt, info Info) (string, error)

// Fingerprint calls f.
func (f Func) Fingerprint(ctx context.Context, r io.ReaderAt, info Info) (string, error) {
	return f(ctx, r, info)
}

// Stat identifies a source by name, size, modification time and version. It
// reads nothing, so the reader may be nil. A change that keeps all four stays
// undetected, and a source that was renamed or moved is another one. The zero value is
// ready to use.
type Stat struct{}

// Fingerprint returns "stat1-", the size and a hash. It matches
// [ErrInvalidInput] if the size is negative, and the context's error if that
// has ended.
func (Stat) Fingerprint(ctx context.Context, _ io.ReaderAt, info Info) (string, error) {
	if info.Size < 0 {
		return "", errNegative(info.Size)
	}
	if err := ctx.Err(); err != nil {
		return "", wrap(err)
	}
	facts := appendString(appendFacts(nil, info), info.Name)
	return format("stat1", info.Size, xxh3.Hash128(facts)), nil
}

// appendFacts encodes what the package comment calls the facts of a source.
func appendFacts(b []byte, info Info) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(info.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(info.ModTime.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(info.ModTime.Nanosecond()))
	return appendString(b, info.Version)
}

// appendString puts the length in front, so that no two lists of strings have
// the same encoding.
func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

func format(scheme string, size int64, sum xxh3.Uint128) string {
	return fmt.Sprintf("%s-%d-%x", scheme, size, sum.Bytes())
}

func errNegative(size int64) error {
	return wrap(fmt.Errorf("%w: size of %d bytes", ErrInvalidInput, size))
}

func wrap(err error) error { return fmt.Errorf("fingerprint: %w", err) }

package fingerprint

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
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
	if err := check(ctx, info); err != nil {
		return "", err
	}
	return format("stat1", info.Size, xxh3.Hash128(encodeAttributes(info))), nil
}

// check returns an error if the size is negative or ctx is done.
func check(ctx context.Context, info Info) error {
	if info.Size < 0 {
		return wrap(fmt.Errorf("negative size: %d", info.Size))
	}
	if err := ctx.Err(); err != nil {
		return wrap(err)
	}
	return nil
}

// encodeAttributes encodes the attributes and the name as the package comment defines.
func encodeAttributes(info Info) []byte {
	b := make([]byte, 0, 4*8+4+len(info.Version)+len(info.Name))
	b = binary.BigEndian.AppendUint64(b, uint64(info.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(info.ModTime.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(info.ModTime.Nanosecond()))
	for _, s := range []string{info.Version, info.Name} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

func format(scheme string, size int64, sum xxh3.Uint128) string {
	bytes := sum.Bytes()
	text := strconv.AppendInt(append(make([]byte, 0, 64), scheme+"-"...), size, 10)
	return string(hex.AppendEncode(append(text, '-'), bytes[:]))
}

func wrap(err error) error { return fmt.Errorf("fingerprint: %w", err) }

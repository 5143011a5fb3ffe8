package tus

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

// orderedReader reads ranges of a source. It opens the source again only after a gap.
type orderedReader struct {
	open   func(ctx context.Context, offset int64) (io.ReadCloser, error)
	reader io.ReadCloser // nil if none is open
	at     int64         // position of reader
	buffer []byte
}

// read returns the bytes of a range, which are valid until the next call.
func (r *orderedReader) read(ctx context.Context, s span) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, async.ContextError(ctx)
	}
	if r.reader != nil && r.at != s.offset {
		r.close(ctx)
	}
	if r.reader == nil {
		reader, err := r.open(ctx, s.offset)
		if err != nil {
			return nil, err
		}
		r.reader, r.at = reader, s.offset
	}
	if int64(len(r.buffer)) < s.size {
		r.buffer = make([]byte, max(s.size, min(digestRead, 8*s.size)))
	}
	data, reader := r.buffer[:s.size], r.reader
	n, err := async.Call(ctx, func() (int, error) { return readahead.Fill(ctx, reader, data) }, nil)
	if n == len(data) {
		r.at += int64(n)
		return data, nil
	}
	r.buffer = nil // an abandoned Read may still write to it
	if err == io.EOF {
		err = fmt.Errorf("%w: it ended at byte %d", io.ErrUnexpectedEOF, s.offset+int64(n))
	}
	return nil, err
}

// close closes the reader. It does not wait for a Close that hangs after the end of ctx.
func (r *orderedReader) close(ctx context.Context) {
	if r.reader != nil {
		_ = async.Close(ctx, r.reader)
		r.reader = nil
	}
}

// stamped is a Source that can prove that its content is that of an earlier session.
type stamped interface {
	// stamp returns a text that changes with each write, or "" if that is not certain.
	stamp() string
}

// stampOf returns a text that is equal only for the same version of a source, or "" if
// nothing identifies that: the modification time of a file can be set back.
func stampOf(source Source, info SourceInfo) string {
	version := info.Version
	if s, ok := source.(stamped); ok && version == "" {
		version = s.stamp()
	}
	if version == "" {
		return ""
	}
	sum := xxh3.HashString128(fmt.Sprintf("%d %d %q", info.Size, info.ModTime.UnixNano(), version)).Bytes()
	return hex.EncodeToString(sum[:])
}

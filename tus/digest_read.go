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

// each reads a range and calls use for one piece after the other, which is valid during the
// call. A Read that hangs after the end of ctx is abandoned, and use may then be called once
// more. Pieces are used by the goroutine that reads them, where they are in the cache.
func (r *orderedReader) each(ctx context.Context, s span, use func(at int64, data []byte) error) error {
	if ctx.Err() != nil {
		return async.ContextError(ctx)
	}
	if r.reader != nil && r.at != s.offset {
		r.close(ctx)
	}
	if r.reader == nil {
		reader, err := r.open(ctx, s.offset)
		if err != nil {
			return err
		}
		r.reader, r.at = reader, s.offset
	}
	if int64(len(r.buffer)) < min(s.size, digestRead) {
		r.buffer = make([]byte, min(digestRead, 8*s.size))
	}
	reader, buffer := r.reader, r.buffer
	r.buffer = nil // an abandoned Read may still write to it
	_, err := async.Call(ctx, func() (struct{}, error) {
		for at, end := s.offset, s.offset+s.size; at < end; {
			data := buffer[:min(int64(len(buffer)), end-at)]
			n, err := readahead.Fill(ctx, reader, data)
			if n < len(data) {
				if err == io.EOF {
					err = fmt.Errorf("%w: it ended at byte %d", io.ErrUnexpectedEOF, at+int64(n))
				}
				return struct{}{}, err
			}
			if err := use(at, data); err != nil {
				return struct{}{}, err
			}
			at += int64(n)
		}
		return struct{}{}, nil
	}, nil)
	if err != nil {
		return err
	}
	r.at, r.buffer = s.offset+s.size, buffer
	return nil
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

package tus

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
)

// WithInfo returns a Source with the data of source, described by info: its Name, Identity,
// ModTime, Version and Fingerprinter replace those of source if they are not zero. With a
// Version, or a ModTime, [Bytes], [ReaderAt] and [ReadSeeker] need not be read before the
// upload to be found in a store: it must change when the data does. Changes that source
// detects are still errors.
//
// Size, SizeUnknown and Sequential stay those of source. If they are set in info and differ,
// Stat returns an error matching [ErrInvalidInput].
func WithInfo(source Source, info SourceInfo) Source {
	if source == nil || nilPointer(source) {
		return source // an upload reports it
	}
	return &describedSource{Source: source, info: info}
}

type describedSource struct {
	Source
	info  SourceInfo
	first atomic.Pointer[SourceInfo] // of Source; nil before the first Stat
}

func (s *describedSource) Stat(ctx context.Context) (SourceInfo, error) {
	got, err := s.Source.Stat(ctx)
	if err != nil {
		return SourceInfo{}, err
	}
	switch {
	case s.info.Size != 0 && (got.SizeUnknown || s.info.Size != got.Size):
		return SourceInfo{}, fmt.Errorf("%w: SourceInfo.Size of WithInfo is %d, the source has %d bytes (unknown: %v)",
			ErrInvalidInput, s.info.Size, got.Size, got.SizeUnknown)
	case s.info.SizeUnknown && !got.SizeUnknown:
		return SourceInfo{}, fmt.Errorf("%w: SourceInfo.SizeUnknown of WithInfo, but the source has %d bytes", ErrInvalidInput, got.Size)
	case s.info.Sequential && !got.Sequential:
		return SourceInfo{}, fmt.Errorf("%w: SourceInfo.Sequential of WithInfo, but the source is not sequential", ErrInvalidInput)
	}
	// The caller's ModTime and Version hide those of the source, which may change.
	own := got
	s.first.CompareAndSwap(nil, &own)
	if err := s.first.Load().changed(got); err != nil {
		return SourceInfo{}, err
	}
	got.Name, got.Identity = cmp.Or(s.info.Name, got.Name), cmp.Or(s.info.Identity, got.Identity)
	got.Version = cmp.Or(s.info.Version, got.Version)
	if !s.info.ModTime.IsZero() {
		got.ModTime = s.info.ModTime
	}
	if s.info.Fingerprinter != nil {
		got.Fingerprinter = s.info.Fingerprinter
	}
	return got, nil
}

// verifyContent implements contentVerifier.
func (s *describedSource) verifyContent(ctx context.Context) error {
	if v, ok := s.Source.(contentVerifier); ok {
		return v.verifyContent(ctx)
	}
	_, err := s.Stat(ctx)
	return err
}

// innermost returns the source that WithInfo describes, or source itself.
func innermost(source Source) Source {
	for {
		described, ok := source.(*describedSource)
		if !ok {
			return source
		}
		source = described.Source
	}
}

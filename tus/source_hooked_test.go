package tus_test

import (
	"context"
	"io"

	"github.com/seed-175555ba/tus-go/tus"
)

// hookedSource is a source with functions that run in its calls. Each may be nil; an error
// takes the place of the call.
type hookedSource struct {
	tus.Source
	beforeStat func() error
	beforeOpen func(ctx context.Context) error
	changeInfo func(*tus.SourceInfo)
}

func (s *hookedSource) Stat(ctx context.Context) (tus.SourceInfo, error) {
	if s.beforeStat != nil {
		if err := s.beforeStat(); err != nil {
			return tus.SourceInfo{}, err
		}
	}
	info, err := s.Source.Stat(ctx)
	if s.changeInfo != nil {
		s.changeInfo(&info)
	}
	return info, err
}

func (s *hookedSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if s.beforeOpen != nil {
		if err := s.beforeOpen(ctx); err != nil {
			return nil, err
		}
	}
	return s.Source.Open(ctx, offset)
}

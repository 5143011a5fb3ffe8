package crash

import (
	"context"
	"io"

	"github.com/seed-175555ba/tus-go/tus"
)

// copied hides that the readers of a source are files.
type copied struct{ tus.Source }

func (s copied) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	r, err := s.Source.Open(ctx, offset)
	if err != nil {
		return nil, err
	}
	return struct{ io.ReadCloser }{r}, nil
}

package tus

import (
	"context"
	"errors"
	"net/url"
	"time"
)

// patched is the response to a PATCH.
type patched struct {
	offset   int64 // acknowledged
	expires  time.Time
	response *Response
}

// patch sends one chunk. An offset below the end of the chunk is a short write, after which
// the rest has to be resent.
func (q requester) patch(ctx context.Context, upload *url.URL, c chunk) (patched, error) {
	got, err := q.do(ctx, upload, q.client.protocol.patch(c))
	if err != nil {
		return patched{}, err
	}
	stored, err := q.client.protocol.patched(got, c)
	return stored, q.checkOrder(err)
}

// checkOrder returns err. If err is the response to another request, later responses on that
// connection are wrong, too, so checkOrder closes all idle connections.
func (q requester) checkOrder(err error) error {
	if errors.Is(err, errOtherResponse) {
		q.client.CloseIdleConnections()
	}
	return err
}

package tus

import (
	"context"
	"errors"
	"net/url"
	"time"
)

// patched is the response to a PATCH.
type patched struct {
	offset   int64 // new offset
	expires  time.Time
	response *Response
}

// patch sends one chunk. A smaller offset than the end of the chunk is a short write, after
// which the rest has to be sent again.
func (q requester) patch(ctx context.Context, upload *url.URL, c chunk) (patched, error) {
	r := q.client.protocol.patch(c)
	r.url = upload
	got, err := q.do(ctx, r)
	if err != nil {
		return patched{}, err
	}
	stored, err := q.client.protocol.patched(got, c)
	return stored, q.inStep(err)
}

// inStep returns err. If that is a response to another request, the responses on one of the
// connections are out of step, and all idle ones are closed.
func (q requester) inStep(err error) error {
	if errors.Is(err, errOtherResponse) {
		q.client.CloseIdleConnections()
	}
	return err
}

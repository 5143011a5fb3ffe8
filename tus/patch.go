package tus

import (
	"context"
	"errors"
	"net/url"
	"time"
)

// chunk is what one PATCH sends.
type chunk struct {
	offset, size int64
	// declare is the length of the whole upload, if the server does not know it yet and
	// this request sends it (section Creation, Upload-Defer-Length).
	declare  int64
	declares bool
	last     bool             // it completes the upload
	data     []byte           // if it is in memory
	sum      chunkSum         // of data, if that is known already
	checksum chunkSum         // to send; zero for none
	trailer  *checksumTrailer // nil for none
	payload  func(ctx context.Context) *body
}

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

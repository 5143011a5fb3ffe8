package tus

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// chunk is what one PATCH sends.
type chunk struct {
	offset, size int64
	// declare is the length of the whole upload, where the server does not know
	// it yet and this request tells it (section Creation, Upload-Defer-Length).
	declare  int64
	declares bool
	last     bool             // it completes the upload
	data     []byte           // if it is in memory
	sum      readahead.Sum    // of data, if that is known already
	checksum string           // value of Upload-Checksum; empty for none
	trailer  *checksumTrailer // nil for none
	payload  *send.Payload
}

// patched is the server's word on a PATCH.
type patched struct {
	offset   int64 // new offset
	expires  time.Time
	response *Response
}

// patch sends one chunk (protocol section PATCH). The acknowledged offset lies
// between the chunk's start and end; a smaller one than the end is a short
// write, after which the rest has to be sent again.
func (c *Client) patch(ctx context.Context, u *url.URL, p chunk, hooks hookSet, m *meter) (patched, error) {
	header := http.Header{}
	header.Set(headerUploadOffset, strconv.FormatInt(p.offset, 10))
	header.Set(headerContentType, offsetContentType)
	if p.declares {
		header.Set(headerUploadLength, strconv.FormatInt(p.declare, 10))
	}
	r := &request{
		method: http.MethodPatch, url: u, header: header, offset: p.offset,
		payload: p.payload, size: p.size, trailer: p.trailer, hooks: hooks, meter: m,
	}
	if p.checksum != "" {
		header.Set(headerUploadChecksum, p.checksum)
	}
	resp, err := c.do(ctx, r)
	if err != nil {
		return patched{}, err
	}
	offset, present, err := parseInteger(resp.Header, headerUploadOffset)
	// A server may answer the request that completes the upload like a creation: 201
	// with a Location.
	completes := p.last && resp.StatusCode == http.StatusCreated && present && err == nil && offset == p.offset+p.size
	if !completes {
		if err := c.checkUpload(r, resp); err != nil {
			return patched{}, err
		}
	}
	switch {
	case err != nil:
	case !present:
		err = errNoOffset
	case offset < p.offset:
		err = fmt.Errorf("%w: %s went back from %d to %d", ErrProtocol, headerUploadOffset, p.offset, offset)
	case offset > p.offset+p.size:
		err = offsetBeyond(offset, p.offset+p.size)
	case offset > p.offset+r.sent:
		err = errAhead
	case offset == p.offset && p.size > 0:
		err = errNothingStored
	}
	if err != nil {
		return patched{}, r.fail(resp, err)
	}
	return patched{offset: offset, expires: parseExpires(resp.Header), response: resp}, nil
}

func offsetBeyond(offset, end int64) error {
	return fmt.Errorf("%w: %s is %d, beyond the %d that were sent", ErrProtocol, headerUploadOffset, offset, end)
}

// checkUpload is check for a request to an upload URL, where 404 and 410 mean
// that the upload is gone.
func (c *Client) checkUpload(r *request, resp *Response) error {
	switch {
	case resp.StatusCode == http.StatusCreated && resp.Header.Get(headerLocation) != "":
		c.CloseIdleConnections() // on one of them, responses are out of step
		return r.fail(resp, errOtherAnswer)
	case isGone(resp.StatusCode) && !ofTus(resp):
		return r.fail(resp, errNotTus)
	case isGone(resp.StatusCode):
		return r.fail(resp, ErrUploadGone)
	}
	return r.check(resp)
}

package tus

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// creation is the wish for a new upload (protocol section Creation, POST).
type creation struct {
	length   int64
	deferred bool // the length is not known yet
	metadata Metadata

	// payload, if not nil, goes along in the same request (section Creation
	// With Upload).
	payload func(ctx context.Context) (*body, error)
	size    int64 // of the payload
}

// created is the server's word on a new upload.
type created struct {
	url      *url.URL
	offset   int64 // above zero only after a creation with upload
	expires  time.Time
	response *Response
}

// create sends the POST that creates an upload.
func (c *Client) create(ctx context.Context, wish creation, hooks hookSet, m *meter) (created, error) {
	header := http.Header{}
	if wish.deferred {
		header.Set(headerUploadDeferLength, "1")
	} else {
		header.Set(headerUploadLength, strconv.FormatInt(wish.length, 10))
	}
	if len(wish.metadata) > 0 {
		header.Set(headerUploadMetadata, wish.metadata.String())
	}
	if wish.payload != nil {
		header.Set(headerContentType, offsetContentType)
	}
	r := &request{
		method: http.MethodPost, url: c.endpoint, header: header,
		payload: wish.payload, size: wish.size, hooks: hooks, meter: m,
	}
	resp, err := c.do(ctx, r)
	if err != nil {
		return created{}, err
	}
	if err := r.check(resp); err != nil {
		return created{}, err
	}
	return c.readCreation(r, resp)
}

func (c *Client) readCreation(r *request, resp *Response) (created, error) {
	location := resp.Header.Get(headerLocation)
	if location == "" {
		return created{}, r.fail(resp, ErrNoLocation)
	}
	u, err := resolveLocation(resp.url, location)
	if err == nil {
		err = c.refuseDowngrade(resp.url, u)
	}
	if err != nil {
		return created{}, r.fail(resp, err)
	}
	made := created{url: u, expires: parseExpires(resp.Header), response: resp}
	if r.payload != nil {
		// An absent Upload-Offset means that the payload was ignored.
		made.offset, _, err = parseInteger(resp.Header, headerUploadOffset)
		if err == nil && made.offset > r.size {
			err = offsetBeyond(made.offset, r.size)
		}
		if err != nil {
			return created{}, r.fail(resp, err)
		}
	}
	return made, nil
}

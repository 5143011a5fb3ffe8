package tus

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Info is what the server tells about an upload.
type Info struct {
	// Offset is the number of bytes that the server has. For an unfinished final
	// upload of a concatenation it is 0, as the protocol does not define it.
	Offset int64
	// Length is the size of the whole upload in bytes. It has no meaning if
	// LengthDeferred is set.
	Length int64
	// LengthDeferred says that the server does not state the length: in most cases it
	// does not know it yet.
	LengthDeferred bool
	// Metadata is what was given at the creation.
	Metadata Metadata
	// Concat tells partial and final uploads, and PartialURLs the parts of a
	// final one as the server names them.
	Concat      Concat
	PartialURLs []string
	// Expires is when the server forgets the upload if it is not finished; zero
	// if it does not say.
	Expires time.Time
	// Response is the whole answer.
	Response *Response
}

// Complete reports whether the server has all bytes.
func (i Info) Complete() bool { return !i.LengthDeferred && i.Offset == i.Length }

// withLength returns i with the length that the client created the upload with, if the
// server states neither a length nor that it is deferred.
func (i Info) withLength(length int64) Info {
	if i.LengthDeferred && i.Response.Header.Get(headerUploadDeferLength) == "" {
		i.Length, i.LengthDeferred = length, false
	}
	return i
}

// Info asks the server about an upload (protocol section HEAD), retrying by the
// client's policy. The upload may have been created by another program. A URL that
// the server does not know is an error matching [ErrUploadGone]. Note that some
// servers, tusd among them, break off a running PATCH of the same upload.
func (c *Client) Info(ctx context.Context, uploadURL string) (Info, error) {
	u, err := parseURL("upload URL", uploadURL)
	if err != nil {
		return Info{}, err
	}
	var info Info
	q := c.requester()
	err = q.retrying(ctx, func() (err error) {
		info, err = q.head(ctx, u)
		return err
	})
	return info, q.confirmGone(ctx, u, err)
}

// head sends HEAD and reads the answer strictly.
func (q requester) head(ctx context.Context, u *url.URL) (Info, error) {
	r := &request{
		method: http.MethodHead, url: u,
		header: http.Header{"Cache-Control": {"no-cache, no-store"}},
	}
	resp, err := q.do(ctx, r)
	if err != nil {
		return Info{}, err
	}
	if err := q.client.checkUpload(r, resp); err != nil {
		return Info{}, err
	}
	info, err := readInfo(resp)
	if err != nil && resp.Header.Get(headerUploadOffset) == "" && !ofTus(resp) { // a page
		err = errNotTus
	}
	if err != nil {
		return Info{}, r.fail(resp, err)
	}
	return info, nil
}

func readInfo(resp *Response) (Info, error) {
	info := Info{
		Metadata: parseMetadata(resp.Header.Get(headerUploadMetadata)),
		Expires:  parseExpires(resp.Header),
		Response: resp,
	}
	info.Concat, info.PartialURLs = parseConcat(resp.Header.Get(headerUploadConcat))
	offset, hasOffset, err := parseInteger(resp.Header, headerUploadOffset)
	if err != nil {
		return Info{}, err
	}
	length, hasLength, err := parseInteger(resp.Header, headerUploadLength)
	if err != nil {
		return Info{}, err
	}
	info.Offset, info.Length, info.LengthDeferred = offset, length, !hasLength
	switch {
	case !hasOffset && info.Concat != ConcatFinal:
		return Info{}, fmt.Errorf("%w: no %s", ErrProtocol, headerUploadOffset)
	case hasLength && offset > length:
		return Info{}, fmt.Errorf("%w: %s %d is beyond %s %d", ErrProtocol, headerUploadOffset, offset, headerUploadLength, length)
	}
	return info, nil
}

package tus

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Info is the state of an upload on the server.
type Info struct {
	// Offset is the number of bytes that the server has. It is 0 for a final upload that is
	// not complete, as the protocol does not define it.
	Offset int64
	// Length is the size of the whole upload in bytes. It is meaningless if LengthDeferred
	// is set.
	Length int64
	// LengthDeferred is set if the server does not send the length, usually because it was
	// deferred.
	LengthDeferred bool
	// Metadata is the metadata of the upload.
	Metadata Metadata
	// Concat is "partial" or "final" for an upload of that role in a concatenation. The
	// header field Upload-Concat of the response lists the parts of a final upload.
	Concat string
	// Expires is when the server deletes the upload if it is not complete; zero if the
	// response has no expiry.
	Expires time.Time
	// Response is the response of the server.
	Response *Response

	lengthUnstated bool // the response has neither Upload-Length nor Upload-Defer-Length
}

// Complete reports whether the server has all bytes.
func (i Info) Complete() bool { return !i.LengthDeferred && i.Offset == i.Length }

// withLength returns i with the length at the creation, if lengthUnstated is set.
func (i Info) withLength(length int64) Info {
	if i.lengthUnstated {
		i.Length, i.LengthDeferred, i.lengthUnstated = length, false, false
	}
	return i
}

// Info requests the state of an upload (protocol section HEAD), retrying by the client's
// policy. The upload may have been created by another program. If the server has no upload
// at the URL, the error matches [ErrUploadGone]. Some servers, such as tusd, interrupt a
// PATCH of the same upload that is in flight.
func (c *Client) Info(ctx context.Context, uploadURL string) (Info, error) {
	u, err := parseURL("upload URL", uploadURL)
	if err != nil {
		return Info{}, err
	}
	var info Info
	var gone absence
	q := c.requester()
	err = q.retrying(ctx, func(tries *budget) (err error) {
		info, err = q.head(ctx, u)
		return gone.note(ctx, q, u, err, tries)
	})
	return info, err
}

// headError returns an error about the response to HEAD.
func (q requester) headError(upload *url.URL, info Info, cause error) error {
	return &Error{Method: http.MethodHead, URL: q.redactor.URL(upload), StatusCode: info.Response.StatusCode, Err: cause}
}

func (q requester) head(ctx context.Context, upload *url.URL) (Info, error) {
	got, err := q.do(ctx, upload, q.client.protocol.head())
	if err != nil {
		return Info{}, err
	}
	info, err := q.client.protocol.info(got)
	return info, q.checkOrder(err)
}

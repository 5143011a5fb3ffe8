package tus

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// concatenationTimeout is the least time that a server has for its response while it
// makes a final upload.
const concatenationTimeout = 10 * time.Minute

// creation is the wish for a new upload (protocol section Creation, POST).
type creation struct {
	length   int64
	deferred bool // the length is not known yet
	metadata Metadata
	partial  bool     // section Concatenation
	final    []string // the URLs of the partial uploads; nil for no final upload

	// payload, if not nil, goes along in the same request (section Creation
	// With Upload). That of an empty source has no bytes.
	payload  *send.Payload
	size     int64            // of the payload
	checksum string           // value of Upload-Checksum; empty for none
	trailer  *checksumTrailer // nil for none
}

// whole reports whether the creation may complete an upload of the given length.
func (w creation) whole() bool {
	return !w.deferred && !w.partial && w.final == nil && w.size == w.length
}

// created is the server's response to a creation.
type created struct {
	url      *url.URL // nil if the creation completed the upload without naming one
	offset   int64    // above zero only after a creation with upload
	asks     bool     // the offset is to be asked for
	expires  time.Time
	response *Response
	kept     http.Header // of the response, by Options.KeepHeaders
}

// create sends the POST that creates an upload.
func (c *Client) create(ctx context.Context, wish creation, hooks hookSet, m *meter) (created, error) {
	header := http.Header{}
	switch {
	case wish.final != nil: // has the length of its parts
		header.Set(headerUploadConcat, "final;"+strings.Join(wish.final, " "))
	case wish.deferred:
		header.Set(headerUploadDeferLength, "1")
	default:
		header.Set(headerUploadLength, strconv.FormatInt(wish.length, 10))
	}
	if wish.partial {
		header.Set(headerUploadConcat, "partial")
	}
	if len(wish.metadata) > 0 {
		header.Set(headerUploadMetadata, wish.metadata.String())
	}
	if wish.payload != nil {
		header.Set(headerContentType, offsetContentType)
	}
	r := &request{
		method: http.MethodPost, url: c.endpoint, header: header,
		payload: wish.payload, size: wish.size, trailer: wish.trailer, hooks: hooks, meter: m,
	}
	if wish.checksum != "" {
		header.Set(headerUploadChecksum, wish.checksum)
	}
	if wish.final != nil {
		r.leastResponse = concatenationTimeout // the server may copy it all first
	}
	resp, err := c.do(ctx, r)
	if err != nil {
		return created{}, err
	}
	if err := r.check(resp); err != nil {
		if wish.final != nil {
			err = concatRefused(err, wish.final)
		}
		return created{}, err
	}
	return c.readCreation(r, wish, resp)
}

func (c *Client) readCreation(r *request, wish creation, resp *Response) (created, error) {
	location := resp.Header.Get(headerLocation)
	if location == "" && completedBy(resp, wish, r.sent) {
		return created{offset: wish.length, response: resp, kept: c.keepHeader(r, resp)}, nil
	}
	if location == "" {
		return created{}, r.fail(resp, ErrNoLocation)
	}
	to, err := c.follow(r, location)
	if err == nil && !to.trusted() && c.trusts(to.url) {
		// Later requests to it would take the credentials to a URL of its choice.
		err = fmt.Errorf("%w: %v named the upload URL %s, but is not one of Options.TrustedOrigins", ErrProtocol, to.foreign, c.redactor.URL(to.url))
	}
	if err != nil {
		return created{}, r.fail(resp, err)
	}
	made := created{url: to.url, expires: parseExpires(resp.Header), response: resp, kept: c.keepHeader(r, resp)}
	offset, told, err := parseInteger(resp.Header, headerUploadOffset)
	if r.payload != nil {
		// An absent Upload-Offset means that the payload was ignored.
		made.offset = offset
		if err == nil && made.offset > r.size {
			err = offsetBeyond(made.offset, r.size)
		}
		// An answer that came before the bytes had left cannot confirm them. The
		// upload exists, and only HEAD tells its offset.
		made.asks = made.offset > r.sent
		if err != nil {
			return created{}, r.fail(resp, err)
		}
	}
	if wish.length == 0 && wish.whole() && !told { // some servers complete no empty upload without a PATCH
		made.asks = true
	}
	return made, nil
}

// completedBy reports whether a response without Location says that the creation
// completed the upload: services that put a result in place of the upload respond like
// that, and oCIS to an empty one.
func completedBy(resp *Response, wish creation, sent int64) bool {
	if !wish.whole() {
		return false
	}
	offset, told, err := parseInteger(resp.Header, headerUploadOffset)
	if told {
		return err == nil && offset == wish.length && offset <= sent
	}
	return wish.length == 0 && resp.StatusCode == http.StatusCreated && (ofTus(resp) || len(resp.Header.Values(headerLocation)) > 0)
}

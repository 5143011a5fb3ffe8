package tus

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"strconv"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// ownHeader returns the canonical form of the name of a header field for values of this
// package, "" for none.
func ownHeader(option, name string) (string, error) {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case name == "":
		return "", nil
	case !httpx.IsToken(name):
		return "", fmt.Errorf("%w: Options.%s is %s, which is not a header name", ErrInvalidInput, option, httpx.QuoteShort(name))
	case reservedHeader(canonical), carriesCredentials(canonical), canonical == "Host", canonical == "User-Agent", canonical == "Accept-Encoding":
		return "", fmt.Errorf("%w: Options.%s is %s, which has another purpose", ErrInvalidInput, option, canonical)
	}
	return canonical, nil
}

// addOwn adds a new ID and the revision of the record, if requests have them.
func (x *exchange) addOwn(req *http.Request) {
	opts := &x.client.opts
	if opts.RequestIDHeader != "" {
		req.Header.Set(opts.RequestIDHeader, storage.NewID())
	}
	if opts.FenceHeader != "" && x.revision != nil {
		if n := x.revision(); n > 0 {
			req.Header.Set(opts.FenceHeader, strconv.FormatInt(n, 10))
		}
	}
}

// noteSent notes the ID of the request, which a hook may have replaced, and its secrets. The
// own values are not among them: a response that names them helps.
func (x *exchange) noteSent(req *http.Request) {
	opts := &x.client.opts
	if opts.RequestIDHeader != "" || opts.FenceHeader != "" {
		x.requestID = excerpt(req.Header.Get(opts.RequestIDHeader))
		rest := *req
		rest.Header = maps.Clone(req.Header)
		rest.Header.Del(opts.RequestIDHeader)
		rest.Header.Del(opts.FenceHeader)
		req = &rest
	}
	x.secrets = x.hop.redactor.Sent(x.client.http, req)
}

// serverRequestID returns the ID in a response, "" if there is none or it is that of the
// request.
func (x *exchange) serverRequestID(resp *http.Response) string {
	if x.client.opts.RequestIDHeader == "" {
		return ""
	}
	id := x.secrets.printable(resp.Header.Get(x.client.opts.RequestIDHeader))
	if id == x.requestID {
		return ""
	}
	return id
}

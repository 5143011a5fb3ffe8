package tus

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// requestIDHeader returns the canonical form of Options.RequestIDHeader, "" for none.
func requestIDHeader(name string) (string, error) {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case name == "":
		return "", nil
	case !httpx.IsToken(name):
		return "", fmt.Errorf("%w: Options.RequestIDHeader is %s, which is not a header name", ErrInvalidInput, httpx.QuoteShort(name))
	case reservedHeader(canonical), carriesCredentials(canonical), canonical == "Host", canonical == "User-Agent", canonical == "Accept-Encoding":
		return "", fmt.Errorf("%w: Options.RequestIDHeader is %s, which has another purpose", ErrInvalidInput, canonical)
	}
	return canonical, nil
}

// addRequestID gives the request a new ID, if requests have one.
func (x *exchange) addRequestID(req *http.Request) {
	if name := x.client.opts.RequestIDHeader; name != "" {
		req.Header.Set(name, storage.NewID())
	}
}

// noteSent notes the ID of the request, which a hook may have replaced, and its secrets. The
// ID is not one of them: a response that names it helps.
func (x *exchange) noteSent(req *http.Request) {
	if name := x.client.opts.RequestIDHeader; name != "" {
		x.requestID = excerpt(req.Header.Get(name))
		rest := *req
		rest.Header = maps.Clone(req.Header)
		rest.Header.Del(name)
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

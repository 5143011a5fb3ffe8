package tus

import (
	"context"
	"net/http"
	"net/url"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
	"github.com/seed-175555ba/tus-go/tus/internal/send"
)

// NewTransport returns the transport that a [Client] uses unless [Options.HTTPClient] is
// set. It uses HTTP/1.1, because parallel parts would share one TCP connection over HTTP/2.
// It does not decompress responses, and sends files without copying them. Modify its
// exported fields before the first request only, for example TLSClientConfig for a private
// certificate authority, or Proxy (by default taken from the environment).
func NewTransport() *http.Transport {
	transport := send.NewTransport()
	transport.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
		if resp.StatusCode != http.StatusOK {
			return &proxyError{resp.StatusCode, resp.Status}
		}
		return nil
	}
	return transport
}

// checksumTrailer sends the checksum of a body after it (protocol section Checksum,
// extension checksum-trailer).
type checksumTrailer struct {
	algorithm checksum.Algorithm
	sum       []byte // of the last body that was sent to its end
}

// addTo adds the trailer to a request.
func (t *checksumTrailer) addTo(req *http.Request, bodies *send.Bodies, p protocol) {
	req.ContentLength = -1 // HTTP/1.1 has trailers only after a chunked body
	name, _ := p.checksum(readahead.Sum{})
	req.Trailer = http.Header{name: nil}
	bodies.Hash = t.algorithm.New
	bodies.Sum = func(sum []byte) {
		t.sum = sum
		req.Trailer.Set(p.checksum(readahead.Sum{Algorithm: t.algorithm.Name, Sum: sum}))
	}
}

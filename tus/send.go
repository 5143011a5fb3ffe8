package tus

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

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

const (
	// defaultCreationLimit is the maximum number of bytes in a creation while the rate of
	// the link is unknown, and on slow links.
	defaultCreationLimit = 1 << 20
	// maxCreationLimit is the maximum on fast links.
	maxCreationLimit = 8 << 20
	// minMeasured is the minimum size of a request whose rate is measured.
	minMeasured = 256 << 10
)

// sendRate is the rate of the last large request.
type sendRate struct{ perSecond atomic.Int64 }

// measure records the rate of a successful request that carried sent bytes.
func (r *sendRate) measure(sent int64, took time.Duration) {
	if sent >= minMeasured {
		r.perSecond.Store(int64(float64(sent) / max(took, time.Microsecond).Seconds()))
	}
}

// creationLimit returns how many bytes a creation may carry: those of about a second.
func (r *sendRate) creationLimit() int64 {
	return min(max(r.perSecond.Load(), defaultCreationLimit), maxCreationLimit)
}

package tus

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/checksums"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

// protocolVersion is the version of the tus protocol that this package speaks.
const protocolVersion = "1.0.0"

// Header names of the core protocol and its extensions.
const (
	headerTusResumable      = "Tus-Resumable"
	headerTusVersion        = "Tus-Version"
	headerTusExtension      = "Tus-Extension"
	headerTusMaxSize        = "Tus-Max-Size"
	headerChecksumAlgorithm = "Tus-Checksum-Algorithm"
	headerUploadOffset      = "Upload-Offset"
	headerUploadLength      = "Upload-Length"
	headerUploadDeferLength = "Upload-Defer-Length"
	headerUploadMetadata    = "Upload-Metadata"
	headerUploadExpires     = "Upload-Expires"
	headerUploadConcat      = "Upload-Concat"
	headerUploadChecksum    = "Upload-Checksum"
)

// offsetContentType is the media type of every request body that carries
// bytes of an upload.
const offsetContentType = "application/offset+octet-stream"

// concatenationTimeout is the minimum response timeout for a final upload: the server may
// copy all of its bytes first.
const concatenationTimeout = 10 * time.Minute

// protocolTus is tus 1.0.0.
type protocolTus struct{}

// request returns a request with the header field of all methods except OPTIONS (protocol
// section Tus-Resumable).
func (protocolTus) request(method string) *request {
	return &request{method: method, header: http.Header{headerTusResumable: {protocolVersion}}}
}

func (protocolTus) options() *request {
	return &request{method: http.MethodOptions, header: http.Header{}}
}

// create follows protocol section Creation, POST.
func (t protocolTus) create(c creation) *request {
	r := t.request(http.MethodPost)
	switch {
	case c.final != nil: // the server adds up the lengths of the parts
		r.header.Set(headerUploadConcat, "final;"+strings.Join(c.final, " "))
		r.minResponse = concatenationTimeout
	case c.deferred:
		r.header.Set(headerUploadDeferLength, "1")
	default:
		r.header.Set(headerUploadLength, strconv.FormatInt(c.length, 10))
	}
	if c.partial {
		r.header.Set(headerUploadConcat, concatPartial)
	}
	if len(c.metadata) > 0 {
		r.header.Set(headerUploadMetadata, c.metadata.header())
	}
	if c.payload != nil {
		r.header.Set(headerContentType, offsetContentType)
		r.payload = c.payload
	}
	return r
}

// patch follows protocol section PATCH.
func (t protocolTus) patch(c chunk) *request {
	r := t.request(http.MethodPatch)
	r.header.Set(headerUploadOffset, strconv.FormatInt(c.offset, 10))
	r.header.Set(headerContentType, offsetContentType)
	if c.declares {
		r.header.Set(headerUploadLength, strconv.FormatInt(c.declare, 10))
	}
	r.offset, r.payload, r.trailer = c.offset, c.payload, c.trailer
	if c.checksum.Sum != nil {
		r.header.Set(t.checksum(c.checksum))
	}
	return r
}

func (t protocolTus) head() *request {
	r := t.request(http.MethodHead)
	r.header.Set("Cache-Control", "no-cache, no-store")
	return r
}

func (t protocolTus) terminate() *request { return t.request(http.MethodDelete) }

// checksum follows protocol section Checksum.
func (protocolTus) checksum(sum readahead.Sum) (name, value string) {
	return headerUploadChecksum, checksums.FormatHeader(sum.Algorithm, sum.Sum)
}

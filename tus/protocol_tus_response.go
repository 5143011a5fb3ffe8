package tus

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/seed-175555ba/tus-go/tus/internal/checksums"
)

// What a successful response of tus 1.0.0 means. Refusals are in protocol_tus_refusal.go.

// errNothingStored is a successful PATCH that stored no byte. It is retried like a
// failure, as the request would be repeated without an end otherwise.
var errNothingStored = errors.New("server stored nothing of the request")

// errAhead is a response that acknowledges more bytes than had been sent when it arrived,
// such as a duplicated or reordered one. Only HEAD returns the offset.
var errAhead = errors.New("server acknowledged bytes that had not been sent")

// errNoOffset is a successful PATCH without Upload-Offset, such as a login page. Only HEAD
// returns the offset.
var errNoOffset = fmt.Errorf("%w: no %s", ErrProtocol, headerUploadOffset)

// errNoCapabilities is a successful response to OPTIONS that does not say what the server
// supports.
var errNoCapabilities = fmt.Errorf("%w: no %s: %w", ErrProtocol, headerTusVersion, ErrUnsupported)

func offsetBeyond(offset, end int64) error {
	return fmt.Errorf("%w: %s is %d, beyond the %d bytes sent", ErrProtocol, headerUploadOffset, offset, end)
}

// ofTus reports whether a response is that of a tus server (protocol sections
// Tus-Resumable and Tus-Version).
func ofTus(h http.Header) bool {
	return h.Get(headerTusResumable) != "" || h.Get(headerTusVersion) != ""
}

func (t protocolTus) capabilities(r *reply) (Capabilities, error) {
	if err := t.check(r); err != nil {
		return Capabilities{}, err
	}
	if !ofTus(r.Header) && r.Header.Get(headerTusExtension) == "" && r.Header.Get(headerTusMaxSize) == "" {
		// A captive portal, or a server that responds to OPTIONS for all origins (CORS).
		return Capabilities{}, t.fail(r, errNoCapabilities)
	}
	found := Capabilities{
		Versions:           parseList(r.Header, headerTusVersion),
		MaxSize:            parseMaxSize(r.Header),
		ChecksumAlgorithms: checksums.ParseAlgorithms(r.Header.Values(headerChecksumAlgorithm)),
	}
	for _, name := range parseList(r.Header, headerTusExtension) {
		found.Extensions = append(found.Extensions, strings.ToLower(name))
	}
	return found, nil
}

// created follows protocol sections Creation and Creation With Upload.
func (t protocolTus) created(r *reply, c creation) (created, error) {
	if !r.succeeded() {
		return created{}, t.fail(r, concatRefused(r.StatusCode, c.final, t.refusal(r)))
	}
	location := r.Header.Get(headerLocation)
	if location == "" {
		if completedBy(r, c) {
			return created{offset: c.length}, nil
		}
		return created{}, t.fail(r, fmt.Errorf("%w: creation without %s", ErrProtocol, headerLocation))
	}
	made := created{location: location, expires: parseExpires(r.Header)}
	offset, present, err := parseInteger(r.Header, headerUploadOffset)
	if c.payload != nil {
		// An absent Upload-Offset means that the payload was ignored.
		made.offset = offset
		if err == nil && offset > c.length {
			err = offsetBeyond(offset, c.length)
		}
		if err != nil {
			return created{}, t.fail(r, err)
		}
		// A response that arrived before the bytes had left cannot acknowledge them.
		// The upload exists, and only HEAD returns its offset.
		made.asks = offset > r.sent
	}
	if c.length == 0 && c.whole() && !present { // some servers complete no empty upload without a PATCH
		made.asks = true
	}
	return made, nil
}

// completedBy reports whether a response without Location says that the creation
// completed the upload: services that put a result in place of the upload respond like
// that, and oCIS to an empty one.
func completedBy(r *reply, c creation) bool {
	if !c.whole() {
		return false
	}
	offset, present, err := parseInteger(r.Header, headerUploadOffset)
	if present {
		return err == nil && offset == c.length && offset <= r.sent
	}
	return c.length == 0 && r.StatusCode == http.StatusCreated && (ofTus(r.Header) || len(r.Header.Values(headerLocation)) > 0)
}

// patched follows protocol section PATCH. The acknowledged offset lies between the start
// and the end of the chunk; a smaller one than the end is a short write.
func (t protocolTus) patched(r *reply, c chunk) (patched, error) {
	offset, present, err := parseInteger(r.Header, headerUploadOffset)
	// A server may respond to the request that completes the upload as to a creation: 201
	// with a Location.
	completes := c.last && r.StatusCode == http.StatusCreated && present && err == nil && offset == c.offset+c.size
	if !completes {
		if err := t.checkUpload(r); err != nil {
			return patched{}, err
		}
	}
	switch {
	case err != nil:
	case !present:
		err = errNoOffset
	default:
		err = c.checkOffset(offset, r.sent)
	}
	if err != nil {
		return patched{}, t.fail(r, err)
	}
	return patched{offset: offset, expires: parseExpires(r.Header), response: r.Response}, nil
}

// checkOffset returns an error unless the server can be at an offset after sent bytes of
// the chunk.
func (c chunk) checkOffset(offset, sent int64) error {
	switch {
	case offset < c.offset:
		return fmt.Errorf("%w: %s went back from %d to %d", ErrProtocol, headerUploadOffset, c.offset, offset)
	case offset > c.offset+c.size:
		return offsetBeyond(offset, c.offset+c.size)
	case offset > c.offset+sent:
		return errAhead
	case offset == c.offset && c.size > 0:
		return errNothingStored
	}
	return nil
}

// info follows protocol section HEAD.
func (t protocolTus) info(r *reply) (Info, error) {
	if err := t.checkUpload(r); err != nil {
		return Info{}, err
	}
	info, err := readInfo(r.Response)
	if err != nil && r.Header.Get(headerUploadOffset) == "" && !ofTus(r.Header) { // a page
		err = errNotTus
	}
	if err != nil {
		return Info{}, t.fail(r, err)
	}
	return info, nil
}

func readInfo(resp *Response) (Info, error) {
	h := resp.Header
	info := Info{
		Metadata: parseMetadata(h.Get(headerUploadMetadata)),
		Expires:  parseExpires(h),
		Response: resp,
	}
	info.Concat = parseConcat(h.Get(headerUploadConcat))
	offset, hasOffset, err := parseInteger(h, headerUploadOffset)
	if err != nil {
		return Info{}, err
	}
	length, hasLength, err := parseInteger(h, headerUploadLength)
	if err != nil {
		return Info{}, err
	}
	info.Offset, info.Length, info.LengthDeferred = offset, length, !hasLength
	info.lengthUnstated = !hasLength && h.Get(headerUploadDeferLength) == ""
	switch {
	case !hasOffset && info.Concat != concatFinal:
		return Info{}, fmt.Errorf("%w: no %s", ErrProtocol, headerUploadOffset)
	case hasLength && offset > length:
		return Info{}, fmt.Errorf("%w: %s %d is beyond %s %d", ErrProtocol, headerUploadOffset, offset, headerUploadLength, length)
	}
	return info, nil
}

// terminated follows protocol section Termination.
func (t protocolTus) terminated(r *reply) error {
	if err := t.checkUpload(r); err != nil {
		return err
	}
	if r.StatusCode != http.StatusNoContent && !ofTus(r.Header) {
		// A captive portal responds to everything with 200 and a page.
		return t.fail(r, errNotTus)
	}
	return nil
}

func (protocolTus) gone(r *reply) error {
	if !r.succeeded() || r.Header.Get(headerTusResumable) != "" {
		return nil
	}
	return fmt.Errorf("%w: the status stays, and the server never sends %s", ErrUploadGone, headerTusResumable)
}

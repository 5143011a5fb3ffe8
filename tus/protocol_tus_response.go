package tus

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/seed-175555ba/tus-go/tus/internal/checksums"
)

// The meaning of successful responses in tus 1.0.0. Refusals are in protocol_tus_refusal.go.

// errNothingStored is the cause of an error if a successful PATCH stored no byte. It counts
// as a failure, as the request would otherwise be repeated forever.
var errNothingStored = errors.New("server stored nothing of the request")

// errAhead is the cause of an error if a response acknowledges more bytes than were sent
// when it arrived, for example because it was duplicated or reordered. HEAD returns the
// right offset.
var errAhead = errors.New("server acknowledged bytes that had not been sent")

// errNoOffset is the cause of an error if a successful response to PATCH has no
// Upload-Offset, as a login page. HEAD returns the offset.
var errNoOffset = fmt.Errorf("%w: no %s", ErrProtocol, headerUploadOffset)

// errOverrideIgnored is the cause of an error if a server created an upload in response to a
// PATCH that was sent as POST.
var errOverrideIgnored = fmt.Errorf("%w: %s: the server created another upload instead", ErrUnsupported, headerMethodOverride)

// createdAnother reports whether a response says that an upload with another URL was created.
func (r *reply) createdAnother() bool {
	location := r.Header.Get(headerLocation)
	at, err := r.to.url.Parse(location)
	return r.succeeded() && location != "" && (err != nil || at.Path != r.to.url.Path)
}

// errNoCapabilities is the cause of an error if a successful response to OPTIONS has no
// header field of the protocol.
var errNoCapabilities = fmt.Errorf("%w: no %s: %w", ErrProtocol, headerTusVersion, ErrUnsupported)

func offsetBeyond(offset, end int64) error {
	return fmt.Errorf("%w: %s is %d, beyond the %d bytes sent", ErrProtocol, headerUploadOffset, offset, end)
}

// isTus reports whether the header is from a tus server (protocol sections
// Tus-Resumable and Tus-Version).
func isTus(h http.Header) bool {
	return h.Get(headerTusResumable) != "" || h.Get(headerTusVersion) != ""
}

func (t protocolTus) capabilities(r *reply) (Capabilities, error) {
	if err := t.check(r); err != nil {
		return Capabilities{}, err
	}
	if !isTus(r.Header) && r.Header.Get(headerTusExtension) == "" && r.Header.Get(headerTusMaxSize) == "" {
		// A captive portal, or a server that responds to OPTIONS for all origins (CORS).
		return Capabilities{}, t.fail(r, errNoCapabilities)
	}
	// Servers without a limit send their largest number, a word such as "Infinity", or -1: no
	// valid integer is no limit.
	maxSize, _, _ := parseInteger(r.Header, headerTusMaxSize)
	found := Capabilities{
		Versions:           parseList(r.Header, headerTusVersion),
		MaxSize:            maxSize,
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
	upload := created{location: location, expires: parseExpires(r.Header)}
	offset, present, err := parseInteger(r.Header, headerUploadOffset)
	if c.payload != nil {
		// An absent Upload-Offset means that the payload was ignored.
		upload.offset = offset
		if err == nil && offset > c.payload.Size {
			err = offsetBeyond(offset, c.payload.Size)
		}
		if err != nil {
			return created{}, t.fail(r, err)
		}
		// A response that arrived before the bytes were sent cannot acknowledge them. The
		// upload exists, and HEAD returns its offset.
		upload.needsHead = offset > r.sent
	}
	if c.length == 0 && c.whole() && !present { // some servers complete no empty upload without a PATCH
		upload.needsHead = true
	}
	return upload, nil
}

// completedBy reports whether a response without Location means that the creation completed
// the upload: services that replace the upload by a result respond like that, and oCIS
// after an empty upload.
func completedBy(r *reply, c creation) bool {
	if !c.whole() {
		return false
	}
	offset, present, err := parseInteger(r.Header, headerUploadOffset)
	if present {
		return err == nil && offset == c.length && offset <= r.sent
	}
	return c.length == 0 && (isTus(r.Header) || r.StatusCode == http.StatusCreated && len(r.Header.Values(headerLocation)) > 0)
}

// patched follows protocol section PATCH. The acknowledged offset is between the start and
// the end of the chunk; if it is below the end, the rest was not stored.
func (t protocolTus) patched(r *reply, c chunk) (patched, error) {
	if r.overridden && r.createdAnother() {
		return patched{}, t.fail(r, errOverrideIgnored)
	}
	offset, present, err := parseInteger(r.Header, headerUploadOffset)
	// A server may respond to the request that completes the upload with 201 and a Location,
	// as to a creation.
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

// checkOffset returns an error unless the offset is possible after sent bytes of the chunk.
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
	if err != nil && r.Header.Get(headerUploadOffset) == "" && !isTus(r.Header) { // a page
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
		Concat:   parseConcat(h.Get(headerUploadConcat)),
		Expires:  parseExpires(h),
		Response: resp,
	}
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
	if r.StatusCode != http.StatusNoContent && !isTus(r.Header) {
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

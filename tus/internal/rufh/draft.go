// Package rufh has the facts of Resumable Uploads for HTTP, the IETF draft
// draft-ietf-httpbis-resumable-upload: its versions, header fields, limits, problem types
// and file names. It is pure: it sends nothing and keeps no state.
package rufh

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/seed-175555ba/tus-go/internal/sfv"
)

// Header fields of the draft.
const (
	HeaderInterop    = "Upload-Draft-Interop-Version"
	HeaderComplete   = "Upload-Complete"
	HeaderIncomplete = "Upload-Incomplete" // version 3
	HeaderOffset     = "Upload-Offset"
	HeaderLength     = "Upload-Length"
	HeaderLimit      = "Upload-Limit"
)

// PartialUpload is the media type of an append.
const PartialUpload = "application/partial-upload"

// Newest is the newest known interop version.
const Newest = 9

// RFC is the version without Upload-Draft-Interop-Version.
const RFC = -1

// Draft is one version of the draft.
type Draft struct {
	Interop       int  // 3 to 9, or RFC
	Inverted      bool // 3: Upload-Incomplete instead of Upload-Complete
	PartialUpload bool // from 6: an append has the media type PartialUpload
	Limited       bool // from 6: servers send Upload-Limit
	Expires       bool // 6: the lifetime in Upload-Limit is "expires" instead of "max-age"
	Authoritative bool // from 7: "complete" in a response is the response of the target
	Replays       bool // from 9: an empty last append to a complete upload may repeat that response
}

// Drafts returns all known versions, the oldest first and the RFC last.
func Drafts() []Draft {
	return []Draft{
		{Interop: 3, Inverted: true},
		{Interop: 4},
		{Interop: 5},
		{Interop: 6, PartialUpload: true, Limited: true, Expires: true},
		{Interop: 7, PartialUpload: true, Limited: true, Authoritative: true},
		{Interop: 8, PartialUpload: true, Limited: true, Authoritative: true},
		{Interop: 9, PartialUpload: true, Limited: true, Authoritative: true, Replays: true},
		{Interop: RFC, PartialUpload: true, Limited: true, Authoritative: true, Replays: true},
	}
}

// Lookup returns a version by its interop number, or RFC.
func Lookup(interop int) (Draft, bool) {
	for _, d := range Drafts() {
		if d.Interop == interop {
			return d, true
		}
	}
	return Draft{}, false
}

// namePrefix is that of the name of a version with an interop number.
const namePrefix = "rufh/"

// Name identifies the version in records and logs: "rufh/6", or "rufh" for the RFC.
func (d Draft) Name() string {
	if d.Interop == RFC {
		return strings.TrimSuffix(namePrefix, "/")
	}
	return namePrefix + strconv.Itoa(d.Interop)
}

// LookupName returns a version by its Name.
func LookupName(name string) (Draft, bool) {
	for _, d := range Drafts() {
		if d.Name() == name {
			return d, true
		}
	}
	return Draft{}, false
}

// Stamp sets the field that every request carries.
func (d Draft) Stamp(h http.Header) {
	if d.Interop != RFC {
		h.Set(HeaderInterop, strconv.Itoa(d.Interop))
	}
}

// Speaks reports whether a 104 is of this version. The RFC does not define the field, so
// a 104 with or without it is of the RFC.
func (d Draft) Speaks(h http.Header) bool {
	n, ok := sfv.ParseInteger(h.Values(HeaderInterop))
	return d.Interop == RFC || ok && n == int64(d.Interop)
}

package contract_test

import (
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// area is the scenarios of one subject.
type area struct {
	name      string
	scenarios []scenario
}

// areas returns all scenarios.
func areas() []area {
	return []area{
		{"creation", creation()},
		{"creation with upload", creationWithUpload()},
		{"empty sources and chunks", chunks()},
		{"resume by URL", resumeByURL()},
		{"store of URLs", store()},
		{"deferred length and streams", deferredLength()},
		{"method override", methodOverride()},
		{"parallel uploads", parallel()},
		{"abort and termination", abort()},
		{"retries", retries()},
		{"refused requests", refusals()},
		{"offsets", offsets()},
		{"checksums", checksums()},
		{"expiration", expiration()},
		{"headers, request IDs and hooks", headers()},
		{"events", events()},
	}
}

// scenario is one call of the client with the requests that it makes and its outcome.
type scenario struct {
	name   string
	call   string // what is called; "" is an upload; see calls
	url    string // the upload URL of the call
	source source
	server server
	options
	after     time.Duration // the wait before the call
	stop      string        // "pause", "abort" or "cancel", " at ", and an event
	exchanges string        // see the package comment
	want      outcome
	then      []scenario // further calls with the same store and server
}

// The calls of a scenario.
const (
	resume      = "resume"      // an existing upload
	again       = "again"       // the Uploader of the call before
	create      = "create"      // without sending bytes
	info        = "info"        // the offset and length
	terminate   = "terminate"   // an upload by its URL
	concatenate = "concatenate" // partURLs
	list        = "list"        // the stored uploads of the source
	offers      = "offers"      // what the server offers
)

// source is the data of an upload: "hello world" in memory unless a field says otherwise.
type source struct {
	text  string
	empty bool
	name  string
	kind  string // "stream" of unknown size, or "sized" stream
	fails int    // the stream fails after so many bytes, if above 0
	ends  int    // the stream ends after so many bytes, if above 0
}

// server is what the response to OPTIONS says.
type server struct {
	status     int    // 0 is 204; others have no fields
	extensions string // "" stands for those in [defaultExtensions]
	algorithms string
	maxSize    string
}

const defaultExtensions = "creation,creation-defer-length,termination,concatenation,expiration"

// options are those of the client and the upload.
type options struct {
	endpoint      string // "" is /files/
	chunk         int64
	minChunk      int64
	firstChunk    bool // first chunk in the creation
	deferLength   bool
	override      bool
	metadata      tus.Metadata
	parallel      int
	boundaries    []int64
	partMetadata  tus.Metadata
	partsRequired bool
	deleteParts   bool
	checksum      string
	header        map[string]string
	trusted       string // origin
	requestID     string
	store         bool
	fingerprint   string // a constant one
	resumeKey     string
	remember      time.Duration
	partURLs      []string
	delays        []time.Duration // before each retry; nil is three without a wait
	retryOnly     int             // a callback retries this status, and no other failure
	hookHeader    string          // a hook sets the field Signature
	hookFails     string          // a hook fails before requests with this method
}

// outcome is how a call ends. A field that is zero is not compared, unless it says otherwise.
type outcome struct {
	url        string
	err        error  // nil and no status: success
	status     int    // of the failed request
	method     string // of the failed request
	offset     int64  // acknowledged when the call failed, and that of info
	message    string // in the error
	events     string // all of them, separated by commas; see recorder
	lastEvents string // the last of them
	hooks      string // before and after requests
	stored     string // the URLs in the store, separated by spaces; always compared with a store
	waited     time.Duration
	expires    string
	header     string // "Name: value" of the response to the last PATCH

	requestID       bool // the error has the ID of the last request
	alreadyComplete bool
	listed          string // the URLs that list returns
	length          int64  // that of info
	metadata        tus.Metadata
	offers          string // extensions, algorithms and maximum size
}

package doctor

import (
	"context"
)

// check tries one property of the server.
type check struct {
	name string
	// needs are checks that must have an outcome other than No and Unknown.
	needs []string
	run   func(*session, context.Context) Finding
}

// checks returns all checks in the order in which they run.
func checks() []check {
	const creation, patch, resume = "creation", "patch", "resume"
	return []check{
		{"connection", nil, (*session).checkConnection},
		{"options", []string{"connection"}, (*session).checkOptions},
		{"extensions", []string{"options"}, (*session).checkExtensions},
		{"authentication", []string{"connection"}, (*session).checkAuthentication},
		{"clock", []string{"connection"}, (*session).checkClock},
		{"http2", []string{"connection"}, (*session).checkHTTP2},
		{creation, []string{"connection"}, (*session).checkCreation},
		{"location", []string{creation}, (*session).checkLocation},
		{patch, []string{"location"}, (*session).checkPatch},
		{resume, []string{patch}, (*session).checkResume},
		{"buffering", []string{patch}, (*session).checkBuffering},
		{"finished", []string{resume}, (*session).checkFinished},
		{"expiration", []string{creation}, (*session).checkExpiration},
		{"termination", []string{"location"}, (*session).checkTermination},
		{"creation-with-upload", []string{"location"}, (*session).checkCreationWithUpload},
		{"deferred-length", []string{patch}, (*session).checkDeferredLength},
		{"checksum", []string{patch}, (*session).checkChecksum},
		{"checksum-trailer", []string{"checksum"}, (*session).checkChecksumTrailer},
		{"concatenation", []string{patch}, (*session).checkConcatenation},
		{"body-size", []string{patch}, (*session).checkBodySize},
	}
}

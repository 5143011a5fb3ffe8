// Package report has the JSON objects that tusup prints with --json, one per line; that of
// doctor is in its package. Command schema writes their JSON schema.
package report

import (
	"encoding/json"
	"io"
	"time"
	"unicode/utf8"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
)

// Write writes v as one line.
func Write(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // URLs have &
	return e.Encode(v)
}

// Name is the name of a file. JSON has no place for bytes that are not UTF-8.
type Name struct {
	File string `json:"file" jsonschema_description:"Name on the command line; - is standard input. Bytes that are not UTF-8 are escaped as in \\xff."`
	Raw  []byte `json:"file_base64,omitempty" jsonschema_description:"The bytes of the name in base64, only if it is not UTF-8."`
}

// NameOf returns the name of a file.
func NameOf(name string) Name {
	if utf8.ValidString(name) {
		return Name{File: name}
	}
	return Name{File: text.Line(name), Raw: []byte(name)}
}

// File is the result of one file.
type File struct {
	Name
	URL             string `json:"url" jsonschema_description:"Upload URL; empty if there is none."`
	Size            int64  `json:"size" jsonschema_description:"Size in bytes; 0 while that of standard input is unknown."`
	Offset          int64  `json:"offset" jsonschema_description:"Bytes that the server has."`
	BytesSent       int64  `json:"bytes_sent" jsonschema_description:"Bytes sent by this run."`
	BytesResent     int64  `json:"bytes_resent" jsonschema_description:"Bytes in bytes_sent that were sent before."`
	ResumedFrom     int64  `json:"resumed_from" jsonschema_description:"Bytes that the server had before this run."`
	Requests        int    `json:"requests" jsonschema_description:"Number of requests."`
	Retries         int    `json:"retries" jsonschema_description:"Number of failures that were retried."`
	ElapsedMS       int64  `json:"elapsed_ms" jsonschema_description:"Time in milliseconds."`
	RequestLimit    int64  `json:"request_limit,omitempty" jsonschema_description:"Maximum size in bytes of a request, because nothing of one that was interrupted was on the server, as behind a proxy that buffers requests; absent if there is none."`
	AlreadyUploaded bool   `json:"already_uploaded,omitempty" jsonschema_description:"An earlier run completed the upload, and this one sent nothing."`
	Checksum        string `json:"checksum,omitempty" jsonschema_description:"Algorithm of the checksums that were sent with the chunks."`
	Digest          string `json:"digest,omitempty" jsonschema_description:"Digest of the whole file, such as sha256:e3b0…"`
	Worker          string `json:"worker,omitempty" jsonschema_description:"Name of the worker; absent unless tusup worker prints the object."`
	Error           *Error `json:"error,omitempty" jsonschema_description:"Why the file was not uploaded."`
}

// Summary is the last object of an upload.
type Summary struct {
	Summary Totals `json:"summary"`
}

// Totals counts the files of an upload. Every file is in one of the four groups.
type Totals struct {
	Files           int   `json:"files" jsonschema_description:"Number of files."`
	Uploaded        int   `json:"uploaded" jsonschema_description:"Files that this run completed."`
	AlreadyUploaded int   `json:"already_uploaded" jsonschema_description:"Files that an earlier run completed."`
	Unfinished      int   `json:"unfinished" jsonschema_description:"Files that were interrupted or not started."`
	Failed          int   `json:"failed" jsonschema_description:"Files that failed."`
	Bytes           int64 `json:"bytes" jsonschema_description:"Sum of the known sizes in bytes."`
	BytesSent       int64 `json:"bytes_sent" jsonschema_description:"Bytes sent by this run."`
	ElapsedMS       int64 `json:"elapsed_ms" jsonschema_description:"Time in milliseconds."`
}

// Planned is a file that a dry run would upload.
type Planned struct {
	Name
	Size     *int64            `json:"size" jsonschema_description:"Size in bytes; null for standard input." jsonschema:"nullable"`
	Metadata map[string]string `json:"metadata"`
	Resumes  bool              `json:"resumes" jsonschema_description:"The resume database has an unfinished upload of the file."`

	AlreadyUploaded bool `json:"already_uploaded,omitempty" jsonschema_description:"An earlier run completed the upload of the file."`
}

// Plan is the last object of a dry run.
type Plan struct {
	Plan PlanTotals `json:"plan"`
}

// PlanTotals counts the files of a dry run.
type PlanTotals struct {
	Files           int   `json:"files" jsonschema_description:"Number of files."`
	Bytes           int64 `json:"bytes" jsonschema_description:"Sum of the known sizes in bytes."`
	AlreadyUploaded int   `json:"already_uploaded" jsonschema_description:"Files that an earlier run completed."`
}

// Verified is the comparison of one entry of a manifest.
type Verified struct {
	Name
	Digest      string  `json:"digest" jsonschema_description:"Digest in the manifest, such as sha256:e3b0…"`
	Local       Verdict `json:"local,omitempty" jsonschema_description:"Comparison with the local file; absent for standard input."`
	LocalError  string  `json:"local_error,omitempty" jsonschema_description:"Text for people. It may change."`
	URL         string  `json:"url,omitempty" jsonschema_description:"Upload URL in the manifest."`
	Remote      Verdict `json:"remote,omitempty" jsonschema_description:"Comparison with what the server serves at the URL; absent without --download."`
	RemoteError string  `json:"remote_error,omitempty" jsonschema_description:"Text for people. It may change."`
}

// Verdict is the result of a comparison with a digest; "" means none.
type Verdict string

// The verdicts. Only Missing, NotServed and NoURL may be no failure.
const (
	Equal      Verdict = "equal"
	Different  Verdict = "different"
	Missing    Verdict = "missing"
	Unreadable Verdict = "unreadable"
	NotServed  Verdict = "not_served"
	NoURL      Verdict = "no_url"
)

// Verdicts returns all verdicts.
func Verdicts() []Verdict {
	return []Verdict{Equal, Different, Missing, Unreadable, NotServed, NoURL}
}

// Failure is printed by a command that fails without another object.
type Failure struct {
	Error *Error `json:"error"`
}

// Info is the state of an upload on the server.
type Info struct {
	URL            string            `json:"url"`
	Offset         int64             `json:"offset" jsonschema_description:"Bytes that the server has."`
	Length         int64             `json:"length" jsonschema_description:"Size in bytes, unless length_deferred is true."`
	LengthDeferred bool              `json:"length_deferred"`
	Complete       bool              `json:"complete"`
	Metadata       map[string]string `json:"metadata"`
	Concat         string            `json:"concat" jsonschema:"enum=none,enum=partial,enum=final"`
	Expires        *time.Time        `json:"expires,omitempty"`
}

// Terminated is an upload that was deleted on the server.
type Terminated struct {
	Terminated string `json:"terminated" jsonschema_description:"Upload URL."`
}

// Capabilities is what a server supports.
type Capabilities struct {
	Versions   []string `json:"versions"`
	Extensions []string `json:"extensions"`
	MaxSize    int64    `json:"max_size" jsonschema_description:"Maximum size of an upload in bytes; 0 if not advertised."`
	Checksums  []string `json:"checksum_algorithms"`
}

// Record is an upload in the resume database.
type Record struct {
	ID          string            `json:"id"`
	Fingerprint string            `json:"fingerprint"`
	Endpoint    string            `json:"endpoint"`
	URL         string            `json:"url" jsonschema_description:"Upload URL; empty if only parts of the upload exist."`
	Parts       int               `json:"parts" jsonschema_description:"Number of parts of a parallel upload."`
	Size        int64             `json:"size" jsonschema_description:"Size in bytes."`
	Metadata    map[string]string `json:"metadata"`
	Updated     time.Time         `json:"updated"`
	Completed   *time.Time        `json:"completed,omitempty" jsonschema_description:"When the upload was completed; absent while it is not."`
	Expires     *time.Time        `json:"expires,omitempty" jsonschema_description:"When the server deletes the upload or, if it is complete, when its record is deleted."`
}

// Forgotten counts the records that were removed from the resume database.
type Forgotten struct {
	Forgotten int `json:"forgotten"`
}

// Serving is printed when the server accepts connections.
type Serving struct {
	Endpoint string `json:"endpoint"`
	Dir      string `json:"dir" jsonschema_description:"Directory with the uploads."`
}

// Remote is a remote of the configuration file.
type Remote struct {
	Remote   string `json:"remote" jsonschema_description:"Name."`
	Endpoint string `json:"endpoint" jsonschema_description:"Upload creation URL, without secrets."`
}

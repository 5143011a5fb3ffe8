package report

// Verdict is the outcome of the comparison of a file with its digest.
type Verdict string

// The verdicts.
const (
	VerdictNone      Verdict = "" // not compared
	VerdictOK        Verdict = "OK"
	VerdictFailed    Verdict = "FAILED"
	VerdictMissing   Verdict = "missing"
	VerdictError     Verdict = "FAILED open or read"
	VerdictNotServed Verdict = "not served"
	VerdictNoURL     Verdict = "no URL in the manifest"
)

// Verified is an entry of a manifest that was compared.
type Verified struct {
	Name
	Digest      string  `json:"digest" jsonschema_description:"Digest in the manifest, such as sha256:e3b0…"`
	Local       Verdict `json:"local,omitempty" jsonschema_description:"Comparison with the local file; absent for standard input."`
	LocalError  string  `json:"local_error,omitempty"`
	URL         string  `json:"url,omitempty" jsonschema_description:"Upload URL."`
	Remote      Verdict `json:"remote,omitempty" jsonschema_description:"Comparison with what the server serves at the URL."`
	RemoteError string  `json:"remote_error,omitempty"`
}

// Package doctor tries a tus server with small uploads, deletes them again, and reports
// what the server and the proxies in front of it do:
//
//	report := doctor.Run(ctx, doctor.Config{Endpoint: endpoint, Client: client})
//	for _, f := range report.Findings { … }
//
// The checks are the table in checks.go, in the order in which they run.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Sizes in bytes.
const (
	kib = 1 << 10
	mib = 1 << 20

	// DefaultSize is the size of the upload that is interrupted and resumed. Its halves
	// are multiples of 256 KiB, which some services require.
	DefaultSize = 512 * kib
	// MinSize is the smallest size of that upload: of less, nothing may leave the buffers
	// of the client before the connection is cut.
	MinSize = 256 * kib
	// DefaultMaxBody is the largest request body that is tried.
	DefaultMaxBody = 8 * mib

	smallSize = 64 * kib // of the other uploads
)

// DefaultTimeout is the timeout for each request without data moving.
const DefaultTimeout = 10 * time.Second

// DefaultWait is the wait after which a request is repeated.
const DefaultWait = 300 * time.Millisecond

// Config controls Run. Endpoint and Client are required.
type Config struct {
	// Endpoint is the upload creation URL.
	Endpoint string
	// Client sends the requests. Its settings for TLS and proxies are used as they are;
	// redirects are followed by this package.
	Client *http.Client
	// HTTP2 is like Client, but offers HTTP/2. nil means that HTTP/2 is not tried.
	HTTP2 *http.Client
	// Header is sent to the origin of Endpoint and to TrustedOrigins, and to no others.
	Header http.Header
	// TrustedOrigins are URLs; path and query are ignored.
	TrustedOrigins []string
	// Metadata is added to that of the uploads. The key filename replaces "tusup-doctor".
	Metadata map[string]string
	// Size is the size in bytes of the upload that is interrupted and resumed. 0 means
	// DefaultSize.
	Size int64
	// ChunkSize is the size in bytes of the first PATCH of that upload. 0 means half of
	// it, or a size that is found if the server refuses that.
	ChunkSize int64
	// MaxBody is the largest request body in bytes that is tried. 0 means DefaultMaxBody,
	// and 1 MiB if the server does not delete uploads.
	MaxBody int64
	// Timeout ends a request on which no data moves. 0 means DefaultTimeout.
	Timeout time.Duration
	// Wait is the time that a server gets to read the last byte of an interrupted request,
	// to store it, and to release a lock; the latter two several times. 0 means DefaultWait.
	Wait time.Duration
	// OverridePatch sends PATCH as POST with X-HTTP-Method-Override.
	OverridePatch bool
	// LoginAdvice is the advice for a server that requires credentials.
	LoginAdvice string
	// OnFinding, if not nil, is called for each finding as soon as it is known.
	OnFinding func(Finding)
}

// Outcome is the result of a check.
type Outcome string

// Outcomes.
const (
	OK      Outcome = "ok"      // it works
	No      Outcome = "no"      // it does not work, or the server does not offer it
	Warning Outcome = "warning" // it works in part, or differs from what the server advertises
	Unknown Outcome = "unknown" // it could not be tried
)

// Finding is the result of one check. Its texts may contain text of the server.
type Finding struct {
	Check   string  `json:"check" jsonschema_description:"Name of the check."`
	Outcome Outcome `json:"outcome" jsonschema:"enum=ok,enum=no,enum=warning,enum=unknown" jsonschema_description:"ok: it works; no: it does not work, or the server does not offer it; warning: it works in part, or differs from what the server advertises; unknown: it could not be tried."`
	Detail  string  `json:"detail" jsonschema_description:"Text for people. It may change."`
	Advice  string  `json:"advice,omitempty" jsonschema_description:"What to do about it. Text for people. It may change."`
}

// Left is an upload that could not be deleted.
type Left struct {
	URL   string `json:"url" jsonschema_description:"Upload URL."`
	Bytes int64  `json:"bytes" jsonschema_description:"Bytes that the server has."`
}

// Report is the result of Run.
type Report struct {
	Findings []Finding `json:"findings" jsonschema_description:"Results of the checks, in their order."`
	Resumes  bool      `json:"resumes" jsonschema_description:"An interrupted upload was resumed, with flags if there are any."`
	Reason   string    `json:"reason" jsonschema_description:"Why uploads resume or not. Text for people. It may change."`
	Flags    []string  `json:"flags" jsonschema_description:"Flags and values of tusup that follow from the findings."`
	Left     []Left    `json:"left" jsonschema_description:"Uploads that could not be deleted."`
}

// maxTimeouts is the number of requests without a response after which the remaining
// checks are skipped.
const maxTimeouts = 3

// cleanupTimeout bounds the deletion of the uploads at the end.
const cleanupTimeout = 5 * time.Second

// Run tries a server. It deletes what it created also if ctx ends.
func Run(ctx context.Context, config Config) Report {
	s, err := newSession(config)
	if err != nil {
		s.add(Finding{Check: "connection", Outcome: No, Detail: err.Error()})
		return s.report(ctx)
	}
	for _, c := range checks() {
		if reason := s.skipped(ctx, c); reason != "" {
			s.add(Finding{Check: c.name, Outcome: Unknown, Detail: "skipped: " + reason})
			continue
		}
		f := c.run(s, ctx)
		f.Check = c.name
		s.add(f)
	}
	s.cleanUp(ctx)
	s.client.CloseIdleConnections()
	return s.report(ctx)
}

// session is the state of one Run.
type session struct {
	config   Config
	endpoint *url.URL
	client   *http.Client
	trusted  []string
	secrets  []string

	findings []Finding
	timeouts int
	cleaning bool

	options  *response     // to OPTIONS
	server   capabilities  // that OPTIONS advertised
	uploads  []*upload     // that may still exist
	resumed  *upload       // the upload of the checks creation to termination
	creation *response     // that created it
	expires  time.Duration // until the last Upload-Expires; 0 if there was none
	redirect string        // the first redirect that was followed
	kept     int64         // bytes of an interrupted request that the server kept; -1 if unknown
	lost     int64         // bytes of it that were sent, if kept is 0
	deletes  bool          // DELETE works
	done     bool          // an upload was resumed
	advice   advice
}

func newSession(config Config) (*session, error) {
	s := &session{config: config, kept: -1}
	if s.config.Size == 0 {
		s.config.Size = DefaultSize
	}
	if s.config.Timeout <= 0 {
		s.config.Timeout = DefaultTimeout
	}
	if s.config.Wait <= 0 {
		s.config.Wait = DefaultWait
	}
	if s.config.LoginAdvice == "" {
		s.config.LoginAdvice = "set TUS_TOKEN, or use --header"
	}
	s.client = withoutRedirects(config.Client)
	s.advice.override = config.OverridePatch
	u, err := url.Parse(config.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return s, errors.New("the endpoint is not an http or https URL")
	}
	s.secrets = secretsOf(config.Header, u)
	u.User, u.Fragment = nil, "" // Header has the login
	s.endpoint = u
	for _, raw := range append([]string{config.Endpoint}, config.TrustedOrigins...) {
		if u, err := url.Parse(raw); err == nil {
			s.trusted = append(s.trusted, origin(u))
		}
	}
	return s, nil
}

// add records a finding.
func (s *session) add(f Finding) {
	f.Detail, f.Advice = s.clean(f.Detail), s.clean(f.Advice)
	s.findings = append(s.findings, f)
	if s.config.OnFinding != nil {
		s.config.OnFinding(f)
	}
}

// skipped returns why a check cannot run, "" if it can.
func (s *session) skipped(ctx context.Context, c check) string {
	if ctx.Err() != nil {
		return "interrupted"
	}
	for _, name := range c.needs {
		i := slices.IndexFunc(s.findings, func(f Finding) bool { return f.Check == name })
		if i < 0 || s.findings[i].Outcome == No || s.findings[i].Outcome == Unknown {
			return "requires " + name
		}
	}
	if s.timeouts >= maxTimeouts {
		return fmt.Sprintf("%d requests got no response", s.timeouts)
	}
	return ""
}

// report returns the findings and what follows from them.
func (s *session) report(ctx context.Context) Report {
	r := Report{Findings: s.findings, Resumes: s.done, Flags: s.flags(), Left: []Left{}}
	for _, u := range s.uploads {
		r.Left = append(r.Left, Left{s.clean(withoutUser(u.url)), u.stored})
	}
	switch {
	case ctx.Err() != nil:
		r.Resumes, r.Reason = false, "interrupted before all checks ran"
	case s.done && len(r.Flags) > 0:
		r.Reason = "uploads resume with the recommended flags"
	case s.done:
		r.Reason = "uploads resume"
	default:
		r.Reason = "uploads do not resume: " + s.failure()
	}
	return r
}

// failure returns the first finding without which no upload resumes.
func (s *session) failure() string {
	for _, f := range s.findings {
		if f.Outcome == No && slices.Contains([]string{"connection", "creation", "location", "patch", "resume", "finished"}, f.Check) {
			return f.Check + ": " + f.Detail
		}
	}
	for _, f := range s.findings {
		if f.Outcome == Unknown {
			return f.Check + ": " + f.Detail
		}
	}
	return "not tried"
}

// clean replaces the credentials in a text.
func (s *session) clean(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	return text
}

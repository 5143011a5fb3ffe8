package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxClockDifference is the difference of the clocks that is not worth a warning.
const maxClockDifference = 30 * time.Second

// capabilities are what the response to OPTIONS advertises.
type capabilities struct {
	known      bool // OPTIONS was answered by a tus server
	extensions []string
	maxSize    int64 // 0 if not advertised
	algorithms []string
}

// offers reports whether an extension is worth a try: it is advertised, or unknown.
func (c capabilities) offers(extension string) bool {
	return !c.known || slices.Contains(c.extensions, extension)
}

// checkConnection connects to the server and requests OPTIONS.
func (s *session) checkConnection(ctx context.Context) Finding {
	resp, err := s.send(ctx, request{method: http.MethodOptions, url: s.endpoint})
	if err != nil {
		detail, advice := unreachable(s.endpoint, err)
		return Finding{Outcome: No, Detail: detail, Advice: advice}
	}
	if wantsTLS(resp) {
		return Finding{Outcome: No, Detail: fmt.Sprintf("the server at %s requires TLS", s.endpoint.Host), Advice: "use https:// in the endpoint"}
	}
	s.options = resp
	f := Finding{Outcome: OK, Detail: fmt.Sprintf("%s, %s, response in %v", resp.Proto, tlsText(resp.TLS), resp.took.Round(time.Millisecond))}
	if s.redirect != "" {
		f.Outcome, f.Detail = Warning, f.Detail+"; "+s.redirect
		f.Advice = "use the URL of the redirect as the endpoint: each redirected request is sent twice"
	}
	if resp.TLS == nil && s.hasCredentials() && !isLocal(s.endpoint) {
		f.Outcome, f.Advice = Warning, "credentials are sent without encryption: use https"
	}
	return f
}

func tlsText(state *tls.ConnectionState) string {
	if state == nil {
		return "no TLS"
	}
	return tls.VersionName(state.Version)
}

func isLocal(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// hasCredentials reports whether the header may identify the user.
func (s *session) hasCredentials() bool {
	for name := range s.config.Header {
		if mayBeSecret(name) {
			return true
		}
	}
	return false
}

// mayBeSecret reports whether a header field of the caller may have credentials.
func mayBeSecret(name string) bool {
	return name != "User-Agent" && name != "Accept-Encoding" && name != "Host"
}

// checkOptions inspects the response to OPTIONS (protocol section OPTIONS).
func (s *session) checkOptions(ctx context.Context) Finding {
	resp := s.options
	before := describe(resp)
	if !resp.isTus() && s.tryTrailingSlash(ctx) {
		s.readCapabilities()
		return Finding{Outcome: Warning,
			Detail: fmt.Sprintf("without a slash at its end, the endpoint responds %s; with it, a tus server responds", before),
			Advice: "add the slash to the endpoint"}
	}
	s.readCapabilities()
	versions := strings.Join(resp.Header.Values("Tus-Version"), ",")
	switch {
	case s.server.known && versions != "" && !slices.Contains(list(versions), "1.0.0"):
		return Finding{Outcome: No, Detail: fmt.Sprintf("the server supports tus %s, and not 1.0.0", short(versions, 60))}
	case s.server.known:
		return Finding{Outcome: OK, Detail: "tus " + strings.Join(list(versions), ", ")}
	case resp.wantsCredentials():
		return Finding{Outcome: Warning, Detail: "OPTIONS is refused: " + describe(resp), Advice: "permit OPTIONS without credentials: " + withoutOptions}
	}
	return Finding{Outcome: Warning, Detail: "no response of a tus server: " + describe(resp), Advice: "pass OPTIONS to the tus server: " + withoutOptions}
}

const withoutOptions = "without it, tusup uses no extension"

// tryTrailingSlash requests OPTIONS from the endpoint with a slash at its end. If a tus
// server responds, this becomes the endpoint.
func (s *session) tryTrailingSlash(ctx context.Context) bool {
	if strings.HasSuffix(s.endpoint.Path, "/") {
		return false
	}
	resp, err := s.send(ctx, request{method: http.MethodOptions, url: withSlash(s.endpoint)})
	if err != nil || !resp.isTus() {
		return false
	}
	s.options = resp
	s.endpoint = withSlash(s.endpoint)
	s.advice.slash = true
	return true
}

func withSlash(u *url.URL) *url.URL {
	c := *u
	c.Path += "/"
	if c.RawPath != "" {
		c.RawPath += "/"
	}
	return &c
}

func (s *session) readCapabilities() {
	h := s.options.Header
	if !s.options.succeeded() || !s.options.isTus() {
		return
	}
	s.server = capabilities{known: true, extensions: list(strings.Join(h.Values("Tus-Extension"), ",")),
		algorithms: list(strings.Join(h.Values("Tus-Checksum-Algorithm"), ","))}
	if n, err := strconv.ParseUint(h.Get("Tus-Max-Size"), 10, 63); err == nil {
		s.server.maxSize = int64(n)
	}
}

// list splits a comma-separated header field.
func list(value string) []string {
	parts := strings.Split(value, ",")
	for i := range parts {
		parts[i] = short(parts[i], 60)
	}
	return slices.DeleteFunc(parts, func(part string) bool { return part == "" })
}

// checkExtensions lists what the server advertises.
func (s *session) checkExtensions(context.Context) Finding {
	if !s.server.known {
		return Finding{Outcome: Unknown, Detail: "OPTIONS was not answered by a tus server"}
	}
	detail := strings.Join(s.server.extensions, ", ")
	if detail == "" {
		detail = "none"
	}
	if len(s.server.algorithms) > 0 {
		detail += "; checksums " + strings.Join(s.server.algorithms, ", ")
	}
	limit := "; no maximum size"
	if s.server.maxSize > 0 {
		limit = "; at most " + sizeText(s.server.maxSize)
	}
	return Finding{Outcome: OK, Detail: detail + limit}
}

// checkAuthentication requests OPTIONS without credentials.
func (s *session) checkAuthentication(ctx context.Context) Finding {
	if !s.hasCredentials() {
		if s.options.wantsCredentials() {
			return Finding{Outcome: Warning, Detail: "no credentials are set, and OPTIONS requires them", Advice: s.config.LoginAdvice}
		}
		return Finding{Outcome: OK, Detail: "no credentials are set, and OPTIONS requires none"}
	}
	resp, err := s.send(ctx, request{method: http.MethodOptions, url: s.endpoint, withheld: true})
	switch {
	case err != nil:
		return Finding{Outcome: Unknown, Detail: "OPTIONS without credentials: " + err.Error()}
	case s.options.wantsCredentials():
		return Finding{Outcome: Warning, Detail: fmt.Sprintf("OPTIONS with the credentials is refused (%d)", s.options.StatusCode), Advice: "check the credentials"}
	case resp.wantsCredentials():
		return Finding{Outcome: Warning, Detail: fmt.Sprintf("OPTIONS requires credentials (%d)", resp.StatusCode),
			Advice: "tusup sends them; browsers send none with OPTIONS and cannot upload from other sites"}
	}
	return Finding{Outcome: OK, Detail: "OPTIONS requires no credentials"}
}

// checkClock compares the clocks.
func (s *session) checkClock(context.Context) Finding {
	date, err := http.ParseTime(s.options.Header.Get("Date"))
	if err != nil {
		return Finding{Outcome: Unknown, Detail: "the response has no Date"}
	}
	difference := date.Add(time.Second / 2).Sub(s.options.middle) // Date has whole seconds
	if difference.Abs() <= maxClockDifference {
		return Finding{Outcome: OK, Detail: "the clocks of server and client agree"}
	}
	direction := "ahead of"
	if difference < 0 {
		direction = "behind"
	}
	return Finding{Outcome: Warning,
		Detail: fmt.Sprintf("the clock of the server is %v %s that of the client", difference.Abs().Round(time.Second), direction),
		Advice: "set both clocks: expiry times and signed URLs depend on them"}
}

// checkHTTP2 reports whether the server offers HTTP/2.
func (s *session) checkHTTP2(ctx context.Context) Finding {
	switch {
	case s.endpoint.Scheme != "https":
		return Finding{Outcome: OK, Detail: "not offered without TLS; tusup does not require it"}
	case s.config.HTTP2 == nil:
		return Finding{Outcome: Unknown, Detail: "not tried"}
	}
	over2 := *s
	over2.client = withoutRedirects(s.config.HTTP2)
	defer over2.client.CloseIdleConnections()
	resp, err := over2.send(ctx, request{method: http.MethodOptions, url: s.endpoint})
	switch {
	case err != nil:
		return Finding{Outcome: Warning, Detail: "a connection that offers HTTP/2 fails: " + err.Error()}
	case resp.ProtoMajor >= 2:
		return Finding{Outcome: OK, Detail: "offered; tusup does not require it"}
	}
	return Finding{Outcome: OK, Detail: "not offered; tusup does not require it"}
}

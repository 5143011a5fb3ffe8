package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"unicode"
)

// describe returns status and text of a response, and what sent it if that is not a tus
// server.
func describe(r *response) string {
	text := fmt.Sprintf("%d %s", r.StatusCode, http.StatusText(r.StatusCode))
	if r.StatusCode == statusChecksumMismatch {
		text = fmt.Sprintf("%d Checksum Mismatch", r.StatusCode)
	}
	if to, err := r.location(); err == nil && r.redirects() {
		text += " to " + show(to)
	}
	if r.unreachable != nil {
		text += ", which is not reachable: " + r.unreachable.Error()
	}
	if body := excerpt(r); body != "" {
		text += fmt.Sprintf(", %q", body)
	}
	if r.isTus() {
		return strings.TrimSpace(text)
	}
	return strings.TrimSpace(text) + ", from " + identify(r)
}

var (
	htmlTitle     = regexp.MustCompile(`(?is)<title[^>]*>([^<]*)</title`)
	passwordField = regexp.MustCompile(`(?is)<input[^>]+type\s*=\s*["']?password`)
	s3Error       = regexp.MustCompile(`(?is)<Error>.*<Code>\w+</Code>`)
)

// identify returns what kind of server sent a response that is not of tus.
func identify(r *response) string {
	h := r.Header
	name := ""
	if server := h.Get("Server"); server != "" {
		name = " (" + short(server, 40) + ")"
	}
	to, err := r.location()
	loginURL := err == nil && r.redirects() && isLoginPath(to)
	switch {
	case strings.Contains(h.Get("Server"), "AmazonS3"), strings.Contains(h.Get("Server"), "MinIO"),
		h.Get("X-Amz-Request-Id") != "", s3Error.MatchString(r.text):
		return "an S3 endpoint" + name
	case h.Get("Dav") != "", h.Get("Ms-Author-Via") != "":
		return "a WebDAV server" + name
	case passwordField.MatchString(r.text), loginURL:
		return "a login page" + name
	}
	return "a web server that is not tus" + name
}

// isLoginPath reports whether u looks like the URL of a login page.
func isLoginPath(u *url.URL) bool {
	text := strings.ToLower(u.Host + u.Path)
	for _, word := range []string{"login", "signin", "sign-in", "sign_in", "/auth", "sso", "oauth", "saml"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

func isHTML(r *response) bool {
	return strings.Contains(r.Header.Get("Content-Type"), "html") || strings.Contains(strings.ToLower(r.text), "<html")
}

// excerpt returns the beginning of the body of a refusal on one line, of an HTML page its
// title.
func excerpt(r *response) string {
	text := r.text
	if isHTML(r) {
		title := htmlTitle.FindStringSubmatch(text)
		if title == nil {
			return ""
		}
		text = html.UnescapeString(title[1])
	} else if r.succeeded() {
		return ""
	}
	return short(text, 160)
}

// short returns text on one line, without unprintable characters, cut to most runes.
func short(text string, most int) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	return text
}

// unreachable returns why a server could not be reached, and what to do.
func unreachable(u *url.URL, err error) (detail, advice string) {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var op *net.OpError
	var silent silentError
	text := err.Error()
	switch {
	case errors.As(err, &op) && op.Op == "proxyconnect", strings.HasPrefix(text, "proxy refuses"), text == http.StatusText(http.StatusProxyAuthRequired):
		return "the HTTP proxy cannot be used: " + text, "check --proxy, HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("the host %s cannot be resolved: no such name", dns.Name), "check the host of the endpoint"
	case errors.As(err, &dns):
		return fmt.Sprintf("the host %s cannot be resolved: %s", dns.Name, dns.Err), "check the network and its name server"
	case errors.Is(err, syscall.ECONNREFUSED), strings.Contains(text, "refused"):
		return fmt.Sprintf("connection refused: nothing listens at %s", u.Host), "check port and firewall, and that the server runs"
	case errors.As(err, &hostname):
		return "TLS: the certificate is for another host: " + text, "check the host of the endpoint"
	case errors.As(err, &authority):
		return "TLS: the certificate is signed by an unknown authority", "trust the authority with --ca FILE"
	case errors.As(err, &invalid):
		return "TLS: the certificate is invalid: " + text, "renew the certificate; check the clock of this machine"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Sprintf("the server at %s does not speak TLS", u.Host), "use http:// if the server has no TLS"
	case errors.As(err, &alert), strings.Contains(text, "tls: "):
		return "TLS failed: " + text, "check the TLS versions and client certificates of the server"
	case errors.As(err, &silent):
		return fmt.Sprintf("no response from %s: %v", u.Host, silent), "check the server; a longer --timeout may help"
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Sprintf("cannot connect to %s: %v", u.Host, op.Err), "check network and firewall"
	case strings.Contains(text, "malformed HTTP"), strings.Contains(text, "EOF"):
		return fmt.Sprintf("the server at %s does not speak HTTP: %s", u.Host, text), "check port and scheme; use https:// if it requires TLS"
	}
	return text, ""
}

// wantsTLS reports whether a response says that the port is for TLS.
func wantsTLS(r *response) bool {
	return r.StatusCode == http.StatusBadRequest && r.from.Scheme == "http" &&
		(strings.Contains(r.text, "HTTPS server") || strings.Contains(r.text, "HTTPS port"))
}

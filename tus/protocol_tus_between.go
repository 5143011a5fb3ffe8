package tus

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// Responses from between client and server: of a proxy, a cache, a firewall or a login page.
// This file has texts for errors only: no decision depends on them.

// explain adds who sent the response, if it was not a tus server, and the likely reason.
func (protocolTus) explain(r *reply, cause error) error {
	text, likely := "", likelyReason(r)
	if !isTus(r.Header) {
		if !errors.Is(cause, errNotTus) {
			text = ": " + notTus
		}
		text += senders(r.Header)
		likely = cmp.Or(likely, "possibly from a proxy or firewall")
	}
	if likely != "" {
		text += ": " + likely
	}
	switch {
	case text == "":
		return cause
	case cause == nil:
		return errors.New(strings.TrimPrefix(text, ": "))
	}
	return fmt.Errorf("%w%s", cause, text)
}

// senders returns the header fields that name who sent or passed on a response, in
// parentheses, "" if there is none.
func senders(h http.Header) string {
	const most = 4
	var all []string
	for _, field := range []struct{ name, product string }{
		{"Server", ""}, {"Via", ""},
		{"Cf-Ray", "Cloudflare"}, {"X-Amz-Cf-Id", "CloudFront"}, {"X-Amzn-Waf-Action", "AWS WAF"}, {"X-Azure-Ref", "Azure Front Door"},
		{"X-Iinfo", "Imperva"}, {"X-Sucuri-Id", "Sucuri"}, {"X-Varnish", "Varnish"}, {"X-Squid-Error", "Squid"},
	} {
		value := h.Get(field.name)
		if value == "" || len(all) == most {
			continue
		}
		text := field.name + " " + httpx.QuoteShort(value)
		if field.product != "" {
			text += " of " + field.product
		}
		all = append(all, text)
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// likelyReason returns the likely reason of an unexpected response, "" if there is none that
// its status and header indicate.
func likelyReason(r *reply) string {
	switch body := r.request.size(); {
	case strings.EqualFold(r.Header.Get("Cf-Mitigated"), "challenge"), r.Header.Get("X-Amzn-Waf-Action") != "":
		return "a firewall requires a browser"
	case r.StatusCode == http.StatusRequestEntityTooLarge && body > 0:
		return fmt.Sprintf("the request body of %d bytes exceeds a limit of the server or a proxy: "+
			"set UploadOptions.ChunkSize below it, or UploadOptions.MinChunkSize to find it", body)
	case r.StatusCode == http.StatusRequestEntityTooLarge && r.request.header.Get(headerUploadLength) != "":
		return "the upload has " + r.request.header.Get(headerUploadLength) + " bytes"
	case r.StatusCode == http.StatusRequestTimeout && body > 0:
		return fmt.Sprintf("the request body of %d bytes took longer than the server or a proxy allows: "+
			"a smaller UploadOptions.ChunkSize may help", body)
	case r.StatusCode == http.StatusInsufficientStorage:
		return "no space left on the server, or on a proxy that buffers the request"
	case r.lacksOffset() && (isTus(r.Header) || !isPage(r.Header)):
		return "likely a cache that sends GET in place of HEAD, as Varnish does"
	case isTus(r.Header):
		return ""
	}
	return likelySender(r)
}

// likelySender returns what most likely sent a response that is not of a tus server, and why.
func likelySender(r *reply) string {
	status, page := r.StatusCode, isPage(r.Header)
	switch {
	case r.succeeded() && page:
		return "likely the page of a login, captive portal or firewall"
	case status >= 300 && status <= 399 && leadsToLogin(r):
		return "likely a redirect to a login page"
	case status == http.StatusForbidden && page:
		return "likely a firewall (WAF) that blocks the request"
	case isGone(status):
		return likelyMissing(r)
	}
	return likelyCause(status)
}

// likelyCause is likelySender where the status is enough.
func likelyCause(status int) string {
	switch status {
	case http.StatusProxyAuthRequired:
		return "the HTTP proxy requires credentials"
	case http.StatusTooManyRequests:
		return "likely the rate limit of a proxy or firewall"
	case http.StatusNetworkAuthenticationRequired:
		return "a captive portal: log in with a browser"
	case http.StatusBadGateway, 520, 521, 523, 525, 526: // those above 511 are of Cloudflare
		return "likely a proxy that received no valid response from the server"
	case http.StatusServiceUnavailable:
		return "likely a proxy whose server is down or overloaded"
	case http.StatusGatewayTimeout, 522, 524:
		return "likely a proxy that did not receive the server's response in time"
	}
	return ""
}

// likelyMissing is likelySender for a 404 or 410.
func likelyMissing(r *reply) string {
	text := "likely a proxy without a route to the server"
	if method := r.request.method; method == http.MethodPost || method == http.MethodOptions {
		text = "likely no tus server at this URL"
	}
	if body := r.request.size(); body > 0 && isPage(r.Header) {
		text += fmt.Sprintf(", or a limit that the request body of %d bytes exceeds (404.13 of IIS)", body)
	}
	return text
}

// foundNevertheless returns the cause of a 404 or 410 to a PATCH if HEAD then finds the upload,
// nil for other responses.
func foundNevertheless(r *reply) error {
	size := r.request.size()
	if !isGone(r.StatusCode) || r.request.method != http.MethodPatch || size == 0 && r.request.offset == 0 { // HEAD was before the PATCH of an empty upload
		return nil
	}
	cause := errFound
	if !isTus(r.Header) {
		cause = errSeemsGone
	}
	return fmt.Errorf("%w%s: HEAD finds the upload, so the request body of %d bytes likely exceeds a limit (404.13 of IIS): "+
		"a smaller UploadOptions.ChunkSize may help; "+needsCookies, cause, senders(r.Header), size)
}

// lacksOffset reports whether a successful response to HEAD has no offset.
func (r *reply) lacksOffset() bool {
	return r.request.method == http.MethodHead && r.succeeded() && r.Header.Get(headerUploadOffset) == ""
}

// leadsToLogin reports whether a redirect seems to lead to a login page, by a word in its URL.
func leadsToLogin(r *reply) bool {
	to, err := r.to.url.Parse(r.Header.Get(headerLocation))
	if err != nil {
		return false
	}
	text := strings.ToLower(to.Host + to.Path)
	words := strings.FieldsFunc(text, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })
	return strings.Contains(text, "sign-in") || strings.Contains(text, "sign_in") || slices.ContainsFunc(words, func(word string) bool {
		return slices.Contains([]string{"login", "signin", "auth", "oauth", "oauth2", "openid", "saml", "saml2", "sso"}, word)
	})
}

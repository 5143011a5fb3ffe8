package tus

import (
	"html"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// maxMessageSource is the maximum number of bytes of a body that a message is made from.
const maxMessageSource = 4 << 10

// secrets returns the secrets that a request sent. It is nil before the request was sent.
type secrets func() httpx.Secrets

// message returns the body of a response as text, and a summary for error texts. The summary
// of an HTML page, which a proxy or firewall may have sent, is its title.
func (s secrets) message(resp *Response) (text, summary string) {
	body := string(resp.Body[:min(len(resp.Body), maxMessageSource)])
	text = s.printable(body)
	if isPage(resp.Header) {
		plain := html.UnescapeString(body)
		if title := htmlTitle.FindStringSubmatch(body); title != nil && strings.TrimSpace(title[1]) != "" {
			return text, s.printable(html.UnescapeString(title[1]))
		}
		if s.clean(plain) != plain {
			return text, s.printable(plain) // a secret with escapes is removed, too
		}
	}
	return text, text
}

// printable returns an excerpt without secrets, including those that appear only after
// unprintable characters are removed.
func (s secrets) printable(text string) string { return s.clean(excerpt(s.clean(text))) }

// clean removes the secrets from a text of a server.
func (s secrets) clean(text string) string { return s().Clean(text) }

// redact removes the secrets from the text of an error.
func (s secrets) redact(err error) error {
	if s == nil {
		return err
	}
	return s().Redact(err)
}

// isPage reports whether a response is an HTML page.
func isPage(h http.Header) bool {
	kind, _, _ := mime.ParseMediaType(h.Get(headerContentType))
	return kind == "text/html" || kind == "application/xhtml+xml"
}

var htmlTitle = regexp.MustCompile(`(?is)<title[^>]*>([^<]*)</title`)

// excerpt returns a body for an error text: printable, on one line, at most a few hundred
// bytes.
func excerpt(body string) string {
	const limit = 300
	var b strings.Builder
	for _, r := range body[:min(len(body), 4*limit)] {
		if b.Len() >= limit {
			b.WriteString("...")
			break
		}
		switch {
		case r == '\n', r == '\r', r == '\t':
			b.WriteByte(' ')
		case strconv.IsPrint(r) && r != '\uFFFD':
			b.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

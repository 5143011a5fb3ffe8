package tus

import (
	"html"
	"mime"
	"regexp"
	"strconv"
	"strings"
)

// maxMessageSource is how much of an answer's body a message is made of, in bytes.
const maxMessageSource = 4 << 10

// message is what the server said, and the same in words, for people: of a page, which
// a proxy or firewall before the server sent, its title. Secrets are taken out.
func (r *request) message(resp *Response) (said, words string) {
	text := string(resp.Body[:min(len(resp.Body), maxMessageSource)])
	said = r.printable(text)
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get(headerContentType)); kind == "text/html" || kind == "application/xhtml+xml" {
		plain := html.UnescapeString(text)
		if title := htmlTitle.FindStringSubmatch(text); title != nil && strings.TrimSpace(title[1]) != "" {
			return said, r.printable(html.UnescapeString(title[1]))
		} else if r.clean(plain) != plain {
			return said, r.printable(plain) // a secret that is escaped in part is taken out as a whole
		}
	}
	return said, said
}

// printable is an excerpt without secrets, also those that show only without what does
// not print.
func (r *request) printable(text string) string { return r.clean(excerpt(r.clean(text))) }

// clean takes the secrets out of what a server said.
func (r *request) clean(text string) string { return r.secrets().Clean(text) }

// redact hides the text of an error that repeats a secret.
func (r *request) redact(err error) error {
	if r.secrets == nil { // nothing was sent
		return err
	}
	return r.secrets().Redact(err)
}

var htmlTitle = regexp.MustCompile(`(?is)<title[^>]*>([^<]*)</title`)

// excerpt makes an answer's body fit for an error text: printable, on one
// line, at most a few hundred bytes.
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

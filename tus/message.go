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

// message is what the server said in words, for people: the body, or the title of a
// page, which a proxy or firewall before the server sent. Secrets are taken out.
func (r *request) message(resp *Response) string {
	text := r.clean(string(resp.Body[:min(len(resp.Body), maxMessageSource)]))
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get(headerContentType)); kind == "text/html" || kind == "application/xhtml+xml" {
		text = r.clean(pageTitle(text)) // what was escaped shows now
	}
	return excerpt(text)
}

var (
	htmlTitle = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title`)
	htmlNoise = regexp.MustCompile(`(?is)<(?:script|style)\b.*?</(?:script|style)[^>]*>|<!--.*?-->|<[^>]*(?:>|$)`)
)

// pageTitle is the title of a page, or its text where it has none.
func pageTitle(page string) string {
	if title := htmlTitle.FindStringSubmatch(page); title != nil && strings.TrimSpace(title[1]) != "" {
		page = title[1]
	}
	text := html.UnescapeString(htmlNoise.ReplaceAllString(page, " "))
	return strings.Join(strings.Fields(text), " ")
}

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

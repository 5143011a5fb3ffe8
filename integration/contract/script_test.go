package contract_test

import (
	"fmt"
	"strconv"
	"strings"
)

// exchange is a request and its response.
type exchange struct {
	sequence string // of requests that follow each other; "" is that of all
	optional bool
	text     string // the line of the request

	method, url string
	fields      []field
	trailer     []field
	absent      []string
	from, to    int // bytes of the source

	action string // "cut", "hang", or "" for a response
	status int
	header []field
	omit   []string
	body   string
}

type field struct{ name, value string }

// parse returns the exchanges of a script; see the package comment for its form.
func parse(script string) ([]*exchange, error) {
	var all []*exchange
	var request *exchange // without a response
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		at := strings.IndexAny(line, "<>")
		if line == "" {
			continue
		}
		if at < 0 || strings.Trim(line[:at], "?123456789") != "" || (line[at] == '<') != (request != nil) {
			return nil, fmt.Errorf("%q is neither a request nor the response to one", line)
		}
		prefix, items := line[:at], strings.Split(strings.TrimSpace(line[at+1:]), " | ")
		var err error
		if request == nil {
			request = &exchange{
				text: line, sequence: strings.Trim(prefix, "?"), optional: strings.Contains(prefix, "?"),
			}
			all = append(all, request)
			err = request.parseRequest(items)
		} else {
			if !strings.HasPrefix(request.text, prefix+">") {
				err = fmt.Errorf("is the response to %q", request.text)
			} else {
				err = request.parseResponse(items)
			}
			request = nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
	}
	if request != nil {
		return nil, fmt.Errorf("%q has no response", request.text)
	}
	return all, nil
}

func (e *exchange) parseRequest(items []string) error {
	e.method, e.url, _ = strings.Cut(items[0], " ")
	e.url = absolute(e.url)
	for _, item := range items[1:] {
		if name, value, ok := strings.Cut(item, ": "); ok {
			if trailer, ok := strings.CutPrefix(name, "trailer "); ok {
				e.trailer = append(e.trailer, field{trailer, value})
			} else {
				e.fields = append(e.fields, field{name, value})
			}
		} else if name, ok := strings.CutPrefix(item, "no "); ok {
			e.absent = append(e.absent, name)
		} else if _, err := fmt.Sscanf(item, "body %d-%d", &e.from, &e.to); err != nil {
			return fmt.Errorf("%q is no item of a request", item)
		}
	}
	return nil
}

func (e *exchange) parseResponse(items []string) (err error) {
	if items[0] == "cut" || items[0] == "hang" {
		e.action = items[0]
	} else if e.status, err = strconv.Atoi(items[0]); err != nil {
		return err
	}
	for _, item := range items[1:] {
		if text, ok := strings.CutPrefix(item, "text "); ok {
			e.body = text
		} else if name, ok := strings.CutPrefix(item, "no "); ok {
			e.omit = append(e.omit, name)
		} else if name, value, ok := strings.Cut(item, ": "); ok {
			e.header = append(e.header, field{name, value})
		} else {
			return fmt.Errorf("%q is no item of a response", item)
		}
	}
	return nil
}

const origin = "http://tus.test"

// absolute returns the URL of a path on the server; other URLs are unchanged.
func absolute(url string) string {
	if strings.HasPrefix(url, "/") && !strings.HasPrefix(url, "//") {
		return origin + url
	}
	return url
}

// relative is the reverse of absolute.
func relative(url string) string { return strings.TrimPrefix(url, origin) }

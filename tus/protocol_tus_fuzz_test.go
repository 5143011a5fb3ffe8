package tus_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed-175555ba/tus-go/tus"
)

func FuzzParseInteger(f *testing.F) {
	for _, seed := range []string{"", "0", "007", "-1", "+1", " 1", "1 ", " +1\t", "+", "++1", "+-1", "+ 1", "1 1", "1.0", "0x1", "1_000", "9223372036854775807", "9223372036854775808", "١", "1\n", "1, 1", "1e3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		n, present, err := tus.ParseInteger(http.Header{"Upload-Offset": {value}}, "Upload-Offset")
		if !present {
			t.Fatal("value is not found")
		}
		number := strings.TrimPrefix(strings.Trim(value, " \t"), "+")
		digits := number != "" && strings.Trim(number, "0123456789") == ""
		want, rangeErr := strconv.ParseInt(number, 10, 64)
		switch {
		case digits && rangeErr == nil:
			if err != nil || n != want {
				t.Errorf("%q is read as %d, %v", value, n, err)
			}
		case !errors.Is(err, tus.ErrProtocol):
			t.Errorf("%q is read as %d, %v", value, n, err)
		case len(err.Error()) > 500:
			t.Errorf("error has %d characters", len(err.Error()))
		}
		if _, _, err := tus.ParseInteger(http.Header{"Upload-Offset": {value, value + "0"}}, "Upload-Offset"); !errors.Is(err, tus.ErrProtocol) {
			t.Errorf("two values are read: %v", err)
		}
		if same, _, err := tus.ParseInteger(http.Header{"Upload-Offset": {value, value}}, "Upload-Offset"); same != n || (err == nil) != (digits && rangeErr == nil) {
			t.Errorf("the same value twice is read as %d, %v", same, err)
		}
	})
}

func FuzzParseMetadata(f *testing.F) {
	for _, seed := range []string{"", "a", "a YQ==", "a YQ", "a YQ==,b", "a  YQ==", ",", "a,a YQ==", "a !", "\x00 YQ==", "a YQ==,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		first := tus.ParseMetadata(header)
		// Metadata of a server can be sent with another upload: if the keys are valid,
		// parsing the formatted metadata returns the same.
		if first.Validate() == nil && !maps.Equal(first, tus.ParseMetadata(tus.FormatMetadata(first))) {
			t.Errorf("%q is read as %q, and that as %q", header, first, tus.ParseMetadata(tus.FormatMetadata(first)))
		}
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add("filename", "ä.txt", "empty", "")
	f.Add("a", "b", "a", "c")
	f.Add("a,b", "c", "d e", "f")
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2 string) {
		m := tus.Metadata{key1: value1, key2: value2}
		if err := m.Validate(); err != nil {
			if !errors.Is(err, tus.ErrInvalidInput) || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("error is %q", err)
			}
			return
		}
		header := tus.FormatMetadata(m)
		if strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("header is %q", header)
		}
		if got := tus.ParseMetadata(header); !maps.Equal(got, m) {
			t.Errorf("%q becomes %q and is read as %q", m, header, got)
		}
	})
}

func FuzzParseRetryAfter(f *testing.F) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, seed := range []string{"", "0", "5", "-5", "9223372036854775807", "99999999999999999999", "Fri, 02 Jan 2026 03:05:05 GMT", "Fri, 02 Jan 0001 03:05:05 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Friday, 02-Jan-26 03:05:05 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		wait, ok := tus.ParseRetryAfter(value, now)
		if wait < 0 || !ok && wait != 0 {
			t.Errorf("%q is read as %v, %v", value, wait, ok)
		}
	})
}

func FuzzResolveLocation(f *testing.F) {
	for _, seed := range []string{"", "/files/1", "1", "../1", "//other/1", "http://other/1", "https://u:p@other:1/1?q#f", "ftp://x/", "javascript:alert(1)", "http:", "http:///x", "http:1", "\\\\other\\1", "http://[::1]:80/", "?q", "#f", "/%2e%2e/", "http://other\r\nX: y/", "/1?name=caf\xe9", "?a b", "?%2f%zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, location string) {
		base := &url.URL{Scheme: "https", Host: "user.test", Path: "/files/", User: url.UserPassword("me", "secret"), RawQuery: "token=secret"}
		u, err := tus.ResolveLocation(base, location)
		if err != nil {
			if !errors.Is(err, tus.ErrProtocol) {
				t.Errorf("error is %v", err)
			}
			return
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
			t.Errorf("%q resolves to %q", location, u)
		}
		if !utf8.ValidString(u.String()) {
			t.Errorf("%q resolves to %q, which cannot be stored", location, u)
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Host != u.Host || again.Scheme != u.Scheme {
			t.Errorf("%q resolves to %q, which parses as %q, %v", location, u, again, err)
		}
		if _, err := http.NewRequest("PATCH", u.String(), nil); err != nil {
			t.Errorf("%q resolves to %q, which cannot be requested: %v", location, u, err)
		}
	})
}

func FuzzRedactURL(f *testing.F) {
	for _, seed := range []string{"http://u:p@h/x?q#f", "http:opaque?q", "mailto:a@b?q", "//h?q", "?q", "http://h/%3Fq?q", "http://h?", "x:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.Parse(raw)
		if err != nil {
			return
		}
		u.User, u.RawQuery, u.Fragment = url.UserPassword("SECRET-U", "SECRET-P"), "token=SECRET-Q", "SECRET-F"
		if got := tus.RedactURL(u); strings.Contains(got, "SECRET") {
			t.Errorf("%q is redacted to %q", u, got)
		}
	})
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"http://example.org/", "http://u:p@example.org/", "http://u:p@exa mple.org/", "ftp://u:p@h/", "http://u:p@[::1/", " http://h "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := tus.ParseURL("endpoint", raw)
		if (err == nil) != (u != nil) || err != nil && !errors.Is(err, tus.ErrInvalidInput) {
			t.Errorf("%q is read as %v, %v", raw, u, err)
		}
	})
}

func FuzzParseConcat(f *testing.F) {
	for _, seed := range []string{"", "partial", " partial ", "final", "final;", "final;a b", "final;a\tb", "final; a", "PARTIAL"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		role := tus.ParseConcat(value)
		if role != "" && !strings.HasPrefix(strings.TrimSpace(value), role) {
			t.Errorf("%q is %q", value, role)
		}
	})
}

func FuzzParseList(f *testing.F) {
	f.Add("creation,checksum", "termination")
	f.Add(" a , ,b,", ",")
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, item := range tus.ParseList(http.Header{"Tus-Extension": {one, two}}, "Tus-Extension") {
			if item == "" || strings.Contains(item, ",") || item != strings.TrimSpace(item) {
				t.Errorf("%q, %q has item %q", one, two, item)
			}
		}
	})
}

func FuzzExcerpt(f *testing.F) {
	f.Add([]byte("<html>\r\n<body>\x1b[31mno\x00</body>"))
	f.Add([]byte(strings.Repeat("ä", 1000)))
	f.Add([]byte{0xff, 0xfe, 'a'})
	f.Fuzz(func(t *testing.T, body []byte) {
		got := tus.ParseExcerpt(body)
		if len(got) > 320 || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
			t.Errorf("excerpt is %q", got)
		}
	})
}

// FuzzResponses responds to POST, PATCH and HEAD with arbitrary headers. An upload may
// succeed only if the server acknowledged every byte.
func FuzzResponses(f *testing.F) {
	f.Add(201, "/files/1", "0", "204", "10", "10", "10")
	f.Add(201, "/files/1", "10", "500", "5", "5", "10")
	f.Add(307, "http://other.test/", "-1", "409", "11", "11", "")
	f.Add(200, "x", "", "404", "", "", "")
	f.Fuzz(func(t *testing.T, created int, location, offset0, patchStatus, offset1, offset2, length string) {
		requests, acknowledged := 0, false
		respond := func(r *http.Request) (*http.Response, error) {
			if requests++; requests > 500 {
				t.Fatal("client does not stop")
			}
			sent := 0
			if r.Body != nil {
				data, err := io.ReadAll(r.Body)
				r.Body.Close()
				if err != nil {
					return nil, err
				}
				sent = len(data)
			}
			resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}
			offset := offset2
			switch r.Method {
			case "POST":
				resp.StatusCode, offset = created, offset0
				resp.Header.Set("Location", location)
				acknowledged = acknowledged || isTen(offset) && sent == 10
			case "PATCH":
				resp.StatusCode, _ = strconv.Atoi(patchStatus)
				offset = offset1
				at, _ := strconv.Atoi(r.Header.Get("Upload-Offset"))
				acknowledged = acknowledged || isTen(offset) && at+sent == 10
			case "HEAD":
				resp.Header.Set("Upload-Length", length)
				acknowledged = acknowledged || isTen(offset)
			}
			resp.Header.Set("Upload-Offset", offset)
			return resp, nil
		}
		client, err := tus.NewClient("http://a.test/files/", &tus.Options{
			HTTPClient: &http.Client{Transport: roundTripper(respond)},
			Retry:      retryAtOnce(), Capabilities: withCreationUpload(),
		})
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Upload(t.Context(), tus.Bytes(make([]byte, 10)), &tus.UploadOptions{ChunkSize: 10})
		if err == nil && (!acknowledged || res.Offset != 10) {
			t.Errorf("success at offset %d", res.Offset)
		}
		if err != nil && fmt.Sprint(err) == "" {
			t.Error("error text is empty")
		}
	})
}

func isTen(s string) bool { return strings.TrimLeft(s, "0") == "10" }

// roundTripper is a function that implements http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

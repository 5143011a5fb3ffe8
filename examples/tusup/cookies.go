package main

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// newCookieJar returns a jar in memory with the cookies of a file, if path is not empty.
func newCookieJar(path string) (http.CookieJar, error) {
	jar, err := cookiejar.New(nil)
	if err != nil || path == "" {
		return jar, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("--cookie-file: %w", err)
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		line, httpOnly := strings.CutPrefix(line, "#HttpOnly_")
		if !httpOnly && strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		at, cookie, ok := netscapeCookie(line)
		if !ok { // the line may be secret
			return nil, usagef("--cookie-file %s:%d: not a line of seven fields with tabs between them", path, number)
		}
		jar.SetCookies(at, []*http.Cookie{cookie})
	}
	return jar, nil
}

// netscapeCookie parses a line of a Netscape cookie file: domain, whether subdomains get the
// cookie, path, whether it requires https, the end in Unix seconds, name and value.
func netscapeCookie(line string) (*url.URL, *http.Cookie, bool) {
	fields := strings.Split(line, "\t")
	if len(fields) != 7 {
		return nil, nil, false
	}
	ends, err := strconv.ParseInt(fields[4], 10, 64)
	host := strings.TrimPrefix(fields[0], ".")
	if err != nil || host == "" || fields[5] == "" {
		return nil, nil, false
	}
	cookie := &http.Cookie{Path: fields[2], Name: fields[5], Value: fields[6], Secure: fields[3] == "TRUE"}
	if fields[1] == "TRUE" {
		cookie.Domain = host
	}
	if ends > 0 { // 0 is a cookie of the session
		cookie.Expires = time.Unix(ends, 0)
	}
	return &url.URL{Scheme: "https", Host: host, Path: fields[2]}, cookie, true
}

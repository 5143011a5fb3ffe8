package interop_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// The dialect of tusd in tustest responds as the real tusd does.
func TestDialectTusd_EqualsTusd(t *testing.T) {
	const maxSize = 1000
	real := tusdtest.Start(t, &tusdtest.Options{Configure: func(c *handler.Config) {
		c.EnableExperimentalProtocol, c.MaxSize = true, maxSize
	}})
	for interop := 3; interop <= 6; interop++ {
		ours := tustest.NewServer(t, &tustest.Options{
			Interop: []int{3, 4, 5, 6}, MaxSize: maxSize, Draft: tustest.DraftOptions{Dialect: tustest.DialectTusd},
		})
		t.Run(fmt.Sprintf("version %d", interop), func(t *testing.T) {
			want, got := drive(t, real.Endpoint(), interop), drive(t, ours.Endpoint(), interop)
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("tusd:    %s\ntustest: %s", want[i], got[i])
				}
			}
		})
	}
}

// drive sends a fixed sequence of requests and returns what came back.
func drive(t *testing.T, endpoint string, interop int) []string {
	t.Helper()
	var lines []string
	complete := func(yes bool) []string {
		if interop == 3 {
			return []string{"Upload-Incomplete", map[bool]string{true: "?0", false: "?1"}[yes]}
		}
		return []string{"Upload-Complete", map[bool]string{true: "?1", false: "?0"}[yes]}
	}
	do := func(method, url, body string, fields ...string) http.Header {
		fields = append([]string{"Upload-Draft-Interop-Version", fmt.Sprint(interop)}, fields...)
		line, header := exchange(t, method, url, body, fields)
		lines = append(lines, line)
		return header
	}
	create := func(body string, ended bool, fields ...string) string {
		return do("POST", endpoint, body, append(complete(ended), fields...)...).Get("Location")
	}
	patch := func(url, offset, body string, ended bool, fields ...string) {
		fields = append(append(complete(ended), "Upload-Offset", offset, "Content-Type", "application/partial-upload"), fields...)
		do("PATCH", url, body, fields...)
	}
	do("OPTIONS", endpoint, "")
	sized := create("", false, "Upload-Length", "10")
	do("HEAD", sized, "")
	do("HEAD", sized, "", "Upload-Offset", "0")
	patch(sized, "0", "hello", false)
	patch(sized, "4", "x", false)
	patch(sized, "5", "", false, "Upload-Length", "10")
	patch(sized, "5", "world!", true)
	patch(sized, "5", "wor", true)
	do("HEAD", sized, "")
	patch(sized, "8", "ld", false)
	do("HEAD", sized, "")
	patch(sized, "10", "", true)
	do("DELETE", sized, "")
	do("HEAD", sized, "")
	stream := create("", false)
	do("HEAD", stream, "")
	patch(stream, "0", "hello", false)
	patch(stream, "5", "", true)
	do("HEAD", stream, "")
	late := create("hello", false)
	patch(late, "5", "", false, "Upload-Length", "7")
	patch(late, "5", "wo", false)
	do("HEAD", late, "")
	whole := create("hello", true, "Content-Type", "text/plain", "Content-Disposition", `inline; filename="a"`)
	do("HEAD", whole, "")
	do("HEAD", create("", true), "")
	create("hello", true, "Upload-Length", "7")
	create("hello world", true, "Upload-Length", "7")
	create("", false, "Upload-Length", "9999999")
	patch(create("", false), "", "x", true)
	do("PATCH", create("", false), "x", append(complete(true), "Upload-Offset", "0")...) // no Content-Type
	return lines
}

// exchange sends a request and returns it with its response, without the parts of the URL
// that differ between servers, and the header.
func exchange(t *testing.T, method, url, body string, fields []string) (string, http.Header) {
	t.Helper()
	var notices []string
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			notices = append(notices, show(code, http.Header(h)))
			return nil
		},
	})
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %q %q: %s, notices %q", method, body, fields, show(resp.StatusCode, resp.Header), notices), resp.Header
}

// show returns the status and the fields that a client of the draft reads.
func show(status int, h http.Header) string {
	fields := []string{}
	for name, values := range h {
		value := strings.Join(values, "|")
		switch {
		case name == "Location":
			value = value[:strings.Index(value, "://")] // absolute
		case name == "Upload-Limit":
			members := strings.Split(value, ",")
			for i := range members {
				members[i] = strings.TrimSpace(members[i])
			}
			slices.Sort(members)
			value = strings.Join(members, ",")
		case !strings.HasPrefix(name, "Upload-") && name != "Tus-Resumable":
			continue
		}
		fields = append(fields, name+"="+value)
	}
	slices.Sort(fields)
	return fmt.Sprint(status, fields)
}

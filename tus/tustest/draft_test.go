package tustest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// versions returns the interop numbers from one to another. The RFC is with the newest.
func versions(from, to int) []int {
	var all []int
	for v := from; v <= to; v++ {
		all = append(all, v)
	}
	if to == 9 {
		all = append(all, tustest.RFC)
	}
	return all
}

// draft is a plain client of one version of the IETF draft.
type draft struct {
	t       *testing.T
	srv     *tustest.Server
	interop int
}

// forDrafts runs a test with a server and each version.
func forDrafts(t *testing.T, from, to int, opts tustest.Options, test func(t *testing.T, c draft)) {
	t.Helper()
	opts.Interop = versions(3, 9)
	for _, v := range versions(from, to) {
		t.Run(fmt.Sprintf("version %d", v), func(t *testing.T) {
			srv := tustest.NewServer(t, &opts)
			t.Cleanup(http.DefaultClient.CloseIdleConnections)
			test(t, draft{t, srv, v})
		})
	}
}

// response is a response with its notices.
type response struct {
	status  int // 0: the connection was cut
	header  http.Header
	body    string
	notices []notice
}

type notice struct {
	status int
	header http.Header
}

// complete returns the field that declares whether the content is the end.
func (c draft) complete(yes bool) []string {
	switch {
	case c.interop == 3 && yes:
		return []string{"Upload-Incomplete", "?0"}
	case c.interop == 3:
		return []string{"Upload-Incomplete", "?1"}
	case yes:
		return []string{"Upload-Complete", "?1"}
	}
	return []string{"Upload-Complete", "?0"}
}

// do sends a request. fields alternates names and values; an empty value removes a field.
func (c draft) do(method, path string, body io.Reader, fields ...string) response {
	c.t.Helper()
	req, err := http.NewRequest(method, c.srv.HTTP.URL+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.interop != tustest.RFC {
		req.Header.Set("Upload-Draft-Interop-Version", strconv.Itoa(c.interop))
	}
	if method == "PATCH" && c.patchesPartially() {
		req.Header.Set("Content-Type", "application/partial-upload")
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
		if fields[i+1] == "" {
			req.Header.Del(fields[i])
		}
	}
	var r response
	req = req.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			r.notices = append(r.notices, notice{code, http.Header(header)})
			return nil
		},
	}))
	transport := &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return r
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	r.status, r.header, r.body = resp.StatusCode, resp.Header, string(data)
	return r
}

func (c draft) patchesPartially() bool { return c.interop == tustest.RFC || c.interop >= 6 }

// create creates an upload on the target.
func (c draft) create(content string, ended bool, fields ...string) response {
	c.t.Helper()
	return c.do("POST", "/files/", strings.NewReader(content), append(c.complete(ended), fields...)...)
}

// append appends at an offset.
func (c draft) append(path string, offset int, content string, ended bool, fields ...string) response {
	c.t.Helper()
	fields = append(append([]string{"Upload-Offset", strconv.Itoa(offset)}, c.complete(ended)...), fields...)
	return c.do("PATCH", path, strings.NewReader(content), fields...)
}

func (c draft) head(path string) response {
	c.t.Helper()
	return c.do("HEAD", path, nil)
}

// upload creates an empty upload and returns its path.
func (c draft) upload(fields ...string) string {
	c.t.Helper()
	r := c.create("", false, fields...)
	if r.status != 201 {
		c.t.Fatalf("creation: %s", r.show())
	}
	return pathOf(r)
}

func pathOf(r response) string {
	location := r.header.Get("Location")
	return location[max(0, strings.Index(location, "/files/")):]
}

// show returns the status and the fields of the draft, sorted, in one line.
func (r response) show() string { return showFields(r.status, r.header) }

func showFields(status int, h http.Header) string {
	var fields []string
	for name, values := range h {
		switch name = strings.TrimPrefix(name, "Upload-"); name {
		case "Location", "Accept-Patch":
			fields = append(fields, name)
		case "Draft-Interop-Version":
			fields = append(fields, "Interop="+strings.Join(values, "|"))
		case "Complete", "Incomplete", "Offset", "Length", "Limit":
			fields = append(fields, name+"="+strings.Join(values, "|"))
		case "Content-Type":
			if values[0] == "application/problem+json" {
				fields = append(fields, "problem")
			}
		}
	}
	slices.Sort(fields)
	return strings.Join(append([]string{strconv.Itoa(status)}, fields...), " ")
}

func (c draft) want(what string, r response, want string) {
	c.t.Helper()
	if got := r.show(); got != want {
		c.t.Errorf("%s: response is %q, want %q (%s)", what, got, want, strings.TrimSpace(r.body))
	}
}

// row is the response that some versions give.
type row struct {
	from, to int
	want     string
}

// of returns the response of the version. The RFC is the newest version.
func (c draft) of(rows ...row) string {
	c.t.Helper()
	v := c.interop
	if v == tustest.RFC {
		v = 9
	}
	for _, r := range rows {
		if r.from <= v && v <= r.to {
			return r.want
		}
	}
	c.t.Fatalf("no row for version %d", v)
	return ""
}

// Section 3 of the comparison of versions, row by row.
func TestDraft_CarefulUpload(t *testing.T) {
	forDrafts(t, 3, 9, tustest.Options{}, func(t *testing.T, c draft) {
		created := c.create("", false, "Upload-Length", "11")
		c.want("creation", created, c.of(
			row{3, 3, "201 Incomplete=?1 Location Offset=0"}, row{4, 6, "201 Complete=?0 Location Offset=0"}, row{7, 9, "201 Complete=?0 Location"}))
		path := pathOf(created)
		c.want("HEAD", c.head(path), c.of(
			row{3, 3, "204 Incomplete=?1 Offset=0"}, row{4, 5, "204 Complete=?0 Offset=0"},
			row{6, 7, "204 Complete=?0 Length=11 Offset=0"}, row{8, 9, "204 Complete=?0 Length=11 Limit=min-size=0 Offset=0"}))
		c.want("append", c.append(path, 0, "hello", false), c.of(
			row{3, 3, "201 Incomplete=?1 Offset=5"}, row{4, 6, "201 Complete=?0 Offset=5"}, row{7, 9, "204 Complete=?0"}))
		c.want("append at another offset", c.append(path, 4, "x", false), c.of(
			row{3, 5, "409 Offset=5"}, row{6, 8, "409 Offset=5 problem"}, row{9, 9, "409 Complete=?0 Offset=5 problem"}))
		c.want("all bytes without the end", c.append(path, 5, " world", false), c.of(
			row{3, 3, "201 Incomplete=?1 Offset=11"}, row{4, 6, "201 Complete=?0 Offset=11"}, row{7, 9, "204 Complete=?0"}))
		if up, _ := c.srv.Upload(path); up.Complete() {
			t.Error("upload is complete without the end")
		}
		last := c.append(path, 11, "", true)
		c.want("the end", last, c.of(
			row{3, 3, "201 Incomplete=?0 Offset=11"}, row{4, 6, "201 Complete=?1 Offset=11"}, row{7, 9, "200 Complete=?1"}))
		c.want("HEAD after the end", c.head(path), c.of(
			row{3, 3, "204 Incomplete=?0 Offset=11"}, row{4, 5, "204 Complete=?1 Offset=11"},
			row{6, 7, "204 Complete=?1 Length=11 Offset=11"}, row{8, 9, "204 Complete=?1 Length=11 Limit=min-size=0 Offset=11"}))
		c.want("the end again", c.append(path, 11, "", true), c.of(
			row{3, 4, "400"}, row{5, 5, "201 Complete=?1 Offset=11"}, row{6, 7, "400 problem"}, row{8, 8, "410"}, row{9, 9, "200 Complete=?1"}))
		c.want("more after the end", c.append(path, 11, "x", true), c.of(row{3, 5, "400"}, row{6, 9, "400 problem"}))
		wantContent(t, c.srv, path, "hello world")
		if up, _ := c.srv.Upload(path); !up.Complete() || up.Length != 11 || up.Interop != c.interop {
			t.Errorf("upload is %+v", up)
		}
		c.want("DELETE", c.do("DELETE", path, nil), "204")
		c.want("HEAD after DELETE", c.head(path), c.of(row{3, 6, "404"}, row{7, 9, "410"}))
		c.want("HEAD of nothing", c.head("/files/nothing"), "404")
	})
}

func TestDraft_CompleteCreation(t *testing.T) {
	for _, content := range []string{"", "hello"} {
		forDrafts(t, 3, 9, tustest.Options{}, func(t *testing.T, c draft) {
			for _, method := range []string{"POST", "PUT", "PATCH"} {
				r := c.do(method, "/files/", strings.NewReader(content), c.complete(true)...)
				n := strconv.Itoa(len(content))
				c.want(method, r, c.of(
					row{3, 3, "201 Incomplete=?0 Location Offset=" + n}, row{4, 6, "201 Complete=?1 Location Offset=" + n}, row{7, 9, "200 Complete=?1"}))
				if len(r.notices) != 1 {
					t.Fatalf("%s: %d notices", method, len(r.notices))
				}
				path := r.notices[0].header.Get("Location")
				wantContent(t, c.srv, path, content)
				if up, _ := c.srv.Upload(path); !up.Complete() {
					t.Errorf("upload is %+v", up)
				}
			}
			if r := c.do("GET", "/files/", nil, c.complete(true)...); r.status == 200 {
				t.Error("GET on the target is successful")
			}
		})
	}
}

func TestDraft_NoticePrecedesContent(t *testing.T) {
	forDrafts(t, 3, 9, tustest.Options{MaxSize: 100}, func(t *testing.T, c draft) {
		r := c.do("POST", "/files/", strings.NewReader("hello"), append(c.complete(true), "Expect", "100-continue")...)
		if r.status/100 != 2 || len(r.notices) != 2 || r.notices[1].status != 100 {
			t.Fatalf("response is %s with the notices %v", r.show(), r.notices)
		}
		interop := "Interop=" + strconv.Itoa(c.interop) + " "
		if c.interop == tustest.RFC {
			interop = ""
		}
		got := showFields(r.notices[0].status, r.notices[0].header)
		if want := c.of(row{3, 5, "104 " + interop + "Location"}, row{6, 9, "104 " + interop + "Limit=max-size=100 Location"}); got != want {
			t.Errorf("notice is %q, want %q", got, want)
		}
		if r.header.Get("Upload-Draft-Interop-Version") != "" {
			t.Error("final response has a field of the notice")
		}
	})
}

func TestDraft_Options(t *testing.T) {
	forDrafts(t, 3, 8, tustest.Options{}, func(t *testing.T, c draft) {
		c.want("OPTIONS", c.do("OPTIONS", "/files/", nil), c.of(
			row{3, 5, "204"}, row{6, 7, "204 Limit=min-size=0"}, row{8, 8, "204 Accept-Patch Limit=min-size=0"}))
	})
	limited := tustest.Options{MaxSize: 100, Expires: time.Hour, Draft: tustest.DraftOptions{MinSize: 2, MaxAppendSize: 50, MinAppendSize: 5}}
	forDrafts(t, 3, 9, limited, func(t *testing.T, c draft) {
		r := c.do("OPTIONS", "/files/", nil)
		limits := "max-append-size=50, max-size=100, min-append-size=5, min-size=2"
		want := c.of(row{3, 5, ""}, row{6, 6, "expires=3600, " + limits}, row{7, 9, "max-age=3600, " + limits})
		if got := r.header.Get("Upload-Limit"); got != want {
			t.Errorf("limits are %q, want %q", got, want)
		}
		// Only a request of the RFC may be one of tus, too.
		if got := r.header.Get("Tus-Version"); (got != "") != (c.interop == tustest.RFC) {
			t.Errorf("Tus-Version is %q", got)
		}
	})
}

func TestDraft_OtherVersionIsTus(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Interop: []int{6}})
	for _, value := range []string{"", "5", "9", "?1", "6, 6"} {
		status, header, _ := do(t, "POST", srv.Endpoint(), "", "Tus-Resumable", "none", "Upload-Complete", "?0", "Upload-Draft-Interop-Version", value)
		if status != 412 || header.Get("Tus-Version") != "1.0.0" {
			t.Errorf("%q: status %d", value, status)
		}
	}
	if status, header, _ := do(t, "POST", srv.Endpoint(), "", "Upload-Length", "5"); status != 201 || header.Get("Upload-Complete") != "" {
		t.Errorf("tus: status %d", status)
	}
	plain := tustest.NewServer(t, nil)
	if status, _, _ := do(t, "POST", plain.Endpoint(), "", "Tus-Resumable", "none", "Upload-Draft-Interop-Version", "6"); status != 412 {
		t.Errorf("server without the draft: status %d", status)
	}
}

// Both protocols have one store, so that an upload may change from tus to the draft.
func TestDraft_SharesUploadsWithTus(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Interop: versions(3, 9)})
	path := create(t, srv, "Upload-Length: 10")
	do(t, "PATCH", srv.HTTP.URL+path, "hello", "Upload-Offset", "0")
	c := draft{t, srv, 6}
	c.want("HEAD", c.head(path), "204 Complete=?0 Length=10 Offset=5")
	c.want("append", c.append(path, 5, "world", true), "201 Complete=?1 Offset=10")
	if status, header, _ := do(t, "HEAD", srv.HTTP.URL+path, ""); status != 200 || header.Get("Upload-Offset") != "10" {
		t.Errorf("tus: status %d, %v", status, header)
	}
	other := c.upload()
	if r := (draft{t, srv, 8}).head(other); r.status != 400 {
		t.Errorf("another version: %s", r.show())
	}
	if status, header, _ := do(t, "HEAD", srv.HTTP.URL+other, ""); status != 200 || header.Get("Upload-Defer-Length") != "1" {
		t.Errorf("tus: status %d, %v", status, header)
	}
}

func TestDraft_MetadataFromContentFields(t *testing.T) {
	forDrafts(t, 3, 9, tustest.Options{}, func(t *testing.T, c draft) {
		path := c.upload("Content-Type", "video/mp4", "Content-Disposition", `inline; filename="a.mp4"; filename*=UTF-8''%C3%A4.mp4`)
		if up, _ := c.srv.Upload(path); up.Metadata != "filename w6QubXA0,filetype dmlkZW8vbXA0" {
			t.Errorf("metadata is %q", up.Metadata)
		}
		if r := c.create("", false, "Content-Disposition", `inline; filename="`); r.status != 400 {
			t.Errorf("bad Content-Disposition: %s", r.show())
		}
	})
}

package tustest_test

import (
	"bufio"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The requests of these tests are written as on the wire, for comparison with the
// section of the protocol text that the test names. The header ends with the first
// empty line. Missing Host, Tus-Resumable and Content-Length are added.

// send sends a request and returns the response after it has read the body.
func send(t *testing.T, srv *tustest.Server, request string) *http.Response {
	t.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	head = strings.TrimSpace(head)
	method, _, _ := strings.Cut(head, " ")
	add := func(name, value string) {
		if !strings.Contains(head, "\n"+name+":") {
			head += "\n" + name + ": " + value
		}
	}
	add("Host", srv.HTTP.Listener.Addr().String())
	if method != "OPTIONS" {
		add("Tus-Resumable", "1.0.0")
	}
	if !strings.Contains(head, "\nTransfer-Encoding:") {
		add("Content-Length", strconv.Itoa(len(body)))
	}
	conn, err := net.Dial("tcp", srv.HTTP.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp
}

// want fails unless the response to a request has a status and these header fields.
// "Name: value" is a field, "Name" a field with any value, and "!Name" a field that
// must be absent.
func want(t *testing.T, srv *tustest.Server, request string, status int, fields ...string) *http.Response {
	t.Helper()
	resp := send(t, srv, request)
	first, _, _ := strings.Cut(strings.TrimSpace(request), "\n")
	if resp.StatusCode != status {
		t.Fatalf("%s: status %d, want %d", first, resp.StatusCode, status)
	}
	if got := resp.Header.Get("Tus-Resumable"); got != "1.0.0" {
		t.Errorf("%s: Tus-Resumable is %q", first, got)
	}
	for _, field := range fields {
		name, value, exact := strings.Cut(field, ": ")
		absent := strings.HasPrefix(name, "!")
		got := resp.Header.Values(strings.TrimPrefix(name, "!"))
		switch {
		case absent && len(got) > 0:
			t.Errorf("%s: %s is %q", first, name[1:], got)
		case absent:
		case len(got) != 1 || exact && got[0] != value:
			t.Errorf("%s: %s is %q, want %q", first, name, got, value)
		}
	}
	return resp
}

// create creates an upload and returns its path.
func create(t *testing.T, srv *tustest.Server, fields string) string {
	t.Helper()
	return want(t, srv, "POST /files/ HTTP/1.1\n"+fields, 201, "Location").Header.Get("Location")
}

// patch returns a PATCH request with body.
func patch(path string, offset int, body string, fields ...string) string {
	head := append([]string{
		"PATCH " + path + " HTTP/1.1",
		"Content-Type: application/offset+octet-stream",
		"Upload-Offset: " + strconv.Itoa(offset),
	}, fields...)
	return strings.Join(head, "\n") + "\n\n" + body
}

func wantContent(t *testing.T, srv *tustest.Server, path, content string) {
	t.Helper()
	if up, ok := srv.Upload(path); !ok || up.Terminated || string(up.Data) != content {
		t.Errorf("%s holds %q (%v), want %q", path, up.Data, ok, content)
	}
}

// Core Protocol: HEAD and PATCH, as in the example.
func TestCore(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 100")
	head := "HEAD " + upload + " HTTP/1.1"
	want(t, srv, head, 200, "Upload-Offset: 0", "Upload-Length: 100", "Cache-Control: no-store", "!Upload-Defer-Length", "!Upload-Concat", "!Upload-Metadata")
	first, second := strings.Repeat("a", 70), strings.Repeat("b", 30)
	want(t, srv, patch(upload, 0, first), 204, "Upload-Offset: 70")
	want(t, srv, head, 200, "Upload-Offset: 70", "Upload-Length: 100")
	want(t, srv, patch(upload, 70, second), 204, "Upload-Offset: 100")
	want(t, srv, head, 200, "Upload-Offset: 100", "Upload-Length: 100", "Cache-Control: no-store")
	want(t, srv, patch(upload, 100, ""), 204, "Upload-Offset: 100")
	wantContent(t, srv, upload, first+second)
	if up, _ := srv.Upload(upload); !up.Complete() {
		t.Error("upload is not complete")
	}
}

// Core Protocol, PATCH: requests that must be refused without modifying the resource.
func TestPatch_InvalidIsRefused(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 10")
	want(t, srv, patch(upload, 0, "hello"), 204)
	const octets = "Content-Type: application/offset+octet-stream\n"
	for name, test := range map[string]struct {
		request string
		status  int
	}{
		"offset behind":     {patch(upload, 4, "x"), 409},
		"offset ahead":      {patch(upload, 6, "x"), 409},
		"no offset":         {"PATCH " + upload + " HTTP/1.1\n" + octets + "\nx", 400},
		"negative offset":   {"PATCH " + upload + " HTTP/1.1\n" + octets + "Upload-Offset: -5\n\nx", 400},
		"signed offset":     {"PATCH " + upload + " HTTP/1.1\n" + octets + "Upload-Offset: +5\n\nx", 400},
		"overflow":          {"PATCH " + upload + " HTTP/1.1\n" + octets + "Upload-Offset: 9223372036854775808\n\nx", 400},
		"other type":        {"PATCH " + upload + " HTTP/1.1\nContent-Type: text/plain\nUpload-Offset: 5\n\nx", 415},
		"no type":           {"PATCH " + upload + " HTTP/1.1\nUpload-Offset: 5\n\nx", 415},
		"too many bytes":    {patch(upload, 5, "world!"), 413},
		"repeated length":   {patch(upload, 5, "world", "Upload-Length: 10"), 400},
		"unknown upload":    {patch("/files/nothing", 0, "x"), 404},
		"other directory":   {patch("/other"+upload, 5, "x"), 404},
		"subdirectory":      {patch("/files/x/"+strings.TrimPrefix(upload, "/files/"), 5, "x"), 404},
		"the creation URL":  {patch("/files/", 0, "x"), 405},
		"method on uploads": {"POST " + upload + " HTTP/1.1\nUpload-Length: 1", 405},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, srv, test.request, test.status)
			wantContent(t, srv, upload, "hello")
			if up, _ := srv.Upload(upload); up.Length != 10 {
				t.Errorf("length is %d", up.Length)
			}
		})
	}
}

// Core Protocol, Tus-Resumable.
func TestVersion(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 5")
	for _, version := range []string{"0.2.2", "1.0", ""} {
		want(t, srv, patch(upload, 0, "hello", "Tus-Resumable: "+version), 412, "Tus-Version: 1.0.0")
		want(t, srv, "HEAD "+upload+" HTTP/1.1\nTus-Resumable: "+version, 412, "Tus-Version: 1.0.0", "!Upload-Offset")
	}
	wantContent(t, srv, upload, "")
}

// Core Protocol, OPTIONS.
func TestOptions(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	want(t, srv, "OPTIONS /files/ HTTP/1.1", 204, "Tus-Version: 1.0.0", "!Tus-Max-Size", "Tus-Checksum-Algorithm: sha1,md5,sha256,sha512,crc32",
		"Tus-Extension: creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination,concatenation,concatenation-unfinished")
	want(t, srv, "OPTIONS /files/ HTTP/1.1\nTus-Resumable: 0.2.2", 204) // must be ignored

	srv = tustest.NewServer(t, &tustest.Options{Extensions: []string{}, MaxSize: 1 << 30})
	want(t, srv, "OPTIONS /files/ HTTP/1.1", 204, "Tus-Version: 1.0.0", "Tus-Max-Size: 1073741824", "!Tus-Extension", "!Tus-Checksum-Algorithm")
	srv = tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("termination", "expiration", "concatenation", "concatenation-unfinished"), ChecksumAlgorithms: []string{"md5"}})
	want(t, srv, "OPTIONS /files/ HTTP/1.1", 204, "Tus-Extension: creation,creation-with-upload,creation-defer-length,checksum,checksum-trailer", "Tus-Checksum-Algorithm: md5")
}

// Core Protocol, X-HTTP-Method-Override.
func TestMethodOverride(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 5")
	request := strings.Replace(patch(upload, 0, "hello", "X-HTTP-Method-Override: PATCH"), "PATCH ", "POST ", 1)
	want(t, srv, request, 204, "Upload-Offset: 5")
	wantContent(t, srv, upload, "hello")
	want(t, srv, "POST "+upload+" HTTP/1.1\nX-HTTP-Method-Override: DELETE", 204)
	want(t, srv, "HEAD "+upload+" HTTP/1.1", 410, "!Upload-Offset")
}

// Creation.
func TestCreation(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{MaxSize: 1000})
	const metadata = "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential"
	upload := create(t, srv, "Upload-Length: 100\nUpload-Metadata: "+metadata)
	want(t, srv, "HEAD "+upload+" HTTP/1.1", 200, "Upload-Offset: 0", "Upload-Length: 100", "Upload-Metadata: "+metadata)
	create(t, srv, "Upload-Length: 1000")
	create(t, srv, "Upload-Length: 5\nUpload-Metadata: empty ,a YQ==")

	empty := create(t, srv, "Upload-Length: 0")
	if up, _ := srv.Upload(empty); !up.Complete() {
		t.Error("an empty upload is not complete at once")
	}
	want(t, srv, "HEAD "+empty+" HTTP/1.1", 200, "Upload-Offset: 0", "Upload-Length: 0")

	before := len(srv.Uploads())
	for name, test := range map[string]struct {
		fields string
		status int
	}{
		"no length":            {"", 400},
		"negative length":      {"Upload-Length: -1", 400},
		"garbage length":       {"Upload-Length: many", 400},
		"overflow":             {"Upload-Length: 9223372036854775808", 400},
		"above the maximum":    {"Upload-Length: 1001", 413},
		"length and deferral":  {"Upload-Length: 5\nUpload-Defer-Length: 1", 400},
		"deferral of 2":        {"Upload-Defer-Length: 2", 400},
		"no value":             {"Upload-Length: 5\nUpload-Metadata: a !", 400},
		"no key":               {"Upload-Length: 5\nUpload-Metadata:  YQ==,", 400},
		"key twice":            {"Upload-Length: 5\nUpload-Metadata: a YQ==,a YQ==", 400},
		"umlaut in a key":      {"Upload-Length: 5\nUpload-Metadata: ä YQ==", 400},
		"body of another type": {"Upload-Length: 5\nContent-Type: text/plain\n\nhello", 415},
		"body without a type":  {"Upload-Length: 5\n\nhello", 415},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, srv, "POST /files/ HTTP/1.1\n"+test.fields, test.status, "!Location")
		})
	}
	if n := len(srv.Uploads()); n != before {
		t.Errorf("refused requests created %d uploads", n-before)
	}
	without := tustest.NewServer(t, &tustest.Options{Extensions: []string{}})
	want(t, without, "POST /files/ HTTP/1.1\nUpload-Length: 5", 405)
}

func TestLocation(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{AbsoluteLocation: true, BasePath: "/api/uploads"})
	for _, path := range []string{"/api/uploads", "/api/uploads/"} {
		location := want(t, srv, "POST "+path+" HTTP/1.1\nUpload-Length: 5", 201).Header.Get("Location")
		upload, ok := strings.CutPrefix(location, srv.HTTP.URL)
		if !ok || !strings.HasPrefix(upload, "/api/uploads/") {
			t.Fatalf("Location is %q", location)
		}
		want(t, srv, patch(upload, 0, "hello"), 204)
		wantContent(t, srv, location, "hello")
	}
}

func TestLocation_AbsoluteOverTLS(t *testing.T) {
	h := tustest.NewHandler(&tustest.Options{AbsoluteLocation: true})
	server := httptest.NewTLSServer(h)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", &tus.Options{HTTPClient: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Upload(t.Context(), tus.Bytes([]byte("hello")), nil)
	if err != nil || !strings.HasPrefix(res.URL, server.URL+"/files/") {
		t.Errorf("upload is at %q, %v", res.URL, err)
	}
}

// Creation, Upload-Defer-Length.
func TestDeferredLength(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{MaxSize: 12})
	upload := create(t, srv, "Upload-Defer-Length: 1")
	head := "HEAD " + upload + " HTTP/1.1"
	want(t, srv, head, 200, "Upload-Offset: 0", "Upload-Defer-Length: 1", "!Upload-Length")
	want(t, srv, patch(upload, 0, "hello"), 204, "Upload-Offset: 5")
	want(t, srv, head, 200, "Upload-Offset: 5", "Upload-Defer-Length: 1", "!Upload-Length")

	want(t, srv, patch(upload, 5, "", "Upload-Length: 4"), 400)  // less than the offset
	want(t, srv, patch(upload, 5, "", "Upload-Length: 13"), 413) // above the maximum
	want(t, srv, patch(upload, 5, " world", "Upload-Length: 10"), 413)
	want(t, srv, patch(upload, 5, "12345678"), 413)
	want(t, srv, head, 200, "Upload-Offset: 5", "Upload-Defer-Length: 1", "!Upload-Length")

	want(t, srv, patch(upload, 5, " world", "Upload-Length: 12"), 204, "Upload-Offset: 11")
	want(t, srv, head, 200, "Upload-Offset: 11", "Upload-Length: 12", "!Upload-Defer-Length")
	want(t, srv, patch(upload, 11, "!", "Upload-Length: 12"), 400) // must not be changed
	want(t, srv, patch(upload, 11, "!"), 204, "Upload-Offset: 12")
	wantContent(t, srv, upload, "hello world!")

	late := create(t, srv, "Upload-Defer-Length: 1")
	want(t, srv, patch(late, 0, "hello"), 204)
	want(t, srv, patch(late, 5, "", "Upload-Length: 5"), 204, "Upload-Offset: 5") // the last PATCH is empty
	if up, _ := srv.Upload(late); !up.Complete() {
		t.Error("upload is not complete")
	}
	without := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("creation-defer-length")})
	want(t, without, "POST /files/ HTTP/1.1\nUpload-Defer-Length: 1", 400)
}

// Creation With Upload.
func TestCreationWithUpload(t *testing.T) {
	const octets = "Content-Type: application/offset+octet-stream\n"
	srv := tustest.NewServer(t, nil)
	upload := want(t, srv, "POST /files/ HTTP/1.1\nUpload-Length: 100\n"+octets+"\nhello", 201, "Upload-Offset: 5", "Location").Header.Get("Location")
	want(t, srv, "HEAD "+upload+" HTTP/1.1", 200, "Upload-Offset: 5", "Upload-Length: 100")
	want(t, srv, patch(upload, 5, " world"), 204, "Upload-Offset: 11")
	wantContent(t, srv, upload, "hello world")

	whole := want(t, srv, "POST /files/ HTTP/1.1\nUpload-Length: 5\n"+octets+"\nhello", 201, "Upload-Offset: 5").Header.Get("Location")
	if up, _ := srv.Upload(whole); !up.Complete() {
		t.Error("upload is not complete")
	}
	want(t, srv, "POST /files/ HTTP/1.1\nUpload-Length: 5\n"+octets, 201, "Upload-Offset: 0")
	want(t, srv, "POST /files/ HTTP/1.1\nUpload-Defer-Length: 1\n"+octets+"\nhello", 201, "Upload-Offset: 5")
	want(t, srv, "POST /files/ HTTP/1.1\nUpload-Length: 4\n"+octets+"\nhello", 413, "!Location")
	want(t, srv, "POST /files/ HTTP/1.1\nUpload-Length: 5\nUpload-Checksum: sha1 AAAA\n"+octets+"\nhello", 460, "!Location")

	without := tustest.NewServer(t, &tustest.Options{Extensions: []string{"creation"}})
	want(t, without, "POST /files/ HTTP/1.1\nUpload-Length: 5\n"+octets+"\nhello", 415, "!Location")
	if n := len(without.Uploads()); n != 0 {
		t.Errorf("refused request created %d uploads", n)
	}
}

// Expiration.
func TestExpiration(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Expires: time.Hour})
	upload := create(t, srv, "Upload-Length: 10")
	for _, resp := range []*http.Response{
		want(t, srv, "POST /files/ HTTP/1.1\nUpload-Length: 10", 201, "Upload-Expires"),
		want(t, srv, "HEAD "+upload+" HTTP/1.1", 200, "Upload-Expires"),
		want(t, srv, patch(upload, 0, "hello"), 204, "Upload-Expires"),
	} {
		at, err := http.ParseTime(resp.Header.Get("Upload-Expires"))
		if left := time.Until(at); err != nil || left < 50*time.Minute || left > time.Hour {
			t.Errorf("expires in %v, %v", left, err)
		}
	}
	want(t, srv, patch(upload, 5, "world"), 204, "!Upload-Expires") // only unfinished ones expire
	want(t, srv, "HEAD "+upload+" HTTP/1.1", 200, "!Upload-Expires")

	short := tustest.NewServer(t, &tustest.Options{Expires: time.Nanosecond})
	gone := create(t, short, "Upload-Length: 10")
	want(t, short, "HEAD "+gone+" HTTP/1.1", 410, "!Upload-Offset")
	want(t, short, patch(gone, 0, "hello"), 410)
	stays := create(t, short, "Upload-Length: 0")
	want(t, short, "HEAD "+stays+" HTTP/1.1", 200, "Upload-Offset: 0")
}

// Checksum.
func TestChecksum(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	const body = "hello world"
	for name, sum := range map[string]hash.Hash{
		"sha1": sha1.New(), "md5": md5.New(), "sha256": sha256.New(), "sha512": sha512.New(), "crc32": crc32.NewIEEE(),
	} {
		upload := create(t, srv, "Upload-Length: 22")
		io.WriteString(sum, body)
		field := "Upload-Checksum: " + name + " " + base64.StdEncoding.EncodeToString(sum.Sum(nil))
		want(t, srv, patch(upload, 0, "hello wOrld", field), 460)
		want(t, srv, "HEAD "+upload+" HTTP/1.1", 200, "Upload-Offset: 0")
		want(t, srv, patch(upload, 0, body, field), 204, "Upload-Offset: 11")
		want(t, srv, patch(upload, 11, body, field), 204, "Upload-Offset: 22")
		wantContent(t, srv, upload, body+body)
	}

	// The example of the protocol text.
	upload := create(t, srv, "Upload-Length: 11")
	want(t, srv, patch(upload, 0, body, "Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="), 204, "Upload-Offset: 11")

	upload = create(t, srv, "Upload-Defer-Length: 1")
	for field, status := range map[string]int{
		"crc64 AAAA":                        400,
		"SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=": 400,
		"sha1 not*base64":                   400,
		"sha1":                              460,
		"sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=": 460,
	} {
		want(t, srv, patch(upload, 0, body, "Upload-Checksum: "+field, "Upload-Length: 11"), status)
	}
	want(t, srv, "HEAD "+upload+" HTTP/1.1", 200, "Upload-Offset: 0", "Upload-Defer-Length: 1", "!Upload-Length") // nothing was updated

	few := tustest.NewServer(t, &tustest.Options{ChecksumAlgorithms: []string{"md5"}})
	want(t, few, patch(create(t, few, "Upload-Length: 11"), 0, body, "Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="), 400)
	none := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum", "checksum-trailer")})
	want(t, none, patch(create(t, none, "Upload-Length: 11"), 0, body, "Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="), 400)
}

// Checksum, as a trailer.
func TestChecksumTrailer(t *testing.T) {
	chunked := func(upload, trailer string) string {
		return patch(upload, 0, "5\r\nhello\r\n6\r\n world\r\n0\r\n"+trailer+"\r\n", "Transfer-Encoding: chunked", "Trailer: Upload-Checksum")
	}
	const good, bad = "Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=\r\n", "Upload-Checksum: sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 11")
	want(t, srv, chunked(upload, bad), 460)
	want(t, srv, chunked(upload, ""), 400) // announced but missing
	wantContent(t, srv, upload, "")
	want(t, srv, chunked(upload, good), 204, "Upload-Offset: 11")
	wantContent(t, srv, upload, "hello world")

	small := create(t, srv, "Upload-Length: 10")
	want(t, srv, chunked(small, good), 413)
	wantContent(t, srv, small, "")
	without := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("checksum-trailer")})
	want(t, without, chunked(create(t, without, "Upload-Length: 11"), good), 400)
}

// A body without Content-Length is accepted.
func TestChunkedBody(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 11")
	want(t, srv, patch(upload, 0, "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), 204, "Upload-Offset: 11")
	wantContent(t, srv, upload, "hello world")
	upload = create(t, srv, "Upload-Length: 7")
	want(t, srv, patch(upload, 0, "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), 413)
}

// Termination.
func TestTermination(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	for _, sent := range []string{"", "hello", "hello world"} {
		upload := create(t, srv, "Upload-Length: 11")
		want(t, srv, patch(upload, 0, sent), 204)
		want(t, srv, "DELETE "+upload+" HTTP/1.1", 204)
		want(t, srv, "HEAD "+upload+" HTTP/1.1", 410, "!Upload-Offset")
		want(t, srv, patch(upload, len(sent), ""), 410)
		want(t, srv, "DELETE "+upload+" HTTP/1.1", 410)
		if up, ok := srv.Upload(upload); !ok || !up.Terminated {
			t.Error("upload is not marked as terminated")
		}
	}
	want(t, srv, "DELETE /files/nothing HTTP/1.1", 404)
	without := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("termination")})
	want(t, without, "DELETE "+create(t, without, "Upload-Length: 11")+" HTTP/1.1", 405)
}

// Concatenation, as in the example.
func TestConcatenation(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	a := create(t, srv, "Upload-Concat: partial\nUpload-Length: 5\nUpload-Metadata: part YQ==")
	b := create(t, srv, "Upload-Concat: partial\nUpload-Length: 6")
	want(t, srv, patch(a, 0, "hello"), 204)
	want(t, srv, patch(b, 0, " world"), 204)
	want(t, srv, "HEAD "+a+" HTTP/1.1", 200, "Upload-Concat: partial", "Upload-Offset: 5", "Upload-Length: 5")

	concat := "final;" + a + " " + srv.HTTP.URL + b // relative and absolute
	final := create(t, srv, "Upload-Concat: "+concat+"\nUpload-Metadata: whole YWI=")
	want(t, srv, "HEAD "+final+" HTTP/1.1", 200, "Upload-Concat: "+concat, "Upload-Offset: 11", "Upload-Length: 11", "Upload-Metadata: whole YWI=")
	wantContent(t, srv, final, "hello world")
	want(t, srv, patch(final, 11, "!"), 403)
	want(t, srv, patch(final, 0, ""), 403)
	wantContent(t, srv, final, "hello world")

	// A partial upload may be used several times, also in one final upload.
	reused := create(t, srv, "Upload-Concat: final;"+b+" "+a+" "+b)
	wantContent(t, srv, reused, " worldhello world")

	want(t, srv, "DELETE "+a+" HTTP/1.1", 204)
	wantContent(t, srv, final, "hello world")
}

func TestConcatenation_InvalidIsRefused(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("concatenation-unfinished"), MaxSize: 8})
	done := create(t, srv, "Upload-Concat: partial\nUpload-Length: 5")
	want(t, srv, patch(done, 0, "hello"), 204)
	unfinished := create(t, srv, "Upload-Concat: partial\nUpload-Length: 5")
	ordinary := create(t, srv, "Upload-Length: 0")
	gone := create(t, srv, "Upload-Concat: partial\nUpload-Length: 0")
	want(t, srv, "DELETE "+gone+" HTTP/1.1", 204)
	final := create(t, srv, "Upload-Concat: final;"+done)
	before := len(srv.Uploads())
	for name, test := range map[string]struct {
		fields string
		status int
	}{
		"no parts":         {"Upload-Concat: final;", 400},
		"unknown part":     {"Upload-Concat: final;/files/nothing", 400},
		"part at /other":   {"Upload-Concat: final;/other" + done, 400},
		"ordinary upload":  {"Upload-Concat: final;" + ordinary, 400},
		"final upload":     {"Upload-Concat: final;" + final, 400},
		"terminated part":  {"Upload-Concat: final;" + gone, 400},
		"unfinished part":  {"Upload-Concat: final;" + done + " " + unfinished, 400},
		"with a length":    {"Upload-Concat: final;" + done + "\nUpload-Length: 5", 400},
		"with a deferral":  {"Upload-Concat: final;" + done + "\nUpload-Defer-Length: 1", 400},
		"above the limit":  {"Upload-Concat: final;" + done + " " + done, 413},
		"with bytes":       {"Upload-Concat: final;" + done + "\nContent-Type: application/offset+octet-stream\n\nx", 403},
		"unknown kind":     {"Upload-Concat: other\nUpload-Length: 5", 400},
		"not a URL":        {"Upload-Concat: final;http://[::1", 400},
		"partial, no size": {"Upload-Concat: partial", 400},
	} {
		t.Run(name, func(t *testing.T) { want(t, srv, "POST /files/ HTTP/1.1\n"+test.fields, test.status, "!Location") })
	}
	if n := len(srv.Uploads()); n != before {
		t.Errorf("refused requests created %d uploads", n-before)
	}
	without := tustest.NewServer(t, &tustest.Options{Extensions: []string{"creation"}})
	want(t, without, "POST /files/ HTTP/1.1\nUpload-Concat: partial\nUpload-Length: 5", 400)
}

// Concatenation of uploads that are still in progress.
func TestConcatenation_OfUnfinishedUploads(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	a := create(t, srv, "Upload-Concat: partial\nUpload-Length: 5")
	b := create(t, srv, "Upload-Concat: partial\nUpload-Defer-Length: 1")
	final := create(t, srv, "Upload-Concat: final;"+a+" "+b)
	head := "HEAD " + final + " HTTP/1.1"
	want(t, srv, head, 200, "!Upload-Offset", "!Upload-Length", "Upload-Concat: final;"+a+" "+b)
	want(t, srv, patch(b, 0, " w"), 204)
	want(t, srv, patch(b, 2, "orld", "Upload-Length: 6"), 204)
	want(t, srv, head, 200, "!Upload-Offset", "Upload-Length: 11") // can be calculated now
	want(t, srv, patch(a, 0, "hello"), 204)
	want(t, srv, head, 200, "Upload-Offset: 11", "Upload-Length: 11")
	wantContent(t, srv, final, "hello world")
	if up, _ := srv.Upload(final); !up.Complete() {
		t.Error("final upload is not complete")
	}
}

// A second request during a PATCH gets 423.
func TestPatch_LocksUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 10")
	conn, err := net.Dial("tcp", srv.HTTP.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: 10\r\n\r\nhello", upload)
	for { // until the five bytes are stored
		if up, _ := srv.Upload(upload); len(up.Data) == 5 {
			break
		}
		runtime.Gosched()
	}
	want(t, srv, patch(upload, 5, "WORLD"), 423)
	want(t, srv, "DELETE "+upload+" HTTP/1.1", 423)
	want(t, srv, "HEAD "+upload+" HTTP/1.1", 200, "Upload-Offset: 5")
	io.WriteString(conn, "world")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 204 || resp.Header.Get("Upload-Offset") != "10" {
		t.Fatalf("response is %v, %v", resp, err)
	}
	resp.Body.Close()
	wantContent(t, srv, upload, "helloworld")
}

// The server stores the received bytes of a body that ends early, as the protocol
// demands.
func TestPatch_TruncatedBodyIsStored(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 10")
	conn, err := net.Dial("tcp", srv.HTTP.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: 10\r\n\r\nhello", upload)
	conn.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, conn)
	conn.Close()
	want(t, srv, "HEAD "+upload+" HTTP/1.1", 200, "Upload-Offset: 5")
	want(t, srv, patch(upload, 5, "world"), 204, "Upload-Offset: 10")
	if up, _ := srv.Upload(upload); string(up.Data) != "helloworld" {
		t.Errorf("content is %q", up.Data)
	}
}

package httpsource_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
)

func TestStat_ReturnsSizeAndVersion(t *testing.T) {
	served := newSite(randomBytes(1000))
	served.modified = longAgo
	url := served.start(t)
	source := newSource(t, url+"?token=secret", nil)
	want := tus.SourceInfo{
		Name: "data.bin", Identity: url + "?1359227d95e1ba804467fce441aeb48f",
		Size: 1000, ModTime: longAgo, Version: `"v1"`,
	}
	for range 3 {
		info := stat(t, source)
		if info.Fingerprinter == nil {
			t.Error("a source with a strong validator has no fingerprinter")
		}
		if info.Fingerprinter = nil; info != want {
			t.Fatalf("Stat returns %+v, want %+v", info, want)
		}
	}
	served.wantRanges(t, "bytes=0-0") // one request for all calls of Stat
}

func TestStat_NameIsLastPathElement(t *testing.T) {
	site := newSite(randomBytes(10)).start(t)
	base := strings.TrimSuffix(site, "/data.bin")
	for path, want := range map[string]string{
		"/a/film%20one.mp4": "film one.mp4", "/a/b/": "b", "/": "", "": "", "/?name=x": "", "/x#frag": "x",
	} {
		if got := stat(t, newSource(t, base+path, nil)).Name; got != want {
			t.Errorf("name of %q is %q, want %q", path, got, want)
		}
	}
}

// The validators of a server decide whether its data can be read in ranges.
func TestStat_RangesNeedStrongValidator(t *testing.T) {
	for name, test := range map[string]struct {
		etag       string
		modified   time.Time
		sequential bool
		ifRange    string // of the reads
	}{
		"strong ETag":                        {etag: `"v1"`, ifRange: `"v1"`},
		"strong ETag and Last-Modified":      {etag: `"v1"`, modified: longAgo, ifRange: `"v1"`},
		"strong ETag, modified just now":     {etag: `"v1"`, modified: time.Now().Add(time.Hour), ifRange: `"v1"`},
		"Last-Modified":                      {modified: longAgo, ifRange: "Sat, 29 Feb 2020 12:00:00 GMT"},
		"weak ETag, Last-Modified":           {etag: `W/"v1"`, modified: longAgo}, // RFC 9110, 13.1.5
		"weak ETag":                          {etag: `W/"v1"`, sequential: true},
		"nothing":                            {sequential: true},
		"unquoted ETag, which is none":       {etag: `v1`, sequential: true},
		"ETag that is not closed":            {etag: `"`, sequential: true},
		"empty, but strong ETag":             {etag: `""`, ifRange: `""`},
		"Last-Modified that says the future": {modified: time.Now().Add(time.Hour), sequential: true},
	} {
		t.Run(name, func(t *testing.T) {
			data := randomBytes(50_000)
			served := newSite(data)
			served.etag, served.modified = test.etag, test.modified
			served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if r.Header.Get("Range") == "" {
					return false
				}
				// ServeContent ignores invalid ETags.
				w.Header()["Etag"] = []string{test.etag}
				return false
			}
			source := newSource(t, served.start(t), nil)
			info := stat(t, source)
			if info.Sequential != test.sequential || info.Size != 50_000 || info.SizeUnknown {
				t.Fatalf("Stat returns %+v", info)
			}
			wantRead(t, source, 0, data)
			requests := served.requests()
			last := requests[len(requests)-1].Header
			if got := last.Get("If-Range"); got != test.ifRange {
				t.Errorf("If-Range is %q, want %q", got, test.ifRange)
			}
			if ranged := last.Get("Range") != ""; ranged == test.sequential {
				t.Errorf("Range is %q", last.Get("Range"))
			}
		})
	}
}

// Two changes within one second have the same Last-Modified: one of this second is not a
// strong validator yet.
func TestStat_WaitsForRecentLastModified(t *testing.T) {
	served := newSite(randomBytes(1000))
	served.etag = ""
	bubble(t, served, func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
		served.modified = time.Now()
		begin := time.Now()
		info, err := newSource(nil).Stat(t.Context())
		if err != nil || info.Sequential {
			t.Fatalf("Stat returns %+v, %v", info, err)
		}
		if waited := time.Since(begin); waited != time.Second {
			t.Errorf("waited %v", waited)
		}
		served.wantRanges(t, "bytes=0-0", "bytes=0-0")
	})
}

func TestStat_ChangingDataIsStream(t *testing.T) {
	served := newSite(randomBytes(1000))
	served.etag = ""
	served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		served.mu.Lock()
		served.modified = time.Now()
		served.mu.Unlock()
		return false
	}
	bubble(t, served, func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
		source := newSource(nil)
		defer source.CloseIdleConnections()
		info, err := source.Stat(t.Context())
		if err != nil || !info.Sequential {
			t.Fatalf("Stat returns %+v, %v", info, err)
		}
		served.wantRanges(t, "bytes=0-0", "bytes=0-0", "") // the last one is kept for the reader
	})
}

func TestStat_ServerWithoutRangesGetsOneRequest(t *testing.T) {
	for name, test := range map[string]struct {
		serve func(*site, http.ResponseWriter, *http.Request)
		want  tus.SourceInfo
	}{
		"with a length": {(*site).serveWhole, tus.SourceInfo{Name: "data.bin", Size: 100_000, Sequential: true, Version: `"v1"`}},
		"in chunks":     {(*site).serveChunked, tus.SourceInfo{Name: "data.bin", SizeUnknown: true, Sequential: true, Version: `"v1"`}},
	} {
		t.Run(name, func(t *testing.T) {
			data := randomBytes(100_000)
			served := newSite(data)
			served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				test.serve(served, w, r)
				return true
			}
			url := served.start(t)
			source := newSource(t, url, nil)
			test.want.Identity = url
			info := stat(t, source)
			info.Fingerprinter = nil
			if info != test.want {
				t.Fatalf("Stat returns %+v, want %+v", info, test.want)
			}
			wantRead(t, source, 0, data) // continues the response to Stat
			served.wantDownloads(t, "bytes=0-0")
			wantRead(t, source, 0, data)
			served.wantDownloads(t, "bytes=0-0", "")
		})
	}
}

func TestStat_EmptyDataNeedsNoRanges(t *testing.T) {
	for name, respond := range map[string]func(w http.ResponseWriter, r *http.Request){
		"200": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) },
		"416 with the size": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes */0")
			w.WriteHeader(416)
		},
		"416 without": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				w.WriteHeader(416)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(nil)
			served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool { respond(w, r); return true }
			source := newSource(t, served.start(t), nil)
			if info := stat(t, source); info.Size != 0 || info.SizeUnknown || info.Sequential {
				t.Fatalf("Stat returns %+v", info)
			}
			looks := len(served.requests())
			wantRead(t, source, 0, nil)
			if n := len(served.requests()); n != looks {
				t.Errorf("%d requests to read nothing", n-looks)
			}
		})
	}
}

func TestStat_RefusedRangeIsNotEmptyData(t *testing.T) {
	data := randomBytes(10_000)
	for _, contentRange := range []string{"", "bytes */10000", "bytes */*", "bytes */-0", "bytes 0/0", "items */0"} {
		served := newSite(data)
		served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if r.Header.Get("Range") == "" {
				return false
			}
			w.Header()["Content-Range"] = []string{contentRange}
			w.WriteHeader(416)
			return true
		}
		source := newSource(t, served.start(t), nil)
		if info := stat(t, source); info.Size != 10_000 || !info.Sequential {
			t.Fatalf("%q: Stat returns %+v", contentRange, info)
		}
		wantRead(t, source, 0, data)
	}
}

func TestStat_TwoContentRangesAreIgnored(t *testing.T) {
	served := newSite(randomBytes(10_000))
	served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Header.Get("Range") != "" {
			w.Header().Set("Etag", `"v1"`)
			w.Header()["Content-Range"] = []string{"bytes 0-0/10000", "bytes 0-0/99"}
			w.WriteHeader(206)
			w.Write(served.data[:1])
		}
		return r.Header.Get("Range") != ""
	}
	if info := stat(t, newSource(t, served.start(t), nil)); !info.Sequential || info.Size != 10_000 {
		t.Fatalf("Stat returns %+v", info)
	}
}

// A server with wrong ranges is read as a stream.
func TestStat_WrongRangesAreIgnored(t *testing.T) {
	data := randomBytes(10_000)
	for _, contentRange := range []string{
		"", "bytes", "bytes ", "bytes 0-0", "bytes 0-0/", "bytes 0-0/0", "bytes 1-1/10000", "bytes 0-9999/10000",
		"bytes -1-0/10000", "bytes +0-0/10000", "bytes 0-0/+10000", "bytes 0-0/-1", "bytes 0-0/10000 x", "bytes 0-0/1e4",
		"items 0-0/10000", "bytes 0-0/99999999999999999999", "bytes 0-9223372036854775807/*", "bytes */10000", "bytes 0-0/*",
		"bytes 5-0/10000",
	} {
		t.Run(contentRange, func(t *testing.T) {
			served := newSite(data)
			served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if r.Header.Get("Range") == "" {
					served.serveWhole(w, r)
					return true
				}
				w.Header().Set("Etag", `"v1"`)
				w.Header().Set("Content-Range", contentRange)
				w.WriteHeader(206)
				w.Write(data[:1])
				return true
			}
			source := newSource(t, served.start(t), nil)
			if info := stat(t, source); !info.Sequential {
				t.Fatalf("Stat returns %+v", info)
			}
			wantRead(t, source, 0, data)
		})
	}
}

func TestStat_RangeOfOtherLengthIsIgnored(t *testing.T) {
	data := randomBytes(10_000)
	served := newSite(data)
	served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Header.Get("Range") == "" {
			return false
		}
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Content-Range", "bytes 0-0/10000")
		w.Header().Set("Content-Length", "10000")
		w.WriteHeader(206)
		w.Write(data)
		return true
	}
	source := newSource(t, served.start(t), nil)
	if info := stat(t, source); !info.Sequential || info.Size != 10_000 {
		t.Fatalf("Stat returns %+v", info)
	}
	wantRead(t, source, 0, data)
}

func TestStat_BodyWithoutClearEndFails(t *testing.T) {
	url := rawServer(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\npart of the text")
	})
	_, err := newSource(t, url, nil).Stat(testContext(t))
	if err == nil || !strings.Contains(err.Error(), "cannot be distinguished from a broken connection") {
		t.Fatalf("error is %v", err)
	}
}

func TestOpen_BodyWithoutClearEndFails(t *testing.T) {
	served := newSite(randomBytes(1000))
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 0 {
			served.serveChunked(cutAfter(w, 500), r)
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(conn, "HTTP/1.0 200 OK\r\nETag: \"v1\"\r\n\r\n%s", served.data[:700])
		conn.Close()
		return true
	}
	got, err := readFrom(t, newSource(t, served.start(t), nil), 0)
	if err == nil || !strings.Contains(err.Error(), "cannot be distinguished from a broken connection") {
		t.Fatalf("read %d bytes, error %v", len(got), err)
	}
}

func TestStat_BodyEndedByTLSCloseFails(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		io.WriteString(conn, "HTTP/1.0 200 OK\r\n\r\npart of the text")
		conn.(*tls.Conn).NetConn().Close() // without close_notify
	}))
	defer server.Close()
	_, err := newSource(t, server.URL, &httpsource.Options{HTTPClient: server.Client()}).Stat(testContext(t))
	if err == nil || !strings.Contains(err.Error(), "cannot be distinguished from a broken connection") {
		t.Errorf("error is %v", err)
	}
}

func TestStat_HTTP2WithoutTLSHasClearEnd(t *testing.T) {
	served := newSite(randomBytes(100_000))
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if r.ProtoMajor != 2 {
			t.Errorf("protocol is %s", r.Proto)
		}
		served.serveChunked(w, r)
		return true
	}
	server := httptest.NewUnstartedServer(served)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	transport := tus.NewTransport()
	transport.Protocols = server.Config.Protocols
	defer transport.CloseIdleConnections()
	source := newSource(t, server.URL, &httpsource.Options{HTTPClient: &http.Client{Transport: transport}})
	if info := stat(t, source); !info.SizeUnknown {
		t.Errorf("Stat returns %+v", info)
	}
	wantRead(t, source, 0, served.data)
}

func TestStat_EncodedDataFails(t *testing.T) {
	for _, status := range []int{200, 206} {
		served := newSite(randomBytes(10_000))
		served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.Header().Set("Content-Encoding", "gzip")
			if status == 200 {
				r.Header.Del("Range")
			}
			return false
		}
		_, err := newSource(t, served.start(t), nil).Stat(testContext(t))
		if err == nil || !strings.Contains(err.Error(), `Content-Encoding is "gzip"`) || tus.IsRetryable(err) {
			t.Errorf("%d: error is %v", status, err)
		}
		if got := served.requests()[0].Header.Values("Accept-Encoding"); len(got) != 1 || got[0] != "identity" {
			t.Errorf("Accept-Encoding is %q", got)
		}
	}
}

func TestStat_RefusalIsErrorWithStatus(t *testing.T) {
	for _, test := range []struct {
		status    int
		temporary bool
	}{{404, false}, {403, false}, {401, false}, {410, false}, {204, false}, {304, false}, {500, true}, {503, true}, {429, true}, {501, false}} {
		served := newSite(nil)
		served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(test.status)
			return true
		}
		url := served.start(t)
		_, err := newSource(t, url+"?key=secret", nil).Stat(testContext(t))
		var e *tus.Error
		if !errors.As(err, &e) || e.Method != "GET" || e.URL != url || e.StatusCode != test.status || e.RetryAfter != 7*time.Second {
			t.Errorf("error is %+v", err)
		}
		if tus.IsRetryable(err) != test.temporary {
			t.Errorf("%d is temporary: %v", test.status, !test.temporary)
		}
		if n := len(served.requests()); n != 1 {
			t.Errorf("%d: asked %d times", test.status, n)
		}
	}
}

func TestStat_EndlessHeaderFails(t *testing.T) {
	url := rawServer(t, func(c net.Conn) {
		line := []byte("X-Filler: " + strings.Repeat("x", 1000) + "\r\n")
		io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := c.Write(line); err != nil {
				return
			}
		}
	})
	if _, err := newSource(t, url, nil).Stat(testContext(t)); err == nil {
		t.Fatal("no error")
	}
}

func TestStat_SlowHeaderStalls(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for {
			time.Sleep(time.Second) // of the bubble
			if _, err := io.WriteString(conn, "X: y\r\n"); err != nil {
				return
			}
		}
	}
	bubble(t, http.HandlerFunc(hang), func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
		begin := time.Now()
		_, err := newSource(nil).Stat(t.Context())
		wantError(t, err, tus.ErrStalled)
		if waited := time.Since(begin); waited != 15*time.Second {
			t.Errorf("waited %v", waited)
		}
		if !tus.IsRetryable(err) {
			t.Errorf("%v is not temporary", err)
		}
	})
}

func TestStat_ChecksOnlyAfterReads(t *testing.T) {
	served := newSite(randomBytes(5000))
	source := newSource(t, served.start(t), nil)
	stat(t, source)
	readFrom(t, source, 4000)
	stat(t, source)
	stat(t, source)
	served.wantRanges(t, "bytes=0-0", "bytes=4000-", "bytes=0-0")
	if got := served.requests()[2].Header.Get("If-Range"); got != `"v1"` {
		t.Errorf("If-Range of the check is %q", got)
	}
}

func TestStat_DetectsChangeDuringRead(t *testing.T) {
	for name, change := range map[string]func(*site){
		"ETag":    func(s *site) { s.change(s.data, `"v2"`) },
		"size":    func(s *site) { s.change(append(s.data, 1), `"v1"`) },
		"emptied": func(s *site) { s.change(nil, `"v1"`) },
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(randomBytes(5000))
			source := newSource(t, served.start(t), nil)
			wantRead(t, source, 0, served.data)
			change(served)
			for range 2 { // the error stays
				_, err := source.Stat(testContext(t))
				wantError(t, err, tus.ErrSourceChanged)
				served.change(randomBytes(5000), `"v1"`)
			}
		})
	}
}

// A link that expired while it was read does not fail the upload.
func TestStat_FailedCheckIsNoError(t *testing.T) {
	for _, status := range []int{403, 404, 503} {
		served := newSite(randomBytes(5000))
		served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n >= 2 {
				w.WriteHeader(status)
			}
			return n >= 2
		}
		source := newSource(t, served.start(t), nil)
		before := stat(t, source)
		wantRead(t, source, 0, served.data)
		if after := stat(t, source); after != before {
			t.Errorf("%d: Stat returns %+v, before it was %+v", status, after, before)
		}
		served.wantRanges(t, "bytes=0-0", "bytes=0-", "bytes=0-0")
	}
}

// rawServer serves one connection after another: it reads a request and calls respond.
func rawServer(t *testing.T, respond func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				respond(conn)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return fmt.Sprintf("http://%s/data.bin", listener.Addr())
}

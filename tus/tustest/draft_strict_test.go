package tustest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestDraft_RefusesWrongRequests(t *testing.T) {
	forDrafts(t, 3, 9, tustest.Options{}, func(t *testing.T, c draft) {
		path := c.upload()
		other := "Upload-Incomplete"
		if c.interop == 3 {
			other = "Upload-Complete"
		}
		name := c.complete(true)[0]
		at0 := []string{"Upload-Offset", "0"}
		for _, test := range []struct {
			what, method, path string
			fields             []string
			status             int
		}{
			{"creation without completeness", "POST", "/files/", nil, 400},
			{"creation with the field of another version", "POST", "/files/", []string{name, "?1", other, "?0"}, 400},
			{"creation with Upload-Offset", "POST", "/files/", []string{name, "?1", "Upload-Offset", "0"}, 400},
			{"creation with a token", "POST", "/files/", []string{name, "true"}, 400},
			{"append without Upload-Offset", "PATCH", path, []string{name, "?0"}, 400},
			{"append at a negative offset", "PATCH", path, []string{name, "?0", "Upload-Offset", "-1"}, 400},
			{"append at a string", "PATCH", path, []string{name, "?0", "Upload-Offset", `"0"`}, 400},
			{"append at 16 digits", "PATCH", path, []string{name, "?0", "Upload-Offset", "0000000000000000"}, 400},
			{"append with another field", "PATCH", path, append(at0, other, "?1"), 400},
			{"PUT on an upload", "PUT", path, append(at0, name, "?1"), 405},
			{"HEAD on the target", "HEAD", "/files/", nil, 405},
			{"HEAD with Upload-Offset", "HEAD", path, at0, 400},
			{"HEAD with completeness", "HEAD", path, []string{name, "?0"}, 400},
			{"HEAD with Upload-Length", "HEAD", path, []string{"Upload-Length", "1"}, 400},
			{"DELETE with Upload-Offset", "DELETE", path, at0, 400},
			{"OPTIONS with completeness", "OPTIONS", "/files/", []string{name, "?1"}, 400},
		} {
			if c.interop == tustest.RFC && test.method == "OPTIONS" {
				continue // handled as tus
			}
			if r := c.do(test.method, test.path, nil, test.fields...); r.status != test.status {
				t.Errorf("%s: %s (%s)", test.what, r.show(), r.body)
			}
		}
		if c.patchesPartially() {
			if r := c.append(path, 0, "x", true, "Content-Type", ""); r.status != 415 {
				t.Errorf("append without Content-Type: %s", r.show())
			}
		}
		if c.interop == 3 {
			c.want("append without completeness", c.do("PATCH", path, strings.NewReader("all"), at0...), "201 Incomplete=?0 Offset=3")
		} else if r := c.do("PATCH", path, nil, at0...); r.status != 400 {
			t.Errorf("append without completeness: %s", r.show())
		}
		if r := c.append(path, 0, "x", true, "Upload-Draft-Interop-Version", "77"); r.status != 412 && c.interop != tustest.RFC {
			t.Errorf("another version: %s", r.show())
		}
	})
}

func TestDraft_AcceptsParameters(t *testing.T) {
	forDrafts(t, 3, 9, tustest.Options{}, func(t *testing.T, c draft) {
		name := c.complete(true)[0]
		path := c.upload()
		value := c.complete(true)[1] + `;a=1; b="x;y";c`
		if r := c.append(path, 0, "hello", true, name, value, "Upload-Offset", "0;why=start"); r.status/100 != 2 {
			t.Errorf("append: %s (%s)", r.show(), r.body)
		}
		wantContent(t, c.srv, path, "hello")
	})
}

func TestDraft_LengthIsConsistent(t *testing.T) {
	forDrafts(t, 6, 9, tustest.Options{}, func(t *testing.T, c draft) {
		refusal := c.of(row{6, 6, "400"}, row{7, 9, "400 problem"})
		c.want("creation", c.create("hello", true, "Upload-Length", "6"), refusal)
		if r := c.create("", false, "Upload-Length", "?1"); r.status != 400 {
			t.Errorf("wrong type: %s", r.show())
		}
		path := c.upload("Upload-Length", "10")
		c.want("another length", c.append(path, 0, "hello", false, "Upload-Length", "11"), refusal)
		c.want("the same length", c.append(path, 0, "hello", false, "Upload-Length", "10"), c.of(row{6, 6, "201 Complete=?0 Offset=5"}, row{7, 9, "204 Complete=?0"}))
		c.want("too short", c.append(path, 5, "wor", true), refusal)
		c.want("too short, chunked", c.do("PATCH", path, io.MultiReader(strings.NewReader("w")), append(c.complete(true), "Upload-Offset", "5")...), refusal)
		c.want("too long", c.append(path, 6, "orld!", true), refusal)
		c.want("HEAD", c.head(path), c.of(row{6, 6, "204 Complete=?0 Length=10 Offset=6"}, row{7, 9, "410"}))

		path = c.upload("Upload-Length", "10")
		c.want("too long, chunked", c.do("PATCH", path, io.MultiReader(strings.NewReader("hello world")), append(c.complete(false), "Upload-Offset", "0")...), refusal)
		if up, _ := c.srv.Upload(path); len(up.Data) > 10 || up.Terminated != (c.interop != 6) {
			t.Errorf("upload is %+v", up)
		}

		late := c.upload()
		c.append(late, 0, "hello", false, "Upload-Length", "10")
		c.want("length of an append", c.head(late), c.of(row{6, 7, "204 Complete=?0 Length=10 Offset=5"}, row{8, 9, "204 Complete=?0 Length=10 Limit=min-size=0 Offset=5"}))
		started := c.upload()
		c.append(started, 0, "hello", false)
		c.want("below the offset", c.append(started, 5, "", false, "Upload-Length", "4"), refusal)
		if r := c.head(started); r.status != 204 || r.header.Get("Upload-Length") != "" {
			t.Errorf("HEAD: %s", r.show())
		}
	})
	forDrafts(t, 3, 5, tustest.Options{}, func(t *testing.T, c draft) {
		path := c.upload("Upload-Length", "1") // not defined
		c.append(path, 0, "hello", true)
		wantContent(t, c.srv, path, "hello")
	})
}

func TestDraft_UnknownContentLength(t *testing.T) {
	forDrafts(t, 3, 9, tustest.Options{}, func(t *testing.T, c draft) {
		r := c.do("POST", "/files/", io.MultiReader(strings.NewReader("hello")), c.complete(true)...)
		path := r.notices[0].header.Get("Location")
		if up, _ := c.srv.Upload(path); r.status/100 != 2 || !up.Complete() || string(up.Data) != "hello" {
			t.Errorf("creation: %s, %+v", r.show(), up)
		}
	})
}

func TestDraft_Limits(t *testing.T) {
	opts := tustest.Options{MaxSize: 20, Draft: tustest.DraftOptions{MinSize: 3, MaxAppendSize: 8, MinAppendSize: 4}}
	const limits = "Limit=max-append-size=8, max-size=20, min-append-size=4, min-size=3"
	forDrafts(t, 6, 9, opts, func(t *testing.T, c draft) {
		tooLarge := "413 " + limits
		c.want("creation above max-size", c.create("", false, "Upload-Length", "21"), tooLarge)
		c.want("content above max-size", c.create(strings.Repeat("x", 21), true), tooLarge)
		if r := c.create("123456789", true); (r.status == 413) != (c.interop == 9 || c.interop == tustest.RFC) {
			t.Errorf("creation above max-append-size: %s", r.show())
		}
		if r := c.create("123", false); (r.status == 400) != (c.interop == 9 || c.interop == tustest.RFC) {
			t.Errorf("creation below min-append-size: %s", r.show())
		}
		c.want("incomplete below min-size", c.create("", false, "Upload-Length", "2"), "400")
		if r := c.create("12", true); r.status/100 != 2 || len(r.notices) > 0 || r.header.Get("Location") != "" {
			t.Errorf("complete below min-size: %s with %d notices", r.show(), len(r.notices))
		}
		created := c.create("", false)
		c.want("creation", created, c.of(row{6, 6, "201 Complete=?0 " + limits + " Location Offset=0"}, row{7, 9, "201 Complete=?0 " + limits + " Location"}))
		path := pathOf(created)
		c.want("HEAD", c.head(path), "204 Complete=?0 "+limits+" Offset=0")
		c.want("append above max-append-size", c.append(path, 0, "123456789", false), tooLarge)
		chunkedTo := func(path string, at int, content string, ended bool) response {
			return c.do("PATCH", path, io.MultiReader(strings.NewReader(content)), append(c.complete(ended), "Upload-Offset", strconv.Itoa(at))...)
		}
		chunked := func(at int, content string, ended bool) response { return chunkedTo(path, at, content, ended) }
		c.want("chunked below min-append-size", chunkedTo(c.upload(), 0, "123", false), "400")
		if r := chunkedTo(c.upload(), 0, "123", true); r.status/100 != 2 {
			t.Errorf("chunked end below min-append-size: %s", r.show())
		}
		c.want("chunked above max-append-size", chunked(0, "123456789", false), tooLarge)
		c.want("append below min-append-size", c.append(path, 0, "123", false), "400")
		stored := c.of(row{6, 6, "201 Complete=?0 Offset=8"}, row{7, 9, "204 Complete=?0"})
		c.want("largest append", c.append(path, 0, "12345678", false), stored)
		c.append(path, 8, "12345678", false)
		c.want("append above max-size", c.append(path, 16, "12345", false), tooLarge)
		c.want("chunked above max-size", chunked(16, "12345", true), tooLarge)
		if r := c.append(path, 16, "1", true); r.status/100 != 2 {
			t.Errorf("last append below min-append-size: %s", r.show())
		}
		wantContent(t, c.srv, path, "12345678123456781")
	})
	forDrafts(t, 3, 5, opts, func(t *testing.T, c draft) { // no Upload-Limit
		if r := c.create("123456789", true); r.status != 201 {
			t.Errorf("creation: %s", r.show())
		}
		c.want("content above max-size", c.create(strings.Repeat("x", 21), true), "413")
	})
}

func TestDraft_ExpiryIsRemainingTime(t *testing.T) {
	forDrafts(t, 6, 9, tustest.Options{Expires: time.Hour}, func(t *testing.T, c draft) {
		r := c.head(c.upload())
		key := c.of(row{6, 6, "expires="}, row{7, 9, "max-age="})
		if limit := r.header.Get("Upload-Limit"); limit != key+"3599" && limit != key+"3600" {
			t.Errorf("limits are %q", limit)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := tustest.NewHandler(&tustest.Options{Expires: time.Hour, Interop: []int{9}, Draft: tustest.DraftOptions{Dialect: tustest.DialectMute}})
		do := func(method, path string, fields ...string) http.Header {
			r, w := httptest.NewRequest(method, path, nil), httptest.NewRecorder()
			r.Header = http.Header{"Upload-Draft-Interop-Version": {"9"}}
			for i := 0; i+1 < len(fields); i += 2 {
				r.Header.Set(fields[i], fields[i+1])
			}
			h.ServeHTTP(w, r)
			return w.Header()
		}
		path := do("POST", "/files/", "Upload-Complete", "?0").Get("Location")
		time.Sleep(20 * time.Minute)
		if got := do("HEAD", path).Get("Upload-Limit"); got != "max-age=2400" {
			t.Errorf("limits are %q", got)
		}
	})
	srv := tustest.NewServer(t, &tustest.Options{Expires: time.Nanosecond, Interop: []int{6, 9}})
	for interop, status := range map[int]int{6: 404, 9: 410} {
		c := draft{t, srv, interop}
		if r := c.head(c.upload()); r.status != status {
			t.Errorf("version %d: %s", interop, r.show())
		}
	}
}

// A new request ends the one in flight, whose bytes are kept.
func TestDraft_NewRequestEndsOlder(t *testing.T) {
	for _, method := range []string{"HEAD", "PATCH", "DELETE"} {
		forDrafts(t, 3, 9, tustest.Options{}, func(t *testing.T, c draft) {
			path := c.upload()
			content, w := io.Pipe()
			defer w.Close()
			first := make(chan response)
			go func() { first <- c.do("PATCH", path, content, append(c.complete(true), "Upload-Offset", "0")...) }()
			if _, err := io.WriteString(w, "hello"); err != nil {
				t.Fatal(err)
			}
			for up, _ := c.srv.Upload(path); len(up.Data) < 5; up, _ = c.srv.Upload(path) {
				runtime.Gosched()
			}
			var second response
			switch method {
			case "HEAD":
				second = c.head(path)
				if second.header.Get("Upload-Offset") != "5" {
					t.Errorf("HEAD: %s", second.show())
				}
			case "PATCH":
				second = c.append(path, 5, " world", true)
			case "DELETE":
				second = c.do("DELETE", path, nil)
			}
			if second.status/100 != 2 {
				t.Errorf("second request: %s (%s)", second.show(), second.body)
			}
			w.Close()
			<-first
			log := c.srv.Requests()
			if status := log[1].Status; status != 400 {
				t.Errorf("first request has status %d", status)
			}
			if method == "PATCH" {
				wantContent(t, c.srv, path, "hello world")
			}
		})
	}
}

// A fault that waits must not block the next request.
func TestDraft_NewRequestEndsFault(t *testing.T) {
	forDrafts(t, 3, 9, tustest.Options{}, func(t *testing.T, c draft) {
		reading := make(chan struct{})
		c.srv.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			r.Body = waitingBody{r.Body, reading, r.Context().Done()}
			h.Serve(w, r)
		}})
		path := c.upload()
		first := make(chan response)
		go func() { first <- c.append(path, 0, "hello", true) }()
		<-reading
		if r := c.head(path); r.status != 204 {
			t.Errorf("HEAD: %s", r.show())
		}
		if r := <-first; r.status != 400 {
			t.Errorf("first request: %s", r.show())
		}
	})
}

// waitingBody closes reading when it is read, and returns an error when done is closed.
type waitingBody struct {
	io.ReadCloser
	reading chan<- struct{}
	done    <-chan struct{}
}

func (b waitingBody) Read([]byte) (int, error) {
	close(b.reading)
	<-b.done
	return 0, io.ErrUnexpectedEOF
}

func TestDraft_LockedByTus(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Interop: []int{9}})
	path := create(t, srv, "Upload-Length: 10")
	content, w := io.Pipe()
	defer w.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		req, _ := http.NewRequest("PATCH", srv.HTTP.URL+path, content)
		req.Header = http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Offset": {"0"}, "Content-Type": {"application/offset+octet-stream"}}
		if resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}()
	io.WriteString(w, "hello")
	for up, _ := srv.Upload(path); len(up.Data) < 5; up, _ = srv.Upload(path) {
		runtime.Gosched()
	}
	if r := (draft{t, srv, 9}).head(path); r.status != 423 {
		t.Errorf("HEAD: %s", r.show())
	}
	w.Close()
	<-done
}

func TestDraft_WithoutTermination(t *testing.T) {
	forDrafts(t, 3, 9, tustest.Options{Extensions: tustest.Without("termination")}, func(t *testing.T, c draft) {
		if r := c.do("DELETE", c.upload(), nil); r.status != 405 {
			t.Errorf("DELETE: %s", r.show())
		}
	})
}

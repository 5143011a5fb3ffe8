package tustest_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// do sends a request with net/http and returns status, header and body of the
// response. The status is 0 if the connection was cut.
func do(t *testing.T, method, url, body string, fields ...string) (status int, header http.Header, text string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, nil, ""
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(data)
}

func TestFault_SelectsRequests(t *testing.T) {
	fault := func(f tustest.Fault, status int) tustest.Fault {
		f.Action = tustest.Respond(status, "")
		return f
	}
	for name, test := range map[string]struct {
		faults []tustest.Fault
		want   []int
	}{
		"none":           {nil, []int{200, 200, 200, 200}},
		"once":           {[]tustest.Fault{fault(tustest.Fault{}, 500)}, []int{500, 200, 200, 200}},
		"twice":          {[]tustest.Fault{fault(tustest.Fault{Times: 2}, 500)}, []int{500, 500, 200, 200}},
		"always":         {[]tustest.Fault{fault(tustest.Fault{Times: -1}, 500)}, []int{500, 500, 500, 500}},
		"later":          {[]tustest.Fault{fault(tustest.Fault{Skip: 2, Times: -1}, 500)}, []int{200, 200, 500, 500}},
		"other method":   {[]tustest.Fault{fault(tustest.Fault{Method: "PATCH", Times: -1}, 500)}, []int{200, 200, 200, 200}},
		"this method":    {[]tustest.Fault{fault(tustest.Fault{Method: "HEAD"}, 500)}, []int{500, 200, 200, 200}},
		"from an offset": {[]tustest.Fault{fault(tustest.Fault{From: 1, Times: -1}, 500)}, []int{200, 200, 200, 200}}, // HEAD has none
		"one after another": {[]tustest.Fault{fault(tustest.Fault{}, 500), fault(tustest.Fault{}, 502), fault(tustest.Fault{Skip: 1}, 503)},
			[]int{500, 502, 200, 503}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			upload := srv.HTTP.URL + create(t, srv, "Upload-Length: 5")
			srv.Inject(test.faults...)
			var got []int
			for range test.want {
				status, _, _ := do(t, "HEAD", upload, "")
				got = append(got, status)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("statuses are %v, want %v", got, test.want)
			}
		})
	}
}

func TestFault_FromOffsetAndOverriddenMethod(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := srv.HTTP.URL + create(t, srv, "Upload-Length: 10")
	srv.Inject(tustest.Fault{Method: "PATCH", From: 3, Times: -1, Action: tustest.Respond(500, "")})
	if status, _, _ := do(t, "PATCH", upload, "hello", "Upload-Offset", "0"); status != 204 {
		t.Errorf("status below the offset is %d", status)
	}
	if status, _, _ := do(t, "POST", upload, "world", "Upload-Offset", "5", "X-HTTP-Method-Override", "PATCH"); status != 500 {
		t.Errorf("status above the offset is %d", status)
	}
}

func TestActions(t *testing.T) {
	for name, test := range map[string]struct {
		action tustest.Action
		status int    // 0: cut
		header string // Upload-Offset of the response
		text   string
		stored string
	}{
		"Respond":            {tustest.Respond(418, "teapot", "Upload-Offset", "7"), 418, "7", "teapot", ""},
		"SetHeader":          {tustest.SetHeader("Upload-Offset", "99"), 204, "99", "", "hello"},
		"SetHeader, removed": {tustest.SetHeader("Upload-Offset", ""), 204, "", "", "hello"},
		"CutBefore":          {tustest.CutBefore(), 0, "", "", ""},
		"CutAfter":           {tustest.CutAfter(3), 0, "", "", "hel"},
		"CutAfter nothing":   {tustest.CutAfter(0), 0, "", "", ""},
		"LoseResponse":       {tustest.LoseResponse(), 0, "", "", "hello"},
		"Delay":              {tustest.Delay(time.Millisecond), 204, "5", "", "hello"},
		"Serve":              {func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) { h.Serve(w, r) }, 204, "5", "", "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			upload := create(t, srv, "Upload-Length: 10")
			srv.Inject(tustest.Fault{Method: "PATCH", Action: test.action})
			status, header, text := do(t, "PATCH", srv.HTTP.URL+upload, "hello", "Upload-Offset", "0")
			if status != test.status || header.Get("Upload-Offset") != test.header || text != test.text {
				t.Errorf("response is %d %q with Upload-Offset %q", status, text, header.Get("Upload-Offset"))
			}
			wantContent(t, srv, upload, test.stored)
			log := srv.Requests()
			if last := log[len(log)-1]; last.Method != "PATCH" || last.Path != upload || last.Status != test.status || last.Header.Get("Upload-Offset") != "0" {
				t.Errorf("log entry is %+v", last)
			}
		})
	}
}

func TestStall_EndsWithServer(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 10")
	srv.Inject(
		tustest.Fault{Method: "PATCH", Action: tustest.Stall()},
		tustest.Fault{Method: "HEAD", Action: tustest.Stall()},
		tustest.Fault{Method: "DELETE", Action: tustest.Delay(time.Hour)},
	)
	var clients sync.WaitGroup
	for _, method := range []string{"PATCH", "HEAD", "DELETE"} {
		clients.Go(func() {
			if status, _, _ := do(t, method, srv.HTTP.URL+upload, "hello", "Upload-Offset", "0"); status != 0 {
				t.Errorf("%s: status %d", method, status)
			}
		})
	}
	for len(srv.Requests()) < 4 {
		runtime.Gosched()
	}
	srv.Close()
	clients.Wait()
	wantContent(t, srv, upload, "")
}

func TestHandler_ChangesStoredUploads(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv, "Upload-Length: 10")
	url := srv.HTTP.URL + upload
	do(t, "PATCH", url, "hello", "Upload-Offset", "0")
	srv.Truncate(url, 3)
	srv.Truncate(url, 100)
	wantContent(t, srv, upload, "hel")
	if status, header, _ := do(t, "HEAD", url, ""); status != 200 || header.Get("Upload-Offset") != "3" {
		t.Errorf("HEAD: status %d, offset %s", status, header.Get("Upload-Offset"))
	}
	for _, name := range []string{url, upload, "00000001"} {
		if up, ok := srv.Upload(name); !ok || string(up.Data) != "hel" {
			t.Errorf("%s is %q, %v", name, up.Data, ok)
		}
	}
	srv.Forget(url)
	if status, _, _ := do(t, "HEAD", url, ""); status != 410 {
		t.Errorf("HEAD: status %d", status)
	}
	if up, ok := srv.Upload(url); !ok || !up.Terminated || up.Complete() {
		t.Errorf("upload is %+v", up)
	}
	srv.Forget("nothing")
	srv.Truncate("nothing", 0)
	if _, ok := srv.Upload("nothing"); ok {
		t.Error("Upload returned an upload that was never created")
	}
}

func TestHandler_LogAndCounters(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	first := create(t, srv, "Upload-Length: 10\nUpload-Metadata: a YQ==")
	create(t, srv, "Upload-Length: 0\nUpload-Concat: partial")
	do(t, "PATCH", srv.HTTP.URL+first, "hello", "Upload-Offset", "0")
	do(t, "PATCH", srv.HTTP.URL+first, "world", "Upload-Offset", "5")
	do(t, "PATCH", srv.HTTP.URL+first, "again", "Upload-Offset", "5")
	var lines []string
	for _, r := range srv.Requests() {
		lines = append(lines, fmt.Sprint(r.Method, r.Body, r.Status))
	}
	if want := []string{"POST0 201", "POST0 201", "PATCH5 204", "PATCH5 204"}; !slices.Equal(lines[:4], want) {
		t.Errorf("log is %q", lines)
	}
	if srv.Count("POST") != 2 || srv.Count("PATCH") != 3 {
		t.Errorf("%d POST, %d PATCH", srv.Count("POST"), srv.Count("PATCH"))
	}
	ups := srv.Uploads()
	if len(ups) != 2 || ups[0].ID != "00000001" || ups[0].Metadata != "a YQ==" || ups[1].Concat != "partial" || !ups[1].Complete() {
		t.Errorf("uploads are %+v", ups)
	}
	ups[0].Data[0] = 'X' // a copy
	wantContent(t, srv, first, "helloworld")
}

func TestWithout(t *testing.T) {
	all := tustest.Without()
	if len(all) != 9 {
		t.Errorf("Without() is %v", all)
	}
	if got := tustest.Without(all[1:]...); !slices.Equal(got, []string{"creation"}) {
		t.Errorf("Without all but the first is %v", got)
	}
	all[0] = "changed"
	if tustest.Without()[0] != "creation" {
		t.Error("Without returned a shared slice")
	}
}

func TestHandler_ConcurrentClients(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			status, header, _ := do(t, "POST", srv.Endpoint(), strings.Repeat("x", i), "Upload-Length", "10")
			if status != 201 {
				t.Errorf("POST: status %d", status)
				return
			}
			url := srv.HTTP.URL + header.Get("Location")
			for n := i; n < 10; n++ {
				if status, _, _ := do(t, "PATCH", url, "y", "Upload-Offset", fmt.Sprint(n)); status != 204 {
					t.Errorf("PATCH: status %d", status)
				}
				srv.Uploads()
			}
			if up, _ := srv.Upload(url); string(up.Data) != strings.Repeat("x", i)+strings.Repeat("y", 10-i) {
				t.Errorf("content is %q", up.Data)
			}
		})
	}
	clients.Wait()
}

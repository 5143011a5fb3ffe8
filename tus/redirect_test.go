package tus_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// TestRedirect_SameOriginKeepsUserinfo has credentials in an upload URL of the caller.
// Those in a Location are dropped.
func TestRedirect_SameOriginKeepsUserinfo(t *testing.T) {
	h := tustest.NewHandler(nil)
	redirect := func(target string) string { return target }
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, ok := r.BasicAuth()
		if !ok || user != "someone" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if target, moved := strings.CutPrefix(r.URL.Path, "/old"); moved {
			w.Header().Set("Location", redirect(target))
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		h.ServeHTTP(w, r)
	}))
	defer srv.Close()
	endpoint := strings.Replace(srv.URL, "http://", "http://someone:password@", 1)
	made, err := newClient(t, endpoint+"/files/", nil).Create(testContext(t), tus.CreateOptions{DeferLength: true})
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(made.URL)
	if err != nil || target.User != nil {
		t.Fatalf("created %q, %v", made.URL, err)
	}
	client := newClient(t, srv.URL+"/files/", nil)
	for _, location := range []func(string) string{
		redirect,
		func(target string) string { return srv.URL + target },
		func(target string) string {
			return strings.Replace(srv.URL, "http://", "http://other:password@", 1) + target
		},
	} {
		redirect = location
		if _, err := client.Info(testContext(t), endpoint+"/old"+target.Path); err != nil {
			t.Errorf("redirected to %s: %v", location(target.Path), err)
		}
	}
}

func TestRedirect_KeepsMethodAndBodyNotCredentials(t *testing.T) {
	for _, status := range []int{307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			home, away := tustest.NewServer(t, nil), tustest.NewServer(t, nil)
			home.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				faults.RespondAfter(status, "moved", "Location", away.HTTP.URL+r.URL.Path)(w, r, h)
			}})
			client := newClient(t, home.Endpoint(), secretOptions())
			data := randomBytes(3000)
			res, err := client.Upload(testContext(t), tus.Bytes(data), nil) // OPTIONS, POST with the bytes
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, away.Handler, res.URL, data)
			if !strings.HasPrefix(res.URL, away.HTTP.URL) {
				t.Errorf("URL is %s, want it relative to the server that responded", res.URL)
			}
			// From here, the first server redirects again.
			target := home.HTTP.URL + "/files/00000002"
			uploadOn(t, away, data)
			if _, err := client.Resume(testContext(t), target, tus.Bytes(data), chunked()); err != nil {
				t.Fatal(err)
			}
			wantStored(t, away.Handler, target, data)
			if err := client.Terminate(testContext(t), target); err != nil {
				t.Fatal(err)
			}
			wantMethods(t, home.Handler, "OPTIONS", "POST", "HEAD", "PATCH", "PATCH", "PATCH", "DELETE")
			for _, r := range home.Requests() {
				wantSecrets(t, r)
			}
			for _, r := range away.Requests() {
				wantNoSecrets(t, r)
			}
		})
	}
}

func TestRedirect_SameOriginKeepsCredentials(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(
		tustest.Fault{Method: "POST", Action: tustest.Respond(308, "", "Location", "/files")},
		tustest.Fault{Method: "PATCH", Action: faults.RespondAfter(307, "", "Location", "./00000001?moved")},
	)
	data := randomBytes(3000)
	res, err := newClient(t, srv.Endpoint(), secretOptions()).Upload(testContext(t), tus.Bytes(data), whole())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	wantMethods(t, srv.Handler, "POST", "POST", "PATCH", "PATCH")
	for _, r := range srv.Requests() {
		wantSecrets(t, r)
	}
}

func TestRedirect_UnusableEndsUpload(t *testing.T) {
	for name, test := range map[string]struct {
		action   tustest.Action
		requests int // at most
	}{
		"loop":           {tustest.Respond(307, "", "Location", "/files/"), 10},
		"301":            {tustest.Respond(301, "", "Location", "/files/other"), 1},
		"302":            {tustest.Respond(302, "", "Location", "/files/other"), 1},
		"303":            {tustest.Respond(303, "", "Location", "/files/other"), 1},
		"304":            {tustest.Respond(304, ""), 1},
		"another scheme": {tustest.Respond(307, "", "Location", "ftp://example.org/"), 1},
		"without a host": {tustest.Respond(308, "", "Location", "http://"), 1},
		"script":         {tustest.Respond(308, "", "Location", "javascript:alert(1)"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Times: -1, Action: test.action})
			_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(3000)), whole())
			wantError(t, err, tus.ErrProtocol)
			if n := len(srv.Requests()); n > test.requests {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

func TestRedirect_StepDownFromHTTPSIsRefused(t *testing.T) {
	data := randomBytes(3000)
	for name, fault := range map[string]func(target string) tustest.Fault{
		"Location": func(target string) tustest.Fault {
			return tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", target)}
		},
		"redirect": func(target string) tustest.Fault {
			return tustest.Fault{Method: "PATCH", Action: faults.RespondAfter(307, "", "Location", target)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			plain := tustest.NewServer(t, nil)
			target := uploadOn(t, plain, data)
			known := len(plain.Requests())

			h, endpoint, opts := tlsServer(t)
			h.Inject(fault(target))
			_, err := newClient(t, endpoint, opts).Upload(testContext(t), tus.Bytes(data), whole())
			wantError(t, err, tus.ErrProtocol)
			if n := len(plain.Requests()) - known; n != 0 {
				t.Errorf("%d requests were sent in the clear", n)
			}

			h.Inject(fault(target))
			opts.TrustedOrigins = []string{plain.HTTP.URL}
			if _, err := newClient(t, endpoint, opts).Upload(testContext(t), tus.Bytes(data), whole()); err != nil {
				t.Fatal(err)
			}
			wantStored(t, plain.Handler, target, data)
		})
	}
}

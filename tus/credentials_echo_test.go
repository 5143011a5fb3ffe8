package tus_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// TestNoSecretShowsInOtherForms has servers that repeat credentials in another form, or
// where texts are cut.
func TestNoSecretShowsInOtherForms(t *testing.T) {
	const password = "PLANTED-password"
	long := strings.Repeat("PLANTED-", 200)
	encoded := base64.StdEncoding.EncodeToString([]byte("someone:" + password))
	for name, test := range map[string]struct {
		userinfo, query string
		header          http.Header
		handler         func(w http.ResponseWriter, r *http.Request)
		secrets         []string
	}{
		"userinfo of an upload URL": {
			userinfo: "someone:" + password + "@",
			handler: func(w http.ResponseWriter, r *http.Request) {
				_, password, _ := r.BasicAuth()
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprintf(w, "no access with %s, password %s", r.Header.Get("Authorization"), password)
			},
			secrets: []string{planted, encoded},
		},
		"query as sent": {
			query: "?sig=" + url.QueryEscape("PLANTED/signature+of=="),
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprintf(w, "cannot %s %s", r.Method, r.RequestURI)
			},
			secrets: []string{planted},
		},
		"long token in a header": {
			header: http.Header{"Authorization": {"Bearer " + long}},
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Upload-Offset", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
			},
			secrets: []string{planted},
		},
		"long token repeated": {
			header: http.Header{"Authorization": {"Bearer " + long}},
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusForbidden)
				for range 4 {
					fmt.Fprintln(w, r.Header.Get("Authorization"))
				}
			},
			secrets: []string{planted},
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(test.handler))
			defer srv.Close()
			client := newClient(t, srv.URL+"/files/", &tus.Options{Header: test.header})
			at := strings.Replace(srv.URL, "http://", "http://"+test.userinfo, 1) + "/files/1" + test.query
			_, head := client.Info(testContext(t), at)
			for _, err := range []error{head, client.Terminate(testContext(t), at)} {
				for _, secret := range test.secrets {
					if err != nil && strings.Contains(err.Error(), secret) {
						t.Errorf("shows %q: %v", secret, err)
					}
				}
			}
			if head == nil {
				t.Error("no error")
			}
		})
	}
}

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

// Cookies of a jar are secrets: an error must not show them if the server repeats them.
func TestNoSecretShowsOfCookieJar(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		http.Error(w, "request was "+r.Header.Get("Cookie"), http.StatusForbidden)
	}})
	jar, _ := cookiejar.New(nil)
	at, _ := url.Parse(srv.Endpoint())
	jar.SetCookies(at, []*http.Cookie{{Name: "session", Value: "hunter2-hunter2-hunter2"}})
	transport := tus.NewTransport()
	client := newClient(t, srv.Endpoint(), &tus.Options{HTTPClient: &http.Client{Transport: transport, Jar: jar}})
	_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
	wantError(t, err, tus.ErrUnauthorized)
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error shows the cookie: %v", err)
	}
}

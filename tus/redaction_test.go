package tus_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// echo responds with the whole request, as debug pages of servers do.
func echo(status int) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		fmt.Fprintf(w, "<pre>%s %s\n", r.Method, r.URL)
		for _, name := range secretHeaders {
			fmt.Fprintf(w, "%s: %s\n", name, r.Header.Get(name))
		}
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		fmt.Fprintf(w, "invalid token %q, token=%s\n", token, token)
	}
}

func TestNoSecretShowsInErrorsAndEvents(t *testing.T) {
	const query = "?token=PLANTED-in-query&x=1"
	data := randomBytes(3000)
	for name, faults := range map[string][]tustest.Fault{
		"POST refused":    {{Method: "POST", Times: -1, Action: echo(403)}},
		"POST fails":      {{Method: "POST", Times: -1, Action: echo(500)}},
		"POST redirected": {{Method: "POST", Times: -1, Action: echo(302)}},
		"no Location":     {{Method: "POST", Times: -1, Action: echo(201)}},
		"PATCH refused":   {{Method: "PATCH", Times: -1, Action: echo(400)}},
		"PATCH fails":     {{Method: "PATCH", Times: -1, Action: echo(502)}},
		"PATCH garbage":   {{Method: "PATCH", Times: -1, Action: echo(200)}},
		"PATCH gone":      {{Method: "PATCH", Times: -1, Action: echo(404)}},
		"PATCH 412":       {{Method: "PATCH", Times: -1, Action: echo(412)}},
		"PATCH cut":       {{Method: "PATCH", Times: -1, Action: tustest.CutBefore()}},
		"HEAD refused":    {{Method: "PATCH", Action: tustest.CutBefore()}, {Method: "HEAD", Times: -1, Action: echo(403)}},
		"bad Location":    {{Method: "POST", Times: -1, Action: tustest.SetHeader("Location", "ftp://me:PLANTED@host/path"+query)}},
		"bad redirect":    {{Method: "POST", Times: -1, Action: tustest.Respond(307, "", "Location", "http://me:PLANTED@[::1"+query)}},
		"redirect loop":   {{Method: "POST", Times: -1, Action: faults.RespondAfter(307, "", "Location", "/files/"+query)}},
		"query":           {{Method: "POST", Action: tustest.SetHeader("Location", "/files/00000001"+query)}, {Method: "PATCH", Times: -1, Action: echo(403)}},
		"query, cut":      {{Method: "POST", Times: -1, Action: tustest.SetHeader("Location", "/files/00000001"+query)}, {Method: "PATCH", Times: -1, Action: tustest.CutBefore()}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(faults...)
			var texts []string
			note := func(what any) {
				texts = append(texts, fmt.Sprintf("%v", what), fmt.Sprintf("%+v", what), fmt.Sprintf("%#v", what))
			}
			opts := secretOptions()
			opts.Hooks.OnRetry = func(_ *tus.Uploader, r tus.Retry) { note(r); note(r.Err) }
			opts.Hooks.OnStateChange = func(_ *tus.Uploader, _, _ tus.State, err error) { note(err) }
			opts.Hooks.OnProgress = func(_ *tus.Uploader, p tus.Progress) { note(p) }
			res, err := newClient(t, srv.Endpoint()+query, opts).Upload(testContext(t), tus.Bytes(data), chunked())
			if err == nil {
				t.Fatal("upload succeeded")
			}
			note(err)
			note(res.Stats)
			var e *tus.Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %#v", err)
			}
			note(*e)
			note(e.Err)
			for _, text := range texts {
				if strings.Contains(text, planted) {
					t.Errorf("secret shows in %s", text)
				}
			}
		})
	}
}

func TestNoSecretShowsInEchoes(t *testing.T) {
	// Each secret has its own prefix, so that a part of it is found as well.
	const token, session, password = "PLANTED-token-0123456789", "PLANTED-session-0123456789", "PLANTED-password-0123456789"
	for name, action := range map[string]tustest.Action{
		"header of the versions": tustest.Respond(412, "", "Tus-Version", "Bearer "+token),
		"header of the offset":   faults.RespondAfter(204, "", "Upload-Offset", token),
		"header of the redirect": faults.RespondAfter(307, "", "Location", "ftp://host/"+token),
		"status line": func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				io.WriteString(conn, "HTTP/1.1 "+token+" no status\r\n\r\n")
				conn.Close()
			}
		},
		"at the end of the excerpt": tustest.Respond(403, strings.Repeat("x", 290)+" "+token),
		"value of a cookie":         tustest.Respond(403, "unknown session "+session),
		"decoded password":          tustest.Respond(403, "wrong password "+password+" of alice"),
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: action})
			for _, header := range []http.Header{
				{"Authorization": {"Bearer " + token}, "Cookie": {"theme=dark; session=" + session}},
				{"X-Token": {token}, "Cookie": {"theme=dark; session=" + session}},
			} {
				endpoint := strings.Replace(srv.Endpoint(), "http://", "http://alice:"+password+"@", 1)
				if strings.Contains(name, "password") {
					header.Del("Authorization")
				}
				_, err := newClient(t, endpoint, &tus.Options{Header: header}).Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
				if text := fmt.Sprintf("%v %+v %#v", err, err, err); err == nil || strings.Contains(text, "PLANT") {
					t.Errorf("error is %s", text)
				}
			}
		})
	}
}

func TestNoSecretShowsInPrintedResponse(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	opts := secretOptions()
	opts.Hooks.AfterResponse = func(_ *http.Request, resp *tus.Response) {
		if text := fmt.Sprintf("%v %+v %#v", resp, resp, *resp); strings.Contains(text, planted) {
			t.Errorf("secret shows in %s", text)
		}
	}
	client := newClient(t, srv.Endpoint()+"?token=PLANTED", opts)
	res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
	if err != nil {
		t.Fatal(err)
	}
	info, err := client.Info(testContext(t), res.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []any{*res.Creation, *res.LastPatch, *info.Response, info, *res} {
		if text := fmt.Sprintf("%v %+v %#v", what, what, what); strings.Contains(text, planted) {
			t.Errorf("secret shows in %s", text)
		}
	}
}

func TestNoSecretShowsInNetworkErrors(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Close()
	for _, endpoint := range []string{
		srv.Endpoint() + "?token=PLANTED",
		strings.Replace(srv.Endpoint(), "http://", "http://me:PLANTED@", 1) + "?token=PLANTED#PLANTED",
	} {
		client := newClient(t, endpoint, secretOptions())
		_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
		_, capsErr := client.Capabilities(testContext(t))
		_, infoErr := client.Info(testContext(t), endpoint)
		for _, err := range []error{err, capsErr, infoErr, client.Terminate(testContext(t), endpoint)} {
			if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), planted) {
				t.Errorf("error is %#v", err)
			}
			var u *url.Error
			if errors.As(err, &u) {
				t.Errorf("error wraps a url.Error, which has the whole URL: %v", u)
			}
		}
	}
}

// A pass over the text for each level of escapes would take a minute.
func TestRedaction_NestedEscapesTakeLinearTime(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	location := srv.Endpoint() + "%" + strings.Repeat("25", 100<<10)
	srv.Inject(tustest.Fault{Method: "POST", Action: func(w http.ResponseWriter, _ *http.Request, _ *tustest.Handler) {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusCreated)
	}})
	begin := time.Now()
	_, err := newClient(t, srv.Endpoint(), secretOptions()).Create(testContext(t), tus.CreateOptions{Size: 10})
	if took := time.Since(begin); err != nil || took > 10*time.Second {
		t.Errorf("took %v: %v", took, err)
	}
}

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

// tagged is a secret with a part that looks like an HTML tag.
const tagged = "k-<b>PLANTED</b>-and-more"

func TestError_MessageOfHTMLPageIsItsTitle(t *testing.T) {
	page := func(title, body string) string {
		return "<!DOCTYPE html>\n<html><head>" + title + "<style>b { color: red }</style></head><body>" + body + "</body></html>"
	}
	for name, c := range map[string]struct{ kind, body, want string }{
		"a title":               {"text/html", page("<title>403 Forbidden</title>", "<h1>no</h1>"), "403 Forbidden"},
		"with attributes":       {"Text/HTML; charset=utf-8", page("<TITLE lang=en>\n Attention Required! | Wall\n</TITLE>", ""), "Attention Required! | Wall"},
		"escaped":               {"text/html", page("<title>Tom &amp; &quot;Jerry&quot;</title>", ""), `Tom & "Jerry"`},
		"no title":              {"text/html", page("", "<h1>Sign in</h1>"), "<!DOCTYPE html> <html><head><style>b { color: red }</style></head><body><h1>Sign in</h1></body></html>"},
		"an empty title":        {"text/html", "<title> </title>sign in", "<title> </title>sign in"},
		"text":                  {"text/html", "size must be < 100 MB, and the quota > 0", "size must be < 100 MB, and the quota > 0"},
		"plain text":            {"text/plain", "<title>x</title> & more", "<title>x</title> & more"},
		"no type":               {"", "just text", "just text"},
		"invalid type":          {";;", "just text", "just text"},
		"a secret with tags":    {"text/html", "the key " + tagged + " is late", "the key [redacted] is late"},
		"a secret in words":     {"text/html", "key AAAAbbbbCCCCdddd1111&#x2F;PLANTEDtail&#43;PLANTEDend is late", "key [redacted] is late"},
		"a secret in a title":   {"text/html", page("<title>key AAAAbbbbCCCCdddd1111&#x2F;PLANTEDtail&#43;PLANTEDend is late</title>", ""), "key [redacted] is late"},
		"a secret with hyphens": {"text/html", "<title>PLANTED&shy;-bearer-&ZeroWidthSpace;token is late</title>", "[redacted] is late"},
		"a secret":              {"text/html", page("<title>PLANTED&#45;bearer-token is late</title>", ""), "[redacted] is late"},
	} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, _ *http.Request, _ *tustest.Handler) {
			w.Header()["Content-Type"] = []string{c.kind}
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(c.body))
		}})
		opts := secretOptions()
		opts.Header.Set("X-Tagged", tagged)
		opts.Header.Set("X-Base64", "AAAAbbbbCCCCdddd1111/PLANTEDtail+PLANTEDend")
		_, err := newClient(t, srv.Endpoint(), opts).Upload(testContext(t), tus.Bytes(randomBytes(10)), nil)
		var e *tus.Error
		if !errors.As(err, &e) || e.Message != c.want {
			t.Errorf("%s: error is %v, want the message %q", name, err, c.want)
		}
	}
}

// Express puts the message of an aborted request into a page.
func TestError_InterruptionInHTMLPageIsRetried(t *testing.T) {
	const page = "<!DOCTYPE html><html><head><title>Error</title></head><body><pre>BadRequestError: request aborted</pre></body></html>"
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", From: 1000, Action: tustest.Respond(400, page, "Content-Type", "text/html; charset=utf-8")})
	data := randomBytes(3000)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.Stats.Retries != 1 {
		t.Fatalf("result is %+v, %v", res, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

package tus_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

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

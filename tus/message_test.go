package tus_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// tagged is a secret of which a part looks like a tag.
const tagged = "k-<b>PLANTED</b>-and-more"

func TestPagesAreToldByTheirTitle(t *testing.T) {
	page := func(title, body string) string {
		return "<!DOCTYPE html>\n<html><head>" + title + "<style>b { color: red }</style></head><body>" + body + "</body></html>"
	}
	for name, c := range map[string]struct{ kind, body, want string }{
		"a title":               {"text/html", page("<title>403 Forbidden</title>", "<h1>no</h1>"), "403 Forbidden"},
		"with attributes":       {"Text/HTML; charset=utf-8", page("<TITLE lang=en>\n Attention Required! | Wall\n</TITLE>", ""), "Attention Required! | Wall"},
		"escaped":               {"text/html", page("<title>Tom &amp; &quot;Jerry&quot;</title>", ""), `Tom & "Jerry"`},
		"no title":              {"text/html", page("", "<!-- build 7 --><h1>Sign <b>in</b></h1><script>let a = '<b>'</script> first"), "Sign in first"},
		"an empty title":        {"text/html", page("<title> </title>", "sign in"), "sign in"},
		"a page that is cut":    {"text/html", "sign in <a href='http://", "sign in"},
		"a title far below":     {"text/html", "<p>" + strings.Repeat(" ", 5000) + "<title>x</title>", ""},
		"not a page":            {"text/plain", "<title>x</title> & more", "<title>x</title> & more"},
		"of no type":            {"", "just words", "just words"},
		"of a type that is odd": {";;", "just words", "just words"},
		"a secret with tags":    {"text/html", page("", "the key "+tagged+" is late"), "the key [redacted] is late"},
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
		_, err := newClient(t, srv.Endpoint(), opts).Upload(testContext(t), tus.Bytes(randomBytes(10)), nil)
		var e *tus.Error
		if !errors.As(err, &e) || e.Message != c.want {
			t.Errorf("%s: error is %v, want the message %q", name, err, c.want)
		}
	}
}

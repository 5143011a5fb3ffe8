package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestHint_NamesTheLikelyMistake(t *testing.T) {
	missing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(missing.Close)
	closed := tustest.NewServer(t, nil)
	closed.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.Respond(401, "who are you?")})
	path, _ := randomFile(t, 100)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"slash":       {[]string{"--endpoint", missing.URL + "/files", path}, "is " + missing.URL + "/files/ the endpoint, with a slash at the end?"},
		"credentials": {[]string{"--endpoint", closed.Endpoint(), path}, "set TUS_TOKEN"},
		"a token":     {[]string{"--endpoint", closed.Endpoint(), "--header", "Authorization: Bearer x", path}, ""},
	} {
		got := tusup(t, append(test.args, "--retries", "0")...)
		if got.code != exitFailed || test.want != "" && !strings.Contains(got.stderr, test.want) || test.want == "" && strings.Contains(got.stderr, "TUS_TOKEN") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestReach_UnknownHostFailsAfterTwoTries(t *testing.T) {
	path, _ := randomFile(t, 100)
	got := tusup(t, "--json", "--endpoint", "http://nosuchhost.invalid/files/", path)
	l := decode(t, got.stdout)
	if got.code != exitFailed || l.Retries != 1 || l.Error.Kind != "network" || !strings.Contains(got.stderr, "nosuchhost.invalid") {
		t.Errorf("outcome is %+v", got)
	}
}

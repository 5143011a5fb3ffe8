package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestCredentials_GoToTheEndpointAndTrustedOriginsOnly(t *testing.T) {
	t.Parallel()
	path, _ := randomFile(t, 100)
	for name, test := range map[string]struct {
		env      string   // TUS_ENDPOINT; HERE is replaced with the URL of the server
		args     []string // before the command
		wantEnv  bool     // the server gets TUS_TOKEN and TUS_HEADERS
		wantFlag bool     // the server gets --header
		noHeader bool
	}{
		"nothing":                {},
		"environment":            {env: "HERE/files/", wantEnv: true, wantFlag: true},
		"endpoint":               {args: []string{"--endpoint", "HERE/files/"}, wantEnv: true, wantFlag: true},
		"trusted":                {args: []string{"--trusted-origin", "HERE"}, wantEnv: true, wantFlag: true},
		"one of two trusted":     {args: []string{"--trusted-origin", "http://other.example", "--trusted-origin", "HERE/any?path"}, wantEnv: true, wantFlag: true},
		"other environment":      {env: "http://other.example/files/"},
		"other endpoint":         {args: []string{"--endpoint", "http://other.example/files/"}},
		"other trusted":          {args: []string{"--trusted-origin", "http://other.example"}},
		"both":                   {env: "http://other.example/files/", args: []string{"--endpoint", "HERE/files/"}, wantFlag: true},
		"both and trusted":       {env: "http://other.example/files/", args: []string{"--endpoint", "HERE/files/", "--trusted-origin", "HERE"}, wantEnv: true, wantFlag: true},
		"endpoint behind https":  {env: "https://HOST/files/"},
		"other port":             {env: "http://127.0.0.1:1/files/"},
		"nothing, environment":   {noHeader: true},
		"trusted without header": {args: []string{"--trusted-origin", "HERE"}, wantEnv: true, noHeader: true},
	} {
		for verb, args := range map[string][]string{
			"info":       {"info", "HERE/files/1"},
			"terminate":  {"terminate", "HERE/files/1"},
			"upload-url": {"--no-state", "--progress", "none", "--upload-url", "HERE/files/1", path},
		} {
			t.Run(name+" "+verb, func(t *testing.T) {
				l := newHeaderLog(t)
				here := func(s string) string {
					return strings.NewReplacer("HERE", l.url, "HOST", strings.TrimPrefix(l.url, "http://")).Replace(s)
				}
				all := append(append([]string{"--retries", "0"}, test.args...), args...)
				if !test.noHeader {
					all = append([]string{"--header", "X-Flag: of-flag"}, all...)
				}
				if args[0] == "info" || args[0] == "terminate" { // flags may follow the command
					all = append(args, all[:len(all)-len(args)]...)
				}
				for i := range all {
					all[i] = here(all[i])
				}
				cmd := command(t, all...)
				cmd.Env = append(cmd.Env, "TUS_ENDPOINT="+here(test.env), "TUS_TOKEN=of-env", "TUS_HEADERS=X-Env: header-of-env")
				got := finish(t, cmd)
				seen := l.text()
				if got.code != exitFailed || seen == "" {
					t.Fatalf("server saw %q, outcome is %+v", seen, got)
				}
				if strings.Contains(seen, "Bearer of-env") != test.wantEnv || strings.Contains(seen, "header-of-env") != test.wantEnv || strings.Contains(seen, "of-flag") != (test.wantFlag && !test.noHeader) {
					t.Errorf("server saw %s", seen)
				}
				if named := strings.Contains(got.stderr, "--trusted-origin "+l.url); named == test.wantEnv {
					t.Errorf("printed: %s", got.stderr)
				}
				if strings.Contains(got.stderr, "of-env") || strings.Contains(got.stderr, "of-flag") {
					t.Errorf("output has credentials: %s", got.stderr)
				}
			})
		}
	}
}

func TestCredentials_NoneSetNamesNoFlag(t *testing.T) {
	t.Parallel()
	l := newHeaderLog(t)
	got := tusup(t, "info", "--retries", "0", l.url+"/files/1")
	if got.code != exitFailed || strings.Contains(got.stderr, "--trusted-origin") {
		t.Errorf("outcome is %+v", got)
	}
}

func TestCredentials_ForeignLocationNamesTheFlag(t *testing.T) {
	t.Parallel()
	l := newHeaderLog(t)
	home := tustest.NewServer(t, nil)
	home.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.SetHeader("Location", l.url+"/files/1")})
	path, _ := randomFile(t, 300_000)
	args := []string{"--endpoint", home.Endpoint(), "--retries", "0", "--chunk-size", "100KB", "--no-state", path}
	cmd := command(t, args...)
	cmd.Env = append(cmd.Env, "TUS_TOKEN=of-env")
	if got := finish(t, cmd); !strings.Contains(got.stderr, "--trusted-origin "+l.url) || strings.Contains(l.text(), "of-env") {
		t.Errorf("server saw %s, printed: %s", l.text(), got.stderr)
	}
	cmd = command(t, append([]string{"--trusted-origin", l.url}, args...)...)
	cmd.Env = append(cmd.Env, "TUS_TOKEN=of-env")
	if got := finish(t, cmd); strings.Contains(got.stderr, "--trusted-origin") || !strings.Contains(l.text(), "of-env") {
		t.Errorf("server saw %s, printed: %s", l.text(), got.stderr)
	}
}

func TestCredentials_BadTrustedOriginIsRefused(t *testing.T) {
	t.Parallel()
	got := tusup(t, "--endpoint", "http://127.0.0.1:1/", "--trusted-origin", "uploads.example", "info", "http://127.0.0.1:1/x")
	if got.code != exitUsage || !strings.Contains(got.stderr, "trusted origin") {
		t.Errorf("outcome is %+v", got)
	}
}

func TestVerbose_EchoedTokenIsRedacted(t *testing.T) {
	t.Parallel()
	const token = "PLANTED/secret+token"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Tus-Resumable", "1.0.0")
		if r.Method == http.MethodPost {
			w.Header().Set("Location", "/files/"+strings.ReplaceAll(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "/", "%2F"))
			w.WriteHeader(http.StatusCreated)
			return
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer srv.Close()
	path, _ := randomFile(t, 300_000)
	cmd := command(t, "--endpoint", srv.URL+"/files/", "--verbose", "--retries", "0", "--chunk-size", "100KB", "--no-state", "--progress", "none", path)
	cmd.Env = append(cmd.Env, "TUS_TOKEN="+token)
	if got := finish(t, cmd); strings.Contains(got.stderr, "PLANTED") || !strings.Contains(got.stderr, "PATCH [redacted]") {
		t.Errorf("printed: %s", got.stderr)
	}
}

package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// headerLog is a server that refuses all requests and keeps their headers.
type headerLog struct {
	url string

	mu   sync.Mutex
	seen strings.Builder
}

func newHeaderLog(t *testing.T) *headerLog {
	l := &headerLog{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		r.Header.Write(&l.seen)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(srv.Close)
	l.url = srv.URL
	return l
}

func (l *headerLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen.String()
}

func TestRemoteCredentials_GoToTheirOwnEndpointOnly(t *testing.T) {
	t.Parallel()
	const other = "http://127.0.0.1:9"
	for name, test := range map[string]struct {
		top, remote string // endpoints; HERE is replaced with the URL of the server
		topTrusts   string
		trusts      string // of the remote
		env         string // TUS_ENDPOINT
		envTrusts   string // TUS_TRUSTED_ORIGIN
		args        []string
		want        string // of the sources flag, env, remote and top
	}{
		"remote":                                {top: other, remote: "HERE", args: []string{"@b"}, want: "flag remote"},
		"remote, top is here too":               {top: "HERE", remote: "HERE", args: []string{"@b"}, want: "flag remote"},
		"remote, environment is here":           {top: other, remote: "HERE", env: "HERE/other/path", args: []string{"@b"}, want: "env flag remote"},
		"remote, environment is elsewhere":      {top: other, remote: "HERE", env: other, args: []string{"@b"}, want: "flag remote"},
		"remote, environment behind https":      {top: other, remote: "HERE", env: "https://HOST/", args: []string{"@b"}, want: "flag remote"},
		"remote, environment trusts":            {top: other, remote: "HERE", envTrusts: "HERE", args: []string{"@b"}, want: "flag remote"},
		"remote trusts itself":                  {top: other, remote: "HERE", trusts: "HERE", args: []string{"@b"}, want: "flag remote"},
		"remote trusts others":                  {top: other, remote: "HERE", trusts: other, env: "HERE", args: []string{"@b"}, want: "flag remote"},
		"remote, top trusts":                    {top: other, remote: "HERE", topTrusts: "HERE", args: []string{"@b"}, want: "flag remote"},
		"remote, flag trusts":                   {top: other, remote: "HERE", args: []string{"@b", "--trusted-origin", "HERE"}, want: "env flag remote"},
		"top":                                   {top: "HERE", remote: other, want: "env flag top"},
		"top, environment is here":              {top: "HERE", remote: other, env: "HERE", want: "env flag top"},
		"environment":                           {top: other, remote: "HERE", env: "HERE", want: "env flag"},
		"environment, top trusts":               {top: other, topTrusts: "HERE", remote: "HERE", env: "HERE", want: "env flag"},
		"flag":                                  {top: other, remote: "HERE", args: []string{"--endpoint", "HERE"}, want: "env flag"},
		"flag, environment is elsewhere":        {top: other, remote: other, env: other, args: []string{"--endpoint", "HERE"}, want: "flag"},
		"flag, top is here":                     {top: "HERE", remote: other, env: other, args: []string{"--endpoint", "HERE/path/"}, want: "flag top"},
		"flag, top is here, environment trusts": {top: "HERE", remote: other, env: other, envTrusts: "HERE", args: []string{"--endpoint", "HERE"}, want: "env flag top"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newHeaderLog(t)
			here := strings.NewReplacer("HERE", l.url, "HOST", strings.TrimPrefix(l.url, "http://")).Replace
			config := here("endpoint = '" + test.top + "'\ntrusted-origin = ['" + test.topTrusts + "']\nheader = ['X-Top: PLANTED-top']\n" +
				"[remotes.b]\nendpoint = '" + test.remote + "'\ntrusted-origin = ['" + test.trusts + "']\nheader = 'X-Remote: PLANTED-remote'\n")
			config = strings.ReplaceAll(config, "trusted-origin = ['']\n", "")
			path, _ := randomFile(t, 100)
			args := append([]string{path, "--retries", "0", "--header", "X-Flag: PLANTED-flag"}, test.args...)
			for i := range args {
				args[i] = here(args[i])
			}
			cmd, _ := withConfig(t, config, args...)
			cmd.Env = append(cmd.Env, "TUS_ENDPOINT="+here(test.env), "TUS_TRUSTED_ORIGIN="+here(test.envTrusts), "TUS_HEADERS=X-Env: PLANTED-env")
			got := finish(t, cmd)
			seen := l.text()
			var sources []string
			for _, source := range []string{"env", "flag", "remote", "top"} {
				if strings.Contains(seen, "PLANTED-"+source) {
					sources = append(sources, source)
				}
			}
			if seen == "" || strings.Join(sources, " ") != test.want {
				t.Errorf("server got credentials of %v, want %s; outcome is %+v", sources, test.want, got)
			}
			if strings.Contains(got.stdout+got.stderr, "PLANTED") {
				t.Errorf("output has credentials: %+v", got)
			}
		})
	}
}

func TestRemoteCredentials_TokenOfTheRemoteIsSent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ key, want string }{
		"token":               {"token = 'of-config'", "Bearer of-config"},
		"token file":          {"token-file = 'token.txt'", "Bearer of-file"},
		"none, not inherited": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newHeaderLog(t)
			path, _ := randomFile(t, 100)
			cmd, config := withConfig(t, "endpoint = '"+l.url+"'\ntoken = 'of-top'\n[remotes.b]\nendpoint = '"+l.url+"'\n"+test.key+"\n", "--retries", "0", path, "@b")
			if err := os.WriteFile(filepath.Join(filepath.Dir(config), "token.txt"), []byte("of-file\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd.Env = append(cmd.Env, "TUS_TOKEN=of-env")
			got := finish(t, cmd)
			if seen := l.text(); strings.Contains(seen, "Authorization") != (test.want != "") || !strings.Contains(seen, test.want) {
				t.Errorf("server got %s; outcome is %+v", seen, got)
			}
			// --trusted-origin does not replace the token of the remote.
			if strings.Contains(got.stderr, "TUS_TOKEN was not sent to this origin") != (test.want == "") {
				t.Errorf("printed: %s", got.stderr)
			}
		})
	}
}

// A certificate that is used and does not exist is an error.
func TestClientCert_IsForTheEndpointOfItsSource(t *testing.T) {
	t.Parallel()
	const other = "http://127.0.0.1:9/"
	for name, test := range map[string]struct {
		config, env, endpoint string
		args                  []string
		used                  bool
	}{
		"environment":                      {env: "/missing", args: []string{"--endpoint", "HERE"}, used: true},
		"environment, with its endpoint":   {env: "/missing", endpoint: "HERE", used: true},
		"environment, for another":         {env: "/missing", endpoint: other, args: []string{"--endpoint", "HERE"}},
		"environment, for a remote":        {env: "/missing", args: []string{"@b"}},
		"environment, endpoint and remote": {env: "/missing", endpoint: "HERE", args: []string{"@b"}},
		"top":                              {config: "endpoint = 'HERE'\nclient-cert = '/missing'\nclient-key = '/missing'", used: true},
		"top, for another":                 {config: "endpoint = '" + other + "'\nclient-cert = '/missing'\nclient-key = '/missing'", args: []string{"--endpoint", "HERE"}},
		"top, for a remote":                {config: "endpoint = 'HERE'\nclient-cert = '/missing'\nclient-key = '/missing'", args: []string{"@b"}},
		"remote":                           {args: []string{"@b", "--client-cert", "/missing", "--client-key", "/missing"}, used: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newHeaderLog(t)
			here := strings.NewReplacer("HERE", l.url).Replace
			args := append([]string{"capabilities"}, test.args...)
			for i := range args {
				args[i] = here(args[i])
			}
			cmd, _ := withConfig(t, here(test.config+"\n[remotes.b]\nendpoint = 'HERE'\n"), args...)
			cmd.Env = append(cmd.Env, "TUS_ENDPOINT="+here(test.endpoint), "TUS_CLIENT_CERT="+test.env, "TUS_CLIENT_KEY="+test.env)
			got := finish(t, cmd)
			if used := got.code == exitUsage && strings.Contains(got.stderr, "--client-cert /missing"); used != test.used || used == (l.text() != "") {
				t.Errorf("outcome is %+v", got)
			}
		})
	}
}

func TestTokenFile_FlagReplacesEnvironment(t *testing.T) {
	t.Parallel()
	l := newHeaderLog(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(" of-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--token-file", file}, nil} {
		cmd := command(t, append(args, "capabilities", "--endpoint", l.url)...)
		if args == nil {
			cmd.Env = append(cmd.Env, "TUS_TOKEN_FILE="+file)
		} else {
			cmd.Env = append(cmd.Env, "TUS_TOKEN=of-env")
		}
		if got := finish(t, cmd); !strings.Contains(l.text(), "Bearer of-file") || strings.Contains(l.text(), "of-env") {
			t.Errorf("server got %s; outcome is %+v", l.text(), got)
		}
	}
	if err := os.WriteFile(file, []byte("PLANTED\nPLANTED\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := tusup(t, "--token-file", file, "capabilities", "--endpoint", l.url)
	if got.code != exitUsage || !strings.Contains(got.stderr, "--token-file") || strings.Contains(got.stderr, "PLANTED") {
		t.Errorf("outcome is %+v", got)
	}
}

func TestTrustedOrigins_OfTheConfigHoldForItsEndpoint(t *testing.T) {
	t.Parallel()
	c := connection{sources: sources{defaults: login{endpoint: "https://a.example/", trusted: []string{"https://c.example"}}}}
	if got := c.trustedOrigins(); len(got) != 1 {
		t.Errorf("trusted origins are %v", got)
	}
	c.Endpoint = "https://b.example/"
	if got := c.trustedOrigins(); len(got) != 0 {
		t.Errorf("trusted origins are %v", got)
	}
	c.Endpoint, c.sources.remote = "", &login{endpoint: "https://b.example/"}
	if got := c.trustedOrigins(); len(got) != 0 {
		t.Errorf("trusted origins are %v", got)
	}
}

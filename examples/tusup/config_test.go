package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// withConfig returns a command that runs tusup with a configuration file.
func withConfig(t *testing.T, config string, args ...string) (cmd *exec.Cmd, path string) {
	t.Helper()
	cmd = command(t, args...)
	path = filepath.Join(cmd.Dir, "tusup", "config.toml")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return cmd, path
}

func TestConfig_PrecedenceOfSources(t *testing.T) {
	t.Parallel()
	const top, remote = `metadata = ["from=top"]`, `metadata = "from=remote"`
	for name, test := range map[string]struct {
		top, remote, env string
		args             []string
		want             string
	}{
		"default":                {want: ""},
		"top":                    {top: top, want: "top"},
		"remote":                 {top: top, remote: remote, args: []string{"@backup"}, want: "remote"},
		"remote not chosen":      {top: top, remote: remote, want: "top"},
		"remote without the key": {top: top, args: []string{"@backup"}, want: "top"},
		"environment":            {top: top, remote: remote, env: "from=env", args: []string{"@backup"}, want: "env"},
		"flag":                   {top: top, remote: remote, env: "from=env", args: []string{"@backup", "--metadata", "from=flag"}, want: "flag"},
		"remote as flag":         {remote: remote, args: []string{"--remote", "backup"}, want: "remote"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			path, data := randomFile(t, 100)
			config := "endpoint = '" + srv.Endpoint() + "'\n" + test.top + "\n[remotes.backup]\nendpoint = '" + srv.Endpoint() + "'\n" + test.remote + "\n"
			cmd, _ := withConfig(t, config, append([]string{path}, test.args...)...)
			cmd.Env = append(cmd.Env, "TUS_METADATA="+test.env)
			got := finish(t, cmd)
			uploads := srv.Uploads()
			if got.code != exitOK || len(uploads) != 1 {
				t.Fatalf("outcome is %+v, %d uploads", got, len(uploads))
			}
			if string(uploads[0].Data) != string(data) {
				t.Error("the server has other bytes")
			}
			m := metadataOf(t, uploads[0])
			if m["from"] != test.want {
				t.Errorf("metadata is %v, want it from %s", m, test.want)
			}
		})
	}
}

// Defaults for other uploads must not make a flag unusable.
func TestConfig_CommandLineWinsOverExclusiveFlag(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 1000)
	const config = "parallel = 2\nmetadata = 'a=b'\nterminate-on-fail = true\nquiet = true\nno-state = true\n"
	for name, args := range map[string][]string{
		"deferred length": {"--deferred-length", path},
		"verbose":         {"--verbose", path},
		"state":           {"--state", "uploads.db", path},
	} {
		cmd, _ := withConfig(t, config, append(args, "--endpoint", srv.Endpoint())...)
		if got := finish(t, cmd); got.code != exitOK || strings.Contains(got.stderr, "POST") != (name == "verbose") {
			t.Errorf("%s: outcome is %+v", name, got)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.Endpoint(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Length": {strconv.Itoa(len(data))}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	created, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	cmd, _ := withConfig(t, config, "--endpoint", srv.Endpoint(), "--upload-url", created.String(), path)
	if got := finish(t, cmd); got.code != exitOK {
		t.Errorf("outcome is %+v", got)
	}
	wantStored(t, srv, created.String(), data)
	if got := tusup(t, "--endpoint", srv.Endpoint(), "--deferred-length", "--parallel", "2", path); got.code != exitUsage {
		t.Errorf("outcome is %+v", got)
	}
}

func TestConfig_FileIsSelected(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 100)
	config := filepath.Join(t.TempDir(), "other.toml")
	if err := os.WriteFile(config, []byte("endpoint = '"+srv.Endpoint()+"'\nquiet = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := tusup(t, "--config", config, path); got != (outcome{}) {
		t.Errorf("outcome is %+v", got)
	}
	cmd := command(t, path)
	cmd.Env = append(cmd.Env, "TUS_CONFIG="+config)
	if got := finish(t, cmd); got != (outcome{}) {
		t.Errorf("outcome is %+v", got)
	}
	if n := len(srv.Uploads()); n != 2 {
		t.Errorf("%d uploads", n)
	}
	if got := tusup(t, "--config", "missing.toml", path); got.code != exitUsage || !strings.Contains(got.stderr, "missing.toml") {
		t.Errorf("outcome is %+v", got)
	}
}

func TestConfig_InvalidIsUsageErrorWithPlace(t *testing.T) {
	t.Parallel()
	path, _ := randomFile(t, 100)
	for name, test := range map[string]struct {
		config string
		want   []string
	}{
		"unknown key":            {"parallel = 2\nchunksize = 'PLANTED'\n", []string{"config.toml:2: chunksize: unknown key"}},
		"unknown key of remote":  {"\n[remotes.a]\nendpoint = 'http://a/'\n[remotes.b]\nendpoint = 'http://b/'\ntokn = 'PLANTED'\n", []string{"config.toml:6: tokn: unknown key"}},
		"unknown table":          {"[remote.a]\nendpoint = 'http://a/'\n", []string{"config.toml:1: remote: unknown key"}},
		"not for a file":         {"all = true\n", []string{"config.toml:1: all"}},
		"remote is not chosen":   {"remote = 'a'\n", []string{"config.toml:1: remote"}},
		"syntax":                 {"parallel = 2\ntoken = PLANTED\n", []string{"config.toml:2: invalid TOML"}},
		"value":                  {"parallel = 2\nchunk-size = 'many'\n", []string{"--chunk-size", "config.toml:2: chunk-size: ", "not a size"}},
		"range":                  {"retries = -1\n", []string{"--retries -1: must not be negative", "config.toml:1"}},
		"type":                   {"retries = true\n", []string{"config.toml:1: retries"}},
		"enum":                   {"held = 'forget'\n", []string{"config.toml:1: held", "wait, fail, begin"}},
		"list":                   {"held = ['wait', 'fail']\n", []string{"config.toml:1: held", "one value"}},
		"token without endpoint": {"token = 'PLANTED'\n", []string{"config.toml:1: token", "endpoint"}},
		"header without endpoint": {"header = 'X: PLANTED'\n[remotes.a]\nendpoint = 'http://a/'\n",
			[]string{"config.toml:1: header", "endpoint"}},
		"remote without endpoint": {"[remotes.a]\nparallel = 1\n", []string{"config.toml:1: a: a remote requires endpoint"}},
		"remote with a bad one":   {"[remotes.a]\nendpoint = 'ftp://PLANTED@a/'\n", []string{"config.toml:2: endpoint"}},
		"two tokens":              {"[remotes.a]\nendpoint = 'http://a/'\ntoken = 'PLANTED'\ntoken-file = 'x'\n", []string{"config.toml:3: token", "token-file"}},
		"header form":             {"[remotes.a]\nendpoint = 'http://a/'\nheader = ['PLANTED']\n", []string{"config.toml:3: header", "Name: value"}},
		"proxy":                   {"proxy = 'http//user:PLANTED@a'\n", []string{"config.toml:1: proxy"}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, _ := withConfig(t, test.config, "--endpoint", "http://127.0.0.1:1/files/", path)
			got := finish(t, cmd)
			for _, want := range test.want {
				if got.code != exitUsage || !strings.Contains(got.stderr, want) || strings.Count(got.stderr, "\n") != 1 {
					t.Errorf("outcome is %+v, want %q", got, want)
				}
			}
			if strings.Contains(got.stderr, "PLANTED") {
				t.Errorf("a value is repeated: %s", got.stderr)
			}
		})
	}
}

func TestEnvironment_InvalidValueNamesVariable(t *testing.T) {
	t.Parallel()
	path, _ := randomFile(t, 100)
	for variable, want := range map[string]string{
		"TUS_CHUNK_SIZE=many":                 "not a size",
		"TUS_RETRIES=x":                       "int",
		"TUS_HELD=forget":                     "wait, fail, begin",
		"TUS_JSON=perhaps":                    "bool",
		"TUS_STALL_TIMEOUT=1":                 "duration",
		"TUS_BWLIMIT=25:00,1M":                "25:00",
		"TUS_PROXY=ftp://user:PLANTED@a":      "must be",
		"TUS_CAPABILITIES=creation,PLANTED":   "list of creation",
		"TUS_HEADERS=PLANTED":                 "Name: value",
		"TUS_PARALLEL=0":                      "at least 1",
		"TUS_TRUSTED_ORIGIN=nonsense":         "trusted origin",
		"TUS_TOKEN_FILE=/no/such/file/at/all": "no such file",
	} {
		name, _, _ := strings.Cut(variable, "=")
		t.Run(name, func(t *testing.T) {
			cmd := command(t, "--endpoint", "http://127.0.0.1:1/files/", path)
			cmd.Env = append(cmd.Env, variable)
			got := finish(t, cmd)
			if got.code != exitUsage || !strings.Contains(got.stderr, name) || !strings.Contains(got.stderr, want) || strings.Contains(got.stderr, "PLANTED") {
				t.Errorf("outcome is %+v, want %q", got, want)
			}
		})
	}
}

func TestEnvironment_RepeatedFlagHasOneValuePerLine(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 100)
	cmd := command(t, path)
	cmd.Env = append(cmd.Env, "TUS_ENDPOINT="+srv.Endpoint(), "TUS_METADATA=a=1, 2\nb=3\n")
	if got := finish(t, cmd); got.code != exitOK {
		t.Fatalf("outcome is %+v", got)
	}
	if m := metadataOf(t, srv.Uploads()[0]); m["a"] != "1, 2" || m["b"] != "3" {
		t.Errorf("metadata is %v", m)
	}
}

func TestEnvironment_InvalidEndpointNamesVariable(t *testing.T) {
	t.Parallel()
	path, _ := randomFile(t, 100)
	cmd := command(t, path)
	cmd.Env = append(cmd.Env, "TUS_ENDPOINT=ftp://example.org/")
	if got := finish(t, cmd); got.code != exitUsage || !strings.Contains(got.stderr, "TUS_ENDPOINT") {
		t.Errorf("outcome is %+v", got)
	}
}

func TestEnvironment_EveryFlagHasAVariable(t *testing.T) {
	t.Parallel()
	parser, err := newParser(&flags{}, &program{stdout: &results{}, stderr: os.Stderr}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	// Those of the first row are read with the credentials.
	without := []string{"endpoint", "header", "token-file", "trusted-origin",
		"help", "version", "upload-url", "all"}
	for _, f := range allFlags(parser.Model.Node) {
		want := "TUS_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if !slices.Contains(without, f.Name) && !slices.Equal(f.Envs, []string{want}) {
			t.Errorf("--%s has the variables %q, want %s", f.Name, f.Envs, want)
		}
	}
}

// A variable must not turn a harmless command into one that deletes.
func TestEnvironment_ForgetAllIsNotAVariable(t *testing.T) {
	t.Parallel()
	cmd := command(t, "forget")
	cmd.Env = append(cmd.Env, "TUS_ALL=true")
	if got := finish(t, cmd); got.code != exitUsage {
		t.Errorf("outcome is %+v", got)
	}
}

func TestRemote_IsAnArgumentOnlyInItsPlace(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	const names = "@backup"
	for name, test := range map[string]struct {
		args []string
		code int
		want string // in standard error
	}{
		"unknown":          {args: []string{"file.bin", "@nas"}, code: exitUsage, want: "no [remotes.nas] in "},
		"file in its way":  {args: []string{"file.bin", "@eaDir"}, code: exitUsage, want: "./@eaDir"},
		"file":             {args: []string{"./" + names, "--endpoint", srv.Endpoint()}},
		"after --":         {args: []string{"--endpoint", srv.Endpoint(), "--", names}},
		"value of a flag":  {args: []string{"file.bin", "--endpoint", srv.Endpoint(), "--metadata", "@a=b"}},
		"with endpoint":    {args: []string{"file.bin", names, "--endpoint", srv.Endpoint()}, code: exitUsage, want: "--endpoint cannot be used with @backup"},
		"alias of upload":  {args: []string{"up", "file.bin", names}},
		"other command":    {args: []string{"capabilities", names}},
		"command without":  {args: []string{"list", names}, code: exitUsage, want: "--remote cannot be used with list"},
		"quoted, like URL": {args: []string{"--remote=backup", "./" + names}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, _ := withConfig(t, "[remotes.backup]\nendpoint = '"+srv.Endpoint()+"'\n", test.args...)
			for _, file := range []string{"file.bin", names} {
				if err := os.WriteFile(filepath.Join(cmd.Dir, file), []byte("data"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got := finish(t, cmd)
			if got.code != test.code || !strings.Contains(got.stderr, test.want) {
				t.Errorf("outcome is %+v", got)
			}
		})
	}
}

func TestRemotes_ListHasNoSecrets(t *testing.T) {
	t.Parallel()
	const config = "[remotes.b]\nendpoint = 'https://user:PLANTED@b.example/files/?key=PLANTED'\ntoken = 'PLANTED'\n[remotes.a]\nendpoint = 'https://a.example/'\nheader = ['X: PLANTED']\n"
	cmd, _ := withConfig(t, config, "remotes")
	if got := finish(t, cmd); got != (outcome{stdout: "a  https://a.example/\nb  https://b.example/files/\n"}) {
		t.Errorf("outcome is %+v", got)
	}
	cmd, _ = withConfig(t, config, "remotes", "--json")
	got := finish(t, cmd)
	var first report.Remote
	if err := json.NewDecoder(strings.NewReader(got.stdout)).Decode(&first); err != nil || first.Remote != "a" || strings.Contains(got.stdout, "PLANTED") {
		t.Errorf("outcome is %+v, %v", got, err)
	}
}

func TestConfig_ReadableByOthersWarnsOfCredentials(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no such permissions on Windows")
	}
	for config, want := range map[string]bool{
		"endpoint = 'http://127.0.0.1:1/'\ntoken = 'PLANTED'\n":                    true,
		"[remotes.a]\nendpoint = 'http://127.0.0.1:1/'\nheader = ['X: PLANTED']\n": true,
		"endpoint = 'http://127.0.0.1:1/'\n":                                       false,
		"proxy = 'http://user:PLANTED@127.0.0.1:1/'\n":                             true,
	} {
		cmd, path := withConfig(t, config, "remotes")
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		got := finish(t, cmd)
		if got.code != exitOK || strings.Contains(got.stderr, "warning: other users can read "+path) != want || strings.Contains(got.stderr, "PLANTED") {
			t.Errorf("outcome is %+v", got)
		}
	}
}

// Two remotes may be two accounts of one server.
func TestRemotes_DoNotShareUploads(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 1000)
	cmd, _ := withConfig(t, "[remotes.a]\nendpoint = '"+srv.Endpoint()+"'\n[remotes.b]\nendpoint = '"+srv.Endpoint()+"'\n", "--json", path, "@a")
	state := append(cmd.Env, "TUS_STATE="+filepath.Join(t.TempDir(), "uploads.db"))
	for i, remote := range []string{"@a", "@b", "@a"} {
		again := command(t, "--json", path, remote)
		again.Env = state
		got := finish(t, again)
		if l := decode(t, got.stdout); got.code != exitOK || l.AlreadyUploaded != (i == 2) {
			t.Errorf("%s: outcome is %+v", remote, got)
		} else {
			wantStored(t, srv, l.URL, data)
		}
	}
}

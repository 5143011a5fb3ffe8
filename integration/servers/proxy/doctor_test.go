//go:build unix

package proxy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/integration/servers"
	"github.com/seed-175555ba/tus-go/integration/servers/proxy"
)

// finding is a finding of tusup doctor --json.
type finding struct{ Check, Outcome, Detail, Advice string }

// report is what tusup doctor --json prints.
type report struct {
	Findings []finding
	Resumes  bool
	Flags    []string
}

func (r report) of(check string) finding {
	i := slices.IndexFunc(r.Findings, func(f finding) bool { return f.Check == check })
	if i < 0 {
		return finding{}
	}
	return r.Findings[i]
}

// tusup doctor finds which proxies buffer, refuse bodies or change HEAD, and names their settings.
func TestDoctor_NamesSettingOfProxy(t *testing.T) {
	binary, err := servers.BuildTusup(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	type expected struct {
		buffering, advice string
		flags             string
		other             finding // one more, with a part of its advice
	}
	faults := map[string]expected{
		proxy.NginxDefaults: {"warning", "in nginx, set proxy_request_buffering off", "--chunk-size 1MiB",
			finding{Check: "body-size", Outcome: "warning", Advice: "(nginx: client_max_body_size 0"}},
		proxy.NginxBuffering: {"warning", "in nginx, set proxy_request_buffering off", "",
			finding{Check: "body-size", Outcome: "ok"}},
		proxy.LighttpdBuffering: {"warning", "in lighttpd, set server.stream-request-body = 2", "",
			finding{Check: "body-size", Outcome: "ok"}},
		proxy.VarnishDefaults: {"unknown", "", "",
			finding{Check: "resume", Outcome: "no", Advice: "return (pass) in vcl_recv"}},
	}
	for _, p := range proxy.All() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			server, backend := startTusd(t)
			running := start(t, p, backend)
			args := []string{"doctor", "--json", "--endpoint", running.Endpoint}
			if running.CAFile != "" {
				args = append(args, "--ca", running.CAFile)
			}
			cmd := exec.CommandContext(testContext(t, stuck), binary, args...)
			home := t.TempDir()
			cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "TUS_ENDPOINT=", "TUS_TOKEN=")
			out, _ := cmd.Output() // exits with 1 if uploads do not resume
			var r report
			if err := json.Unmarshal(out, &r); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			want, faulty := faults[p.Name]
			if !faulty {
				want.buffering = "ok"
			}
			if got := r.of("buffering"); got.Outcome != want.buffering || !strings.Contains(got.Advice, want.advice) {
				t.Errorf("%+v, want %s and %q", got, want.buffering, want.advice)
			}
			if got := r.of(want.other.Check); faulty && (got.Outcome != want.other.Outcome || !strings.Contains(got.Advice, want.other.Advice)) {
				t.Errorf("%+v, want %+v", got, want.other)
			}
			if got := strings.Join(r.Flags, " "); got != want.flags {
				t.Errorf("flags are %q, want %q", got, want.flags)
			}
			if resumes := p.Name != proxy.VarnishDefaults; r.Resumes != resumes {
				t.Errorf("resumes is %v", r.Resumes)
			}
			if left, err := server.Files(); err != nil || len(left) > 0 {
				t.Errorf("left: %v (%v)", left, err)
			}
			if t.Failed() {
				for _, f := range r.Findings {
					t.Logf("%+v", f)
				}
			}
		})
	}
}

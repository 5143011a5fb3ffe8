package main

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func TestHelp_CommandShowsTheFlagsItUses(t *testing.T) {
	for command, test := range map[string]struct{ has, lacks []string }{
		"upload":     {[]string{"--chunk-size", "--endpoint", "--state", "--json"}, []string{"--addr", "--all"}},
		"info":       {[]string{"--endpoint", "--json"}, []string{"--chunk-size", "--state"}},
		"list":       {[]string{"--state", "--json"}, []string{"--endpoint", "--retries", "--held"}},
		"serve":      {[]string{"--addr", "--verbose", "--json"}, []string{"--endpoint", "--chunk-size", "--state"}},
		"completion": {[]string{"bash,zsh,fish"}, []string{"--endpoint", "--json"}},
	} {
		got := tusup(t, command, "--help")
		if got.code != exitOK {
			t.Errorf("outcome is %+v", got)
		}
		for _, flag := range test.has {
			if !strings.Contains(got.stdout, flag) {
				t.Errorf("help of %s has no %s", command, flag)
			}
		}
		for _, flag := range test.lacks {
			if strings.Contains(got.stdout, flag) {
				t.Errorf("help of %s has %s", command, flag)
			}
		}
		if same := tusup(t, "help", command); same != got {
			t.Errorf("tusup help %s differs: %+v", command, same)
		}
	}
	if got := tusup(t, "help", "nonsense"); got.code != exitUsage || !strings.Contains(got.stderr, "nonsense") {
		t.Errorf("outcome is %+v", got)
	}
}

func TestHelp_HasExitCodesAndCommands(t *testing.T) {
	got := tusup(t, "help")
	if got != tusup(t, "--help") {
		t.Error("tusup help and tusup --help differ")
	}
	for _, want := range []string{"Exit codes: 0", "130 if", "TUS_CHUNK_SIZE", "@NAME", "  remotes ", "  completion "} {
		if !strings.Contains(strings.Join(strings.Fields(got.stdout), " ")+got.stdout, want) {
			t.Errorf("help has no %q", want)
		}
	}
}

func TestHelp_FirstScreenHasCommands(t *testing.T) {
	screen := strings.Join(strings.SplitAfterN(tusup(t, "--help").stdout, "\n", 25)[:24], "")
	for _, command := range []string{"upload (up)", "watch", "doctor", "completion"} {
		if !strings.Contains(screen, "\n  "+command+" ") {
			t.Errorf("%s is not in the first 24 lines:\n%s", command, screen)
		}
	}
}

func TestFlags_OfAnotherCommandAreRefused(t *testing.T) {
	for _, args := range [][]string{{"serve", "--endpoint", "http://a/"}, {"list", "--retries", "1"}, {"info", "http://a/b", "--state", "x"}} {
		if got := tusup(t, args...); got.code != exitUsage || !strings.Contains(got.stderr, " cannot be used with "+args[0]) {
			t.Errorf("%v: outcome is %+v", args, got)
		}
	}
}

// man tells an error of the format on standard error.
func TestMan_HasEveryFlagAndIsValid(t *testing.T) {
	page := tusup(t, "man")
	if page.code != exitOK || !strings.HasPrefix(page.stdout, ".TH TUSUP 1 ") || strings.Contains(page.stdout, "%!") {
		t.Fatalf("outcome is %+v", page)
	}
	plain := strings.NewReplacer(`\&`, "", `\-`, "-").Replace(page.stdout)
	flags := regexp.MustCompile(`--[\w-]+`)
	commands := []string{"upload", "enqueue", "worker", "queue", "info", "terminate", "capabilities", "list", "forget", "remotes", "serve", "help", "completion"}
	for _, command := range commands {
		if !strings.Contains(plain, `\fB`+command) {
			t.Errorf("the page has no command %s", command)
		}
		for _, flag := range flags.FindAllString(tusup(t, command, "--help").stdout, -1) {
			if !strings.Contains(plain, flag) {
				t.Errorf("the page has no %s of %s", flag, command)
			}
		}
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not installed")
	}
	cmd := exec.CommandContext(t.Context(), groff, "-man", "-ww", "-Tutf8", "-z")
	cmd.Stdin = strings.NewReader(page.stdout)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Errorf("groff: %v: %s", err, stderr.String())
	}
}

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// inShell returns a command that runs a script in a shell that finds tusup, in a directory
// with a file and a configuration.
func inShell(t *testing.T, shell string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		t.Skip(shell, " is not installed")
	}
	cmd, _ := withConfig(t, "[remotes.backup]\nendpoint = 'https://a.example/'\n[remotes.photos]\nendpoint = 'https://b.example/'\n")
	dir := cmd.Dir
	if err := os.WriteFile(filepath.Join(dir, "holiday film.mp4"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(cmd.Env, "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "PS1=$ ", "TERM=dumb", "INPUTRC=/dev/null")
	cmd = exec.CommandContext(t.Context(), shell, args...)
	cmd.Dir, cmd.Env = dir, env
	return cmd
}

// bashCompletions returns the completions of a line by the function of the script.
func bashCompletions(t *testing.T, line string) []string {
	t.Helper()
	// bash splits the words of a line also at = and @.
	const script = `source <(tusup completion bash) || exit
complete -p tusup >&2 || exit
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<<"${1//=/ = }"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_tusup tusup
printf '%s\n' "${COMPREPLY[@]}"`
	cmd := inShell(t, "bash", "--noprofile", "--norc", "-c", script, "bash", line)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || !strings.Contains(stderr.String(), "-F _tusup tusup") {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	found := nonEmptyLines(string(out))
	slices.Sort(found)
	return found
}

func TestCompletion_BashFunctionCompletesWords(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"tusup cap":                        "capabilities",
		"tusup --chu":                      "--chunk-size",
		"tusup --json --chu":               "--chunk-size",
		"tusup --chunk-size 5MB --par":     "--parallel",
		"tusup upload film.mp4 --par":      "--parallel",
		"tusup up --term":                  "--terminate-on-fail",
		"tusup --held ":                    "begin fail wait",
		"tusup upload --held=w":            "wait",
		"tusup info --held ":               "",
		"tusup info --he":                  "--header --help",
		"tusup serve --a":                  "--addr",
		"tusup serve --endp":               "",
		"tusup forget --":                  "--all --config --help --json --no-state --state --verbose --version",
		"tusup completion ":                "bash fish zsh",
		"tusup --remote ":                  "backup photos",
		"tusup a.mp4 b.mp4 c.mp4 @":        "@backup @photos",
		"tusup capabilities @b":            "@backup",
		"tusup compl":                      "completion",
		"tusup upload film.mp4 --state fi": "",
	} {
		if got := strings.Join(bashCompletions(t, line), " "); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

// Only a terminal shows what bash inserts.
func TestCompletion_BashInsertsIntoTheLine(t *testing.T) {
	t.Parallel()
	cmd := inShell(t, "bash", "--noprofile", "--norc", "-i")
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Skip("no pseudoterminal: ", err)
	}
	defer terminal.Close()
	// The function shows the arguments in place of an upload.
	io.WriteString(terminal, "stty -echo; source <(command tusup completion bash); tusup() { if [ \"$1\" = complete-line ]; then command tusup \"$@\"; else printf '<%s>' \"$@\"; echo; fi; }\n")
	for _, line := range []string{"tusup @ba\t", "tusup up x @ph\t--held=b\t", "tusup --chu\t 5MB hol\t", "tusup --held w\t"} {
		io.WriteString(terminal, line+"\n")
	}
	io.WriteString(terminal, "exit\n")
	var out bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(&out, terminal)
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the terminal is not closed")
	}
	for _, want := range []string{"<@backup>", "<up><x><@photos><--held=begin>", "<--chunk-size><5MB><holiday film.mp4>", "<--held><wait>"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in:\n%s", want, out.String())
		}
	}
}

func TestCompletion_ScriptsAreValid(t *testing.T) {
	t.Parallel()
	for shell, args := range map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"--no-execute"}} {
		t.Run(shell, func(t *testing.T) {
			script := tusup(t, "completion", shell)
			if script.code != exitOK || !strings.Contains(script.stdout, "tusup complete-line") && !strings.Contains(script.stdout, " complete-line ") {
				t.Fatalf("outcome is %+v", script)
			}
			cmd := inShell(t, shell, args...)
			cmd.Stdin = strings.NewReader(script.stdout)
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestCompletion_BrokenConfigCompletesCommands(t *testing.T) {
	t.Parallel()
	cmd, _ := withConfig(t, "not TOML", "complete-line")
	cmd.Env = append(cmd.Env, "COMP_LINE=tusup cap")
	if got := finish(t, cmd); got != (outcome{stdout: "capabilities\n"}) {
		t.Errorf("outcome is %+v", got)
	}
}

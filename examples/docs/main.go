// Command docs writes the help texts of tusup into docs/cli.md. The tests of this package
// check the Markdown files of the repository: their links, commands, names and Go snippets.
package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

//go:generate go run .

// cliPage is the page with the help texts, relative to this directory.
const cliPage = "../../docs/cli.md"

func main() {
	log.SetFlags(0)
	if err := writeCLIPage(); err != nil {
		log.Fatal(err)
	}
}

func writeCLIPage() error {
	dir, err := os.MkdirTemp("", "docs")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tusup, err := buildTusup(dir)
	if err != nil {
		return err
	}
	page, err := os.ReadFile(cliPage)
	if err != nil {
		return err
	}
	fresh, err := withHelp(string(page), func(args ...string) (string, error) { return help(tusup, args...) })
	if err != nil {
		return err
	}
	return os.WriteFile(cliPage, []byte(fresh), 0o644)
}

// buildTusup builds tusup in dir and returns the path of the program.
func buildTusup(dir string) (string, error) {
	program := filepath.Join(dir, "tusup.exe")
	if out, err := exec.Command("go", "build", "-o", program, "../tusup").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
}

// help returns the output of tusup with args, which end with --help.
func help(program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "COLUMNS=80")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("tusup %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}

// withHelp returns page with the output of run in place of the output of each command
// "$ tusup … --help" in it. The flags of all commands are only in that of "tusup --help".
func withHelp(page string, run func(args ...string) (string, error)) (string, error) {
	all, err := run("--help")
	if err != nil {
		return "", err
	}
	common := map[string]bool{}
	for _, m := range flag.FindAllStringSubmatch(all, -1) {
		common[m[1]] = true
	}
	var fresh strings.Builder
	output := false // the lines are the output of a command, up to the end of the block
	for line := range strings.Lines(page) {
		output = output && !strings.HasPrefix(line, "```")
		if !output {
			fresh.WriteString(line)
		}
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ tusup ")
		if !ok || !strings.HasSuffix(command, "--help") {
			continue
		}
		text := all
		if command != "--help" {
			if text, err = run(strings.Fields(command)...); err != nil {
				return "", err
			}
			text = withoutFlags(text, common)
		}
		for line := range strings.Lines(text) {
			fresh.WriteString(strings.TrimRight(line, " \n") + "\n")
		}
		output = true
	}
	return fresh.String(), nil
}

// flag matches the first line of a flag in a help text.
var flag = regexp.MustCompile(`(?m)^ {2,6}(?:-\w, )?--([\w-]+)`)

// withoutFlags returns a help text without some flags.
func withoutFlags(text string, flags map[string]bool) string {
	head, list, _ := strings.Cut(text, "\nFlags:\n")
	var kept strings.Builder
	keep := false
	for line := range strings.Lines(list) {
		if m := flag.FindStringSubmatch(line); m != nil {
			keep = !flags[m[1]]
		} else if !strings.HasPrefix(line, "  ") {
			keep = false // between groups of flags, and after them
		}
		if keep {
			kept.WriteString(line)
		}
	}
	if kept.Len() == 0 {
		return head
	}
	return head + "\nFlags:\n" + kept.String()
}

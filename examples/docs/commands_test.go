package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every command in the shell blocks of the pages can be run: programs, directories, flags,
// make targets and environment variables exist. Commands in the text are checked as well.
func TestCommands_CanBeRun(t *testing.T) {
	t.Parallel()
	c := checker{
		Makefile:  readFile(t, "Makefile"),
		variables: environment(t),
		tusup:     tusupHelp(t),
	}
	commands := 0
	for _, file := range guides(t) {
		p, start := read(t, file), "."
		if strings.HasPrefix(file, "examples/") {
			start = "examples"
		}
		for _, b := range p.in("sh", "console") {
			c.dir = start
			for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
				line, prompt := strings.CutPrefix(line, "$ ")
				if b.language == "console" && !prompt {
					continue // output
				}
				commands++
				if err := c.line(t, line); err != nil {
					t.Errorf("%s:%d: %q: %v", file, b.line+i, line, err)
				}
			}
		}
		for _, code := range p.code() {
			if regexp.MustCompile(`^([A-Z_]+=\S* )*(make|go|tusup|cd) `).MatchString(code) {
				commands++
				c.dir = start
				if err := c.line(t, code); err != nil {
					t.Errorf("%s: %q: %v", file, code, err)
				}
			}
		}
	}
	if commands < 30 {
		t.Errorf("found only %d commands", commands)
	}
}

// environment returns the source text of the programs and of package tus, which contains the
// names of the environment variables that they read.
func environment(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(inRepository(t, "examples") + "/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	packages, err := filepath.Glob(inRepository(t, "examples") + "/*/*/*.go") // of programs
	if err != nil {
		t.Fatal(err)
	}
	text := readFile(t, "tus/client.go")
	for _, file := range slices.Concat(files, packages) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text += string(content)
	}
	return text
}

// checker checks commands.
type checker struct {
	Makefile  string
	variables string // text with the names of environment variables
	tusup     func(args ...string) (string, error)
	dir       string // of the command, in the repository
}

// line checks the commands of a line. After "cd", the next ones are in that directory.
func (c *checker) line(t *testing.T, line string) error {
	line, _, _ = strings.Cut(line+" ", " #")
	for command := range strings.SplitSeq(strings.ReplaceAll(line, "&&", "|"), "|") {
		command, _, _ = strings.Cut(command, " >")
		words := regexp.MustCompile(`('[^']*'|\S)+`).FindAllString(command, -1)
		for len(words) > 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(words[0]) {
			if err := c.variable(words[0]); err != nil {
				return err
			}
			words = words[1:]
		}
		if len(words) == 0 {
			continue
		}
		if err := c.command(t, words[0], words[1:]); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) command(t *testing.T, name string, args []string) error {
	switch name {
	case "make":
		return c.make(args)
	case "go":
		return c.goCommand(t, args)
	case "tusup":
		return c.tusupCommand(args)
	case "export":
		for _, arg := range args {
			if err := c.variable(arg); err != nil {
				return err
			}
		}
		return nil
	case "cd":
		if dir, ok := strings.CutPrefix(args[0]+"/", path.Base(module)+"/"); ok {
			args[0] = "./" + dir // after git clone
			c.dir = "."
		}
		c.dir = path.Join(c.dir, args[0])
		_, err := os.Stat(inRepository(t, c.dir))
		return err
	case "git":
		if len(args) == 2 && args[0] == "clone" && args[1] == "https://"+module {
			return nil
		}
	case "find", "source", "tar", "tusd":
		return nil
	}
	return fmt.Errorf("unknown command %s %s", name, strings.Join(args, " "))
}

// variable checks an assignment to an environment variable.
func (c *checker) variable(assignment string) error {
	name, _, _ := strings.Cut(assignment, "=")
	if !regexp.MustCompile(`\b` + name + `\b`).MatchString(c.variables) {
		return fmt.Errorf("no program reads %s", name)
	}
	return nil
}

func (c *checker) make(args []string) error {
	for _, arg := range args {
		if name, _, ok := strings.Cut(arg, "="); ok {
			if !strings.Contains(c.Makefile, "$("+name+")") {
				return fmt.Errorf("the Makefile has no variable %s", name)
			}
		} else if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(arg) + `:`).MatchString(c.Makefile) {
			return fmt.Errorf("the Makefile has no target %s", arg)
		}
	}
	return nil
}

// goCommand checks the packages of a go command, and the flags of a program that it runs.
func (c *checker) goCommand(t *testing.T, args []string) error {
	switch args[0] {
	case "get", "install":
		dir, ours := strings.CutPrefix(strings.TrimSuffix(args[1], "@latest"), module)
		if !ours {
			return fmt.Errorf("%s is not in this repository", args[1])
		}
		_, err := os.Stat(inRepository(t, "."+dir))
		return err
	case "run", "build", "test", "vet", "doc", "generate", "mod":
	default:
		return fmt.Errorf("unknown subcommand %s", args[0])
	}
	for i, arg := range args {
		if !strings.HasPrefix(arg, "./") || arg == "./..." {
			continue
		}
		dir := path.Join(c.dir, arg)
		files, err := filepath.Glob(inRepository(t, dir) + "/*.go")
		if err != nil || len(files) == 0 {
			return fmt.Errorf("no package in %s", dir)
		}
		if args[0] == "run" {
			return c.program(t, dir, args[i+1:])
		}
	}
	return nil
}

// program checks the flags of the program in dir.
func (c *checker) program(t *testing.T, dir string, args []string) error {
	if path.Base(dir) == "tusup" {
		return c.tusupCommand(args)
	}
	files, err := filepath.Glob(inRepository(t, dir) + "/*.go")
	if err != nil {
		return err
	}
	for _, arg := range args {
		name, isFlag := strings.CutPrefix(arg, "-")
		if isFlag && !slices.ContainsFunc(files, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(text), `"`+name+`", `)
		}) {
			return fmt.Errorf("%s has no flag -%s", dir, name)
		}
	}
	return nil
}

// tusupCommand checks the flags of a command of tusup.
func (c *checker) tusupCommand(args []string) error {
	all, err := c.tusup("--help")
	if err != nil {
		return err
	}
	command := "upload"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") && regexp.MustCompile(`(?m)^  `+regexp.QuoteMeta(args[0])+` `).MatchString(all) {
		command = args[0]
	}
	text, err := c.tusup(command, "--help")
	if err != nil {
		return err
	}
	for _, arg := range args {
		flag, _, _ := strings.Cut(arg, "=")
		if strings.HasPrefix(flag, "-") && flag != "-" && !regexp.MustCompile(`(^|[\s,])`+regexp.QuoteMeta(flag)+`\b`).MatchString(text) {
			return fmt.Errorf("tusup %s has no flag %s", command, flag)
		}
	}
	return nil
}

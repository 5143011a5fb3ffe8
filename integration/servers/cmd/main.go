//go:build unix

// Command cmd fills the matrix of servers and proxies, and writes docs/servers.md and a JSON file:
//
//	go run ./servers/cmd -page ../docs/servers.md -json servers/recorded.json
//
// Servers of npm and of Go modules are installed into the user's cache directory. What cannot be
// had is an empty column. It exits with 1 if a situation fails without a known reason of the
// server.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/seed-175555ba/tus-go/integration/servers"
	"github.com/seed-175555ba/tus-go/integration/servers/proxy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("servers", flag.ContinueOnError)
	page := flags.String("page", "", "Markdown `file` to write; its part after the matrix is kept")
	record := flags.String("json", "", "JSON `file` to write")
	only := flags.String("only", "", "`regexp` of the names of the columns to fill; the others keep what the JSON file has")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	dir, err := os.MkdirTemp("", "servers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // servers may run as another user
		return err
	}
	tusup, err := servers.BuildTusup(ctx, dir)
	if err != nil {
		return err
	}
	m := servers.NewMatrix(servers.Situations())
	r := &servers.Runner{Tusup: tusup, Dir: dir, Situations: servers.Situations(), Progress: progress}
	before, err := recorded(*record)
	if err != nil {
		return err
	}
	add := func(name, setup, command string, fill func() (servers.Column, error)) error {
		if !wanted.MatchString(name) {
			if at := slices.IndexFunc(before.Columns, func(c servers.Column) bool { return c.Name == name }); at >= 0 {
				kept := before.Columns[at]
				kept.Setup, kept.Command = setup, command
				m.Columns = append(m.Columns, kept)
			}
			return nil
		}
		column, err := fill()
		if err != nil {
			return err
		}
		if column.Missing != "" {
			fmt.Printf("NOTICE: %s: an empty column: %s\n", name, column.Missing)
		}
		m.Columns = append(m.Columns, column)
		return nil
	}
	for _, s := range servers.All() {
		if err := add(s.Name, s.Setup, s.Command, func() (servers.Column, error) { return r.Server(ctx, s) }); err != nil {
			return err
		}
	}
	for _, p := range proxy.All() {
		if err := add(p.Name, p.Setup, p.Command, func() (servers.Column, error) { return r.Proxy(ctx, p, servers.Tusd()) }); err != nil {
			return err
		}
	}
	if err := write(m, *page, *record); err != nil {
		return err
	}
	if open := m.Unexplained(); len(open) > 0 {
		return fmt.Errorf("%d situations failed without a known reason:\n%s", len(open), strings.Join(open, "\n"))
	}
	return nil
}

func progress(column string, s servers.Situation, o servers.Outcome) {
	if o.Status == servers.Failed {
		fmt.Printf("%s, %s: %s\n", column, s.Name, o.Reason)
	}
}

// recorded returns the matrix of a JSON file, which is empty if there is none.
func recorded(name string) (servers.Matrix, error) {
	var m servers.Matrix
	text, err := os.ReadFile(name)
	if name == "" || errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	return m, err
}

// write writes the files whose names are not empty.
func write(m *servers.Matrix, page, record string) error {
	if record != "" {
		text, err := json.MarshalIndent(m, "", "\t")
		if err != nil {
			return err
		}
		// One line a cell.
		text = regexp.MustCompile(`\{\s*"status": [^{}]*\}`).ReplaceAllFunc(text, func(cell []byte) []byte {
			return regexp.MustCompile(`\n\t*`).ReplaceAll(cell, nil)
		})
		if err := os.WriteFile(record, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if page == "" {
		return nil
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	at := strings.Index(string(text), servers.Handwritten)
	if at < 0 {
		return fmt.Errorf("%s has no line %q", page, strings.TrimSpace(servers.Handwritten))
	}
	return os.WriteFile(page, []byte(m.Markdown()+string(text[at:])), 0o644)
}

//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Group is a part of the matrix.
type Group string

// The parts of the matrix.
const (
	Real    Group = "servers"
	Proxied Group = "proxies"
	Script  Group = "scripts"
)

// Column is the result of one server, or of one proxy before tusd.
type Column struct {
	Name    string `json:"name"`
	Group   Group  `json:"group"`
	Version string `json:"version,omitempty"`
	Setup   string `json:"setup"`
	Command string `json:"command"`
	// Missing is why the column is empty.
	Missing string `json:"missing,omitempty"`
	// Cells are the outcomes by the names of the situations.
	Cells map[string]Outcome `json:"cells,omitempty"`
}

// Matrix is the result of all columns.
type Matrix struct {
	Date    string   `json:"date"`
	Rows    []string `json:"rows"`
	Columns []Column `json:"columns"`
}

// Runner fills a matrix.
type Runner struct {
	// Tusup is the path of the command, of [BuildTusup].
	Tusup string
	// Dir is the directory for files of servers.
	Dir string
	// Situations are the rows.
	Situations []Situation
	// Progress, if non-nil, is called after each situation.
	Progress func(column string, s Situation, o Outcome)
}

// Server fills the column of a server.
func (r *Runner) Server(ctx context.Context, s Server) (Column, error) {
	c := Column{Name: s.Name, Group: Real, Setup: s.Setup, Command: s.Command}
	if s.Scripted {
		c.Group = Script
	}
	dir, err := os.MkdirTemp(r.Dir, "server")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	running, err := s.Start(ctx, dir)
	if errors.Is(err, ErrNotInstalled) {
		c.Missing = err.Error()
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w", s.Name, err)
	}
	defer running.Close()
	if c.Version, err = s.Version(); err != nil {
		return c, fmt.Errorf("%s: %w", s.Name, err)
	}
	return c, r.fill(ctx, &c, &Trial{Running: running, Expiring: s.Expiring, Scripted: s.Scripted})
}

// Proxy fills the column of a proxy before a server.
func (r *Runner) Proxy(ctx context.Context, p Proxy, backend Server) (Column, error) {
	c := Column{Name: p.Name, Group: Proxied, Setup: p.Setup, Command: p.Command}
	dir, err := os.MkdirTemp(r.Dir, "proxy")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	dirs := [2]string{dir + "/server", dir + "/proxy"}
	for _, d := range dirs {
		if err := os.Mkdir(d, 0o755); err != nil {
			return c, err
		}
	}
	behind, err := backend.Start(ctx, dirs[0])
	if err == nil {
		defer behind.Close()
		var running *Running
		if running, err = p.Start(ctx, dirs[1], behind); err == nil {
			defer running.Close()
			if c.Version, err = p.Version(); err == nil {
				return c, r.fill(ctx, &c, &Trial{Running: running})
			}
		}
	}
	if errors.Is(err, ErrNotInstalled) {
		c.Missing = err.Error()
		return c, nil
	}
	return c, fmt.Errorf("%s: %w", p.Name, err)
}

// fill runs all situations.
func (r *Runner) fill(ctx context.Context, c *Column, t *Trial) error {
	dir, err := os.MkdirTemp(r.Dir, "trial")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := t.prepare(ctx, r.Tusup, dir); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	c.Cells = map[string]Outcome{}
	for _, s := range r.Situations {
		o := t.Try(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if o.Status == Failed {
			o.Explanation = explain(c.Name, s.Name, o.Reason)
		}
		c.Cells[s.Name] = o
		if r.Progress != nil {
			r.Progress(c.Name, s, o)
		}
	}
	return nil
}

// NewMatrix returns a matrix with rows and without columns.
func NewMatrix(situations []Situation) *Matrix {
	m := &Matrix{Date: time.Now().UTC().Format(time.DateOnly)}
	for _, s := range situations {
		m.Rows = append(m.Rows, s.Name)
	}
	return m
}

// Unexplained returns a text for each cell that failed without a known reason of the server.
func (m *Matrix) Unexplained() []string {
	var all []string
	for _, c := range m.Columns {
		for _, row := range m.Rows {
			if o := c.Cells[row]; o.Status == Failed && o.Explanation == "" {
				all = append(all, fmt.Sprintf("%s, %s: %s %q", c.Name, row, o.Reason, o.Exchange))
			}
		}
	}
	return all
}

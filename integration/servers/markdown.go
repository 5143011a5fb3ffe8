//go:build unix

package servers

import (
	"fmt"
	"slices"
	"strings"
)

// Handwritten is the heading of docs/servers.md at which the part begins that is not generated.
const Handwritten = "## Services, simulated\n"

// Markdown returns the part of docs/servers.md before Handwritten.
func (m *Matrix) Markdown() string {
	p := &page{Matrix: m}
	p.line("# Servers")
	p.line("")
	p.line("The client is for any server that implements tus 1.0.0. This page lists the servers, proxies and")
	p.line("rules with which it is tested. `make servers` writes it, up to the section about services; the")
	p.line("last run was on %s. Package [interop](../integration/interop) resumes uploads of tus-js-client on", m.Date)
	p.line("tusd, and vice versa.")
	p.line("")
	p.line("```")
	p.line("make servers                           # what is installed: npm, Debian packages; about ten minutes")
	p.line("make servers SERVERFLAGS='-only nginx' # some columns, the others as recorded")
	p.line("TUS_AZURITE=1 make servers             # also Azurite, whose packages have 233 MB")
	p.line("```")
	p.line("")
	p.line("## What to set")
	p.line("")
	p.line("Does it work with X, and what do I have to set? The flags are those of `tusup`; the library has")
	p.line("the same options. A script does what the source of a server shows, where the server itself is not")
	p.line("in a package registry.")
	p.line("")
	p.line("| server or proxy | version | works | what to set |")
	p.line("|---|---|---|---|")
	for _, c := range m.Columns {
		p.line("| %s | %s | %s | %s |", c.Name, version(c), m.works(c), escape(c.Setup))
	}
	p.matrix(Real, "Servers", "The content is compared with what the server holds in its storage.")
	p.matrix(Proxied, "Proxies", "Each proxy is before tusd with its file store.")
	p.matrix(Script, "Scripts", "These servers are simulated. Those with the rules of services have no more extensions than the services.")
	p.line("")
	p.line("## Notes")
	p.line("")
	p.line("✗ is a failure for which the server or proxy is the reason, – a situation that does not apply.")
	p.line("")
	for n, text := range p.notes {
		p.line("%d. %s", n+1, text)
	}
	p.line("")
	p.line("## How each is started")
	p.line("")
	p.line("| server or proxy | command |")
	p.line("|---|---|")
	for _, c := range m.Columns {
		if c.Command == "" {
			p.line("| %s | a [script](../integration/servers/scripts.go) of its behavior |", c.Name)
			continue
		}
		p.line("| %s | `%s` |", c.Name, escape(c.Command))
	}
	p.line("")
	return p.text.String()
}

// page collects the lines and the notes of the page.
type page struct {
	*Matrix
	text  strings.Builder
	notes []string
	keys  []string // of the notes
}

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(&p.text, format+"\n", args...)
}

// matrix writes the table of a group.
func (p *page) matrix(g Group, heading, intro string) {
	columns := slices.DeleteFunc(slices.Clone(p.Columns), func(c Column) bool { return c.Group != g })
	if len(columns) == 0 {
		return
	}
	p.line("")
	p.line("## %s", heading)
	p.line("")
	p.line("%s", intro)
	p.line("")
	header, rule := "| situation |", "|---|"
	for _, c := range columns {
		header, rule = header+" "+c.Name+" |", rule+"---|"
	}
	p.line("%s", header)
	p.line("%s", rule)
	for _, row := range p.Rows {
		cells := "| " + row + " |"
		for _, c := range columns {
			cells += " " + p.cell(c, row) + " |"
		}
		p.line("%s", cells)
	}
}

// cell returns the text of a cell, and adds its note.
func (p *page) cell(c Column, row string) string {
	o, ok := c.Cells[row]
	switch {
	case !ok:
		return ""
	case o.Status == Passed:
		return "✓"
	case o.Status == NotApplicable:
		return fmt.Sprintf("– %d", p.note(o.Reason, sentence(o.Reason)))
	}
	text := sentence(o.Explanation)
	if o.Explanation == "" {
		text = "Not explained: " + escape(o.Reason) + "."
	}
	if len(o.Exchange) > 0 {
		text += fmt.Sprintf(" %s, %s: `%s`", c.Name, row, strings.Join(o.Exchange[max(0, len(o.Exchange)-noteLines):], "`, `"))
		if o.Explanation != "" {
			text += "; " + code(o.Reason)
		}
		text += "."
	}
	key := o.Explanation
	if key == "" {
		key = text
	}
	return fmt.Sprintf("✗ %d", p.note(key, text))
}

// noteLines is the number of requests in a note.
const noteLines = 3

// note returns the number of a note, which it adds if there is none with the key.
func (p *page) note(key, text string) int {
	at := slices.Index(p.keys, key)
	if at < 0 {
		at = len(p.keys)
		p.keys, p.notes = append(p.keys, key), append(p.notes, text)
	}
	return at + 1
}

// works returns how many of the situations that apply passed.
func (m *Matrix) works(c Column) string {
	if c.Missing != "" {
		return "not tested: not installed"
	}
	passed, failed := 0, 0
	for _, row := range m.Rows {
		switch c.Cells[row].Status {
		case Passed:
			passed++
		case Failed:
			failed++
		}
	}
	if failed == 0 {
		return fmt.Sprintf("yes, all %d", passed)
	}
	return fmt.Sprintf("%d of %d", passed, passed+failed)
}

func version(c Column) string {
	if c.Version == "" {
		return "–"
	}
	return c.Version
}

// sentence returns a text with a capital letter and a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + escape(text[1:]) + "."
}

// code returns a text as code.
func code(text string) string { return "`" + strings.ReplaceAll(text, "`", "'") + "`" }

// escape makes a text fit for a cell of a table.
func escape(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " ")
}

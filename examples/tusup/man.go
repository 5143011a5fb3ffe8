package main

import (
	"runtime/debug"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	mangokong "github.com/alecthomas/mango-kong"
	"github.com/muesli/roff"
)

// manCommand prints the man page.
type manCommand struct{}

// Run prints the page in the format of man.
func (*manCommand) Run(ctx *kong.Context, p *program) error {
	page := mangokong.NewManPage(1, ctx.Model).
		WithSection("Notes", strings.Join(notes(), "\n\n")).
		WithSection("Exit status", "0: everything succeeded.\n1: an upload or a request failed.\n2: the command line, an environment variable or the configuration file is wrong.\n130: interrupted; the uploads can be resumed.").
		WithSection("Environment", "TUS_ENDPOINT: upload creation URL of the server.\nTUS_TOKEN: bearer token for its origin.\nTUS_HEADERS: further header fields for its origin, one \"Name: value\" per line.\nTUS_FLAG_NAME: value of the flag --flag-name.").
		WithSection("Files", "$XDG_CONFIG_HOME/tusup/config.toml: flags by name, and remotes in tables [remotes.NAME].\n$XDG_STATE_HOME/tusup/uploads.db: resume database.")
	_, err := p.stdout.Write([]byte(page.Build(&manDocument{roff.NewDocument()}) + "\n"))
	return err
}

// manDocument is a document with the date of the commit, so that builds are reproducible.
type manDocument struct{ *roff.Document }

// Heading implements mango.Builder.
func (d *manDocument) Heading(section uint, title, _ string, _ time.Time) {
	d.Document.Heading(section, title, "User Commands", sourceDate())
}

// Text implements mango.Builder. The library uses the text as a format.
func (d *manDocument) Text(text string) {
	d.Document.Text(strings.ReplaceAll(text, "%", "%%"))
}

// sourceDate returns the time of the commit that tusup was built from, and the current time
// if that is not known.
func sourceDate() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Now()
	}
	for _, s := range info.Settings {
		if at, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
			return at
		}
	}
	return time.Now()
}

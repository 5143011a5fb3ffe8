package main

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
)

// remotesCommand lists the remotes of the configuration file.
type remotesCommand struct{}

// Run prints names and endpoints, without secrets.
func (*remotesCommand) Run(p *program, c *common) error {
	conf, err := loadConfig(c.Config)
	if err != nil {
		return usageError{err}
	}
	out := newOutput(p, c.JSON)
	for _, name := range slices.Sorted(maps.Keys(conf.remotes)) {
		endpoint, _ := conf.remotes[name]["endpoint"].(string)
		endpoint = withoutSecrets(endpoint)
		if c.JSON {
			out.print(report.Remote{Remote: name, Endpoint: endpoint})
			continue
		}
		fmt.Fprintf(p.stdout, "%s  %s\n", name, oneLine(endpoint))
	}
	return out.failure()
}

// withoutSecrets returns a URL without user, query and fragment.
func withoutSecrets(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// withRemote replaces each argument @NAME by --remote NAME. It leaves the values of flags,
// and what follows --.
func withRemote(app *kong.Application, args []string) []string {
	takesValue := map[string]bool{}
	for _, f := range allFlags(app.Node) {
		if !f.IsBool() && !f.IsCounter() {
			takesValue["--"+f.Name] = true
			if f.Short != 0 {
				takesValue["-"+string(f.Short)] = true
			}
		}
	}
	var all []string
	value := false
	for i, arg := range args {
		switch {
		case value:
			value = false
		case arg == "--":
			return append(all, args[i:]...)
		case takesValue[arg]:
			value = true
		case strings.HasPrefix(arg, "@"):
			arg = "--remote=" + arg[1:]
		}
		all = append(all, arg)
	}
	return all
}

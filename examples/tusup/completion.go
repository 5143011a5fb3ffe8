package main

import (
	"embed"
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/posener/complete"
)

//go:embed completion
var completionScripts embed.FS

// completionCommand prints a completion script. The script runs completeCommand for each
// completion, so that it stays valid for later versions.
type completionCommand struct {
	Shell string `arg:"" name:"SHELL" enum:"bash,zsh,fish" help:"Shell: ${enum}. Load the script with: source <(tusup completion bash), or tusup completion fish | source."`
}

// Run prints the script.
func (c *completionCommand) Run(p *program) error {
	script, err := completionScripts.ReadFile("completion/tusup." + c.Shell)
	if err == nil {
		_, err = p.stdout.Write(script)
	}
	return err
}

// completeCommand prints the completions of the command line in the variables COMP_LINE and
// COMP_POINT, which are those of bash.
type completeCommand struct{}

// Run prints one completion a line. There is none for names of files, which the shell
// completes.
func (*completeCommand) Run(ctx *kong.Context, p *program) error {
	if os.Getenv("COMP_LINE") == "" {
		return usagef("complete-line is called by the scripts of tusup completion")
	}
	command, err := completions(ctx.Kong)
	if err != nil {
		return err
	}
	completion := complete.New(ctx.Model.Name, command)
	completion.Out = p.stdout
	completion.Complete()
	return nil
}

// completions returns the completions of the model. Those of the library do not know
// the default command, flags that a command does not use, and arguments that repeat.
func completions(parser *kong.Kong) (complete.Command, error) {
	root, err := kongcompletion.Command(parser, kongcompletion.WithPredictor("remote", complete.PredictFunc(func(complete.Args) []string {
		return remoteNames("")
	})))
	if err != nil {
		return root, err
	}
	for _, node := range parser.Model.Children {
		command, ok := root.Sub[node.Name]
		if !ok { // hidden
			continue
		}
		own := command.GlobalFlags
		command.GlobalFlags = complete.Flags{}
		maps.Copy(command.GlobalFlags, root.GlobalFlags)
		for _, f := range unusedFlags(parser.Model, node) {
			delete(command.GlobalFlags, "--"+f.Name)
		}
		maps.Copy(command.GlobalFlags, own)
		command.Args = remoteOr{command.Args}
		for _, name := range append(node.Aliases, node.Name) {
			root.Sub[name] = command
		}
	}
	upload := root.Sub[parser.Model.DefaultCmd.Name]
	root.Flags, root.GlobalFlags, root.Args = upload.GlobalFlags, nil, upload.Args
	return root, nil
}

// remoteOr completes arguments that begin with @, and others with the predictor of the
// library, which may be nil.
type remoteOr struct{ other complete.Predictor }

// Predict implements complete.Predictor.
func (r remoteOr) Predict(a complete.Args) []string {
	if strings.HasPrefix(a.Last, "@") {
		return remoteNames("@")
	}
	if r.other == nil {
		return nil
	}
	return r.other.Predict(a)
}

// remoteNames returns the names of the remotes after a prefix.
func remoteNames(prefix string) []string {
	c, err := loadConfig(os.Getenv("TUS_CONFIG"))
	if err != nil {
		return nil
	}
	var names []string
	for name := range c.remotes {
		names = append(names, fmt.Sprint(prefix, name))
	}
	return names
}

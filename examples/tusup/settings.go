package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/alecthomas/kong"
)

// settings resolves flags that are not on the command line: from the environment, the
// remote, and the top level of the configuration file, in this order.
type settings struct {
	config *config
	remote map[string]any // nil without @NAME
	name   string         // of the remote
	// environmentIdentity and topIdentity report whether a client certificate of the
	// environment, and of the top level, is for the endpoint of this run.
	environmentIdentity, topIdentity bool
	origin                           map[string]string // of the values, by flag: a variable, or a line of the file
}

// BeforeResolve reads the configuration file. kong calls it before it asks for the values
// of flags that are not on the command line.
func (f *flags) BeforeResolve(ctx *kong.Context, p *program) error {
	if node := ctx.Selected(); node != nil && node.Tag.Has("noconfig") {
		return nil // a broken file must not break the completion of the shell
	}
	path, remote := chosen(ctx, "config"), chosen(ctx, "remote")
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	if err := c.check(ctx.Model); err != nil {
		return err
	}
	if c.readableByOthers() {
		p.logf("warning: other users can read %s, which has credentials: chmod 600", c.path)
	}
	if remote != "" && onLine(ctx, "endpoint") {
		if onLine(ctx, "remote") {
			return fmt.Errorf("--endpoint cannot be used with @%s", remote)
		}
		remote = "" // of the environment
	}
	s := &settings{config: c, name: remote, origin: map[string]string{}}
	f.settings = s
	f.sources = sources{
		flags:       sync.OnceValues(f.headers), // once, because --token-file may be a pipe
		environment: environmentLogin(),
	}
	if f.sources.defaults, err = c.loadedLogin("", c.top); err != nil {
		return err
	}
	if remote != "" {
		if s.remote = c.remotes[remote]; s.remote == nil {
			return fmt.Errorf("@%s: no [remotes.%s] in %s; if it is a file, write ./@%s", remote, remote, c.path, remote)
		}
		l, err := c.loadedLogin(remote, s.remote)
		if err != nil {
			return err
		}
		f.sources.remote = &l
	}
	endpoint := cmp.Or(onLineValue(ctx, "endpoint"), f.sources.environment.endpoint, f.sources.defaults.endpoint)
	ofRun := func(l login) bool { return remote == "" && (l.endpoint == "" || sameOrigin(l.endpoint, endpoint)) }
	s.environmentIdentity, s.topIdentity = ofRun(f.sources.environment), ofRun(f.sources.defaults)
	ctx.AddResolver(s)
	return nil
}

// chosen returns the value of a flag of the program: of the command line, or of the
// environment.
func chosen(ctx *kong.Context, name string) string {
	if onLine(ctx, name) {
		return onLineValue(ctx, name)
	}
	return os.Getenv("TUS_" + strings.ToUpper(name))
}

// onLineValue returns the value of a flag on the command line, "" if it is not there.
func onLineValue(ctx *kong.Context, name string) string {
	for _, path := range ctx.Path {
		if path.Flag != nil && path.Flag.Name == name {
			return fmt.Sprint(ctx.FlagValue(path.Flag))
		}
	}
	return ""
}

// onLine reports whether a flag is on the command line.
func onLine(ctx *kong.Context, name string) bool {
	return slices.ContainsFunc(ctx.Path, func(path *kong.Path) bool { return path.Flag != nil && path.Flag.Name == name })
}

// Validate implements kong.Resolver.
func (s *settings) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (s *settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if len(flag.Envs) == 0 || slices.Contains(credentialKeys(), flag.Name) {
		return nil, nil
	}
	identity := flag.Tag.Has("identity")
	name := flag.Envs[0]
	if text := os.Getenv(name); text != "" && (s.environmentIdentity || !identity) {
		texts := []string{text}
		if flag.IsSlice() {
			texts = nonEmptyLines(text)
		}
		s.origin[flag.Name] = name
		return checked(flag, texts, func(err error) error { return fmt.Errorf("%s: %w", name, err) })
	}
	table, values := s.name, s.remote
	if values[flag.Name] == nil && (s.topIdentity || !identity) {
		table, values = "", s.config.top
	}
	value := values[flag.Name]
	if value == nil {
		return nil, nil
	}
	s.origin[flag.Name] = fmt.Sprintf("%s:%d", s.config.path, s.config.line(table, flag.Name))
	texts, err := stringsOf(value)
	inConfig := func(err error) error { return s.config.errorf(table, flag.Name, "%v", err) }
	if err != nil {
		return nil, inConfig(err)
	}
	if flag.Tag.Has("file") {
		for i := range texts {
			if !isStateURL(texts[i]) {
				texts[i] = s.config.resolved(texts[i])
			}
		}
	}
	return checked(flag, texts, inConfig)
}

// has reports whether a flag has a value that is not from the command line.
func (s *settings) has(name string) bool { return s != nil && s.origin[name] != "" }

// withOrigin adds to an error about flags where their values are from.
func (s *settings) withOrigin(err error) error {
	if s == nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.origin)) {
		if regexp.MustCompile(`--` + regexp.QuoteMeta(name) + `\b[^-]`).MatchString(err.Error() + " ") {
			err = fmt.Errorf("%w (--%s is from %s)", err, name, s.origin[name])
		}
	}
	return err
}

// checked returns the value that kong parses into a flag, or an error with its source.
func checked(flag *kong.Flag, texts []string, at func(error) error) (any, error) {
	var value any = strings.Join(texts, "")
	if flag.IsSlice() && (len(texts) != 1 || flag.Tag.Sep != -1) { // a list goes through JSON, a text keeps its bytes
		list := make([]any, len(texts))
		for i, text := range texts {
			list[i] = text
		}
		value = list
	} else if !flag.IsSlice() && len(texts) != 1 {
		return nil, at(errors.New("must be one value"))
	}
	if flag.Enum != "" && !flag.IsSlice() && !slices.Contains(flag.EnumSlice(), texts[0]) {
		return nil, at(fmt.Errorf("must be one of %s", strings.Join(flag.EnumSlice(), ", ")))
	}
	target := reflect.New(flag.Target.Type()).Elem()
	if err := flag.Parse(kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: value}), target); err != nil {
		if cause := errors.Unwrap(err); cause != nil { // without the name of the flag, which kong adds
			err = cause
		}
		return nil, at(err)
	}
	return value, nil
}
